"""The books as Dagster assets, for a code location on the host of ingest.

releases is what `publisher run` leaves behind; day is one usage date of it, which exists once it is out and
complete. Let whatever reads a day depend on day. The publisher's settings are the environment (DAYBOOK_STATE,
DAYBOOK_LAKE …).
"""

import json
import subprocess

import dagster as dg

# Exit codes of the publisher. Usage, and a gate or a hold, are for somebody to look at.
FOR_SOMEBODY = {2, 4}
INCOMPLETE = 3

days = dg.DailyPartitionsDefinition(start_date="2025-01-01", timezone="UTC")


def publisher(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run(["publisher", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@dg.asset
def releases() -> dg.MaterializeResult:
    """Everything that is due, published."""
    done = publisher("run", "--wait", "30m", "--json")
    if done.returncode in FOR_SOMEBODY:
        raise dg.Failure(done.stderr.strip(), allow_retries=False)
    if done.returncode != 0:
        raise dg.RetryRequested(max_retries=12, seconds_to_wait=600) from dg.Failure(done.stderr.strip())
    return dg.MaterializeResult(metadata={"report": json.loads(done.stdout)})


@dg.asset(partitions_def=days)
def day(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """One usage date, out and complete."""
    date = context.partition_key
    done = publisher("status", "--complete", date, "--json")
    if done.returncode != 0:
        raise dg.Failure(done.stderr.strip())
    release = json.loads(done.stdout)["release"]
    path = publisher("path", "--release", str(release)).stdout.strip()
    return dg.MaterializeResult(metadata={"release": release, "path": path})


nightly = dg.ScheduleDefinition(name="nightly", target=[releases], cron_schedule="1 2 * * *", execution_timezone="UTC")

complete_job = dg.define_asset_job("complete_day", selection=[day])


@dg.sensor(job=complete_job, minimum_interval_seconds=600)
def day_complete(_: dg.SensorEvaluationContext):
    """Materializes each of the last seven days as soon as the publisher says that it is complete."""
    requests = []
    for date in days.get_partition_keys()[-7:]:
        code = publisher("status", "--complete", date).returncode
        if code == 0:
            requests.append(dg.RunRequest(run_key=date, partition_key=date))  # once a day, by its key
        elif code != INCOMPLETE:
            raise dg.Failure(f"publisher status exits with {code}")
    return dg.SensorResult(run_requests=requests)


defs = dg.Definitions(assets=[releases, day], schedules=[nightly], sensors=[day_complete], jobs=[complete_job])
