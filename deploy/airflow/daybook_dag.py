"""The nightly release as an Airflow DAG, for a worker on the host of ingest.

publish waits for input that is behind and makes the release; complete holds whatever comes after it until
the day is out and complete. The publisher's settings are the worker's environment (DAYBOOK_STATE,
DAYBOOK_LAKE …); its exit codes decide what is tried again.
"""

import subprocess
from datetime import datetime, timedelta, timezone

from airflow.providers.standard.sensors.bash import BashSensor
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# Usage, and a gate or a hold: trying again changes nothing, somebody must look.
FOR_SOMEBODY = {2, 4}


@dag(
    schedule="1 2 * * *",  # a minute after the cutoff of 02:00 UTC
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    catchup=False,  # a run publishes all that is due: one makes up for those that were missed
    max_active_runs=1,
    tags=["daybook"],
)
def daybook():
    @task(retries=12, retry_delay=timedelta(minutes=10))
    def publish():
        done = subprocess.run(["publisher", "run", "--wait", "30m"], stdin=subprocess.DEVNULL, check=False)
        if done.returncode in FOR_SOMEBODY:
            raise AirflowFailException(f"publisher exits with {done.returncode}: see its last line")
        if done.returncode != 0:
            raise AirflowException(f"publisher exits with {done.returncode}: will be tried again")

    # The newest day that is due at the run's time is the day before.
    complete = BashSensor(
        task_id="complete",
        bash_command="publisher status --complete {{ (dag_run.run_after - macros.timedelta(days=1)) | ds }}",
        retry_exit_code=3,  # not out, or not complete yet; any other code but 0 is a failure
        mode="reschedule",
        poke_interval=600,
        timeout=8 * 3600,
    )

    publish() >> complete


daybook()
