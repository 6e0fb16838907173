"""Runs the DAG of Airflow or the assets of Dagster with the real programs, whose settings are in the environment.

    orchestrators.py airflow|dagster DATE

DATE is a usage date that is due.
"""

import importlib.util
import os
import subprocess
import sys



deploy = os.path.join(os.path.dirname(__file__), "../../deploy")


def airflow(date: str) -> None:
    subprocess.run(["airflow", "db", "migrate"], check=True, capture_output=True, env=os.environ | {"PATH": os.path.dirname(sys.executable) + ":" + os.environ["PATH"]})
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(os.path.join(deploy, "airflow"))
    assert not bag.import_errors, bag.import_errors
    dag = bag.dags["daybook"]
    assert sorted(dag.task_ids) == ["complete", "publish"], dag.task_ids
    assert dag.get_task("complete").upstream_task_ids == {"publish"}
    run = dag.test()
    assert run.state == "success", run.state
    for ti in run.get_task_instances():
        print(f"airflow: task {ti.task_id} {ti.state}")


def dagster(date: str) -> None:
    import dagster as dg

    spec = importlib.util.spec_from_file_location("daybook_assets", os.path.join(deploy, "dagster/daybook_assets.py"))
    assets = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(assets)
    dg.Definitions.validate_loadable(assets.defs)
    result = dg.materialize([assets.releases])
    assert result.success
    report = result.asset_materializations_for_node("releases")[0].metadata["report"].value
    print(f"dagster: releases: {report['tenants'][0]['outcome']}")
    result = dg.materialize([assets.day], partition_key=date)
    assert result.success
    print(f"dagster: day {date} in release {result.asset_materializations_for_node('day')[0].metadata['release'].value}")
    # A day without events is not complete: its asset fails, and the sensor leaves it out.
    assert not dg.materialize([assets.day], partition_key="2025-01-01", raise_on_error=False).success
    found = assets.day_complete(dg.build_sensor_context())
    assert [r.partition_key for r in found.run_requests] == [date], found.run_requests
    print(f"dagster: the sensor finds {date} alone")


if __name__ == "__main__":
    {"airflow": airflow, "dagster": dagster}[sys.argv[1]](sys.argv[2])
