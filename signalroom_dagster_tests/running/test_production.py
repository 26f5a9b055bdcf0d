"""`dagster dev` in production on DuckDB: schedule, sensor, commands, backfills, and a pool slot
that a crash held.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest

from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project, orders, write_export
from signalroom_dagster_tests.running.agency import (
    Running,
    add_bucket,
    agency,
    has_every_row_once,
    register,
)
from signalroom_dagster_tests.running.dagster_dev import ROOT, DagsterDev, is_alive, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLIENTS = ("713", "cti", "slot", "free")
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
STOP = """mutation ($id: String!) { stopRunningSchedule(id: $id) { __typename
  ... on ScheduleStateResult { scheduleState { status } } } }"""
SCHEDULE = """query ($selector: ScheduleSelector!) { scheduleOrError(scheduleSelector: $selector) {
  ... on Schedule { scheduleState { id status } } } }"""
BACKFILL = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams:
$params) { __typename
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""


@pytest.fixture(scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as environment:
        project = Project(tmp_path_factory.mktemp("production") / "project", environment.setenv)
        project.set(SOURCES__EVERFLOW__SCHEDULES='{"test": "* * * * *"}')
        with agency(project, CLIENTS, status="planned") as vendors:
            register(project, "713", status="active", sources=("everflow", "s3_exports"))
            add_bucket(project, "713")
            dev = DagsterDev(project)
            try:
                yield Running(dev, vendors, project)
            finally:
                dev.close()


def command(project: Project, *words: str) -> "subprocess.Popen[str]":
    """Start one of the commands as a user types it, in the project's folder."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", *words],
        cwd=project.root,
        env=project.process_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> str:
    """What a command printed, once it has ended well."""
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    return said


def test_a_schedule_and_the_sensor_of_new_files_start_loads_by_themselves(running: Running) -> None:
    dev, _, project = running
    name = "everflow_test_america_new_york"
    write_export(
        project.root / "buckets" / "713" / "orders-create/report_2026-03-01.csv", orders(range(50))
    )
    scheduled = wait_for(lambda: dev.runs("everflow", "713"), "a run of the schedule")[0]
    assert scheduled.tags["dagster/schedule_name"] == name
    state = dev.ask(SCHEDULE, selector={**dev.place, "scheduleName": name})["scheduleOrError"][
        "scheduleState"
    ]
    assert state["status"] == "RUNNING"
    stopped = dev.ask(STOP, id=state["id"])["stopRunningSchedule"]
    assert stopped["scheduleState"]["status"] == "STOPPED"
    woken = wait_for(lambda: dev.runs("s3_exports", "713"), "a run of the sensor")[0]
    assert woken.tags["dagster/sensor_name"] == "s3_exports_new_files"
    assert [dev.ended(run.run_id) for run in (scheduled, woken)] == [SUCCESS] * 2
    has_every_row_once("713")
    assert ask("SELECT count(*), count(DISTINCT orders_id) FROM s3_exports.orders_create") == [
        (50, 50)
    ]
    assert {run.tags["dagster/partition"] for run in dev.instance.get_runs()} == {"713"}


def test_the_trigger_waits_for_its_run_and_starts_no_second_one(running: Running) -> None:
    dev, vendors, _ = running
    vendors.server.fail("/affiliatestable", times=1, status=200, delay=15)
    first = command(
        running.project,
        "signalroom_dagster.cli",
        "trigger",
        "everflow",
        "--client",
        "713",
        "--wait",
    )
    run = wait_for(
        lambda: [found for found in dev.runs("everflow", "713") if not found.is_finished], "its run"
    )[0]
    assert run.tags["signalroom/trigger"] == "command line"
    said = finish(
        command(running.project, "signalroom_dagster.cli", "trigger", "everflow", "--client", "713")
    )
    assert "everflow of client 713: already" in said
    assert run.run_id in said
    assert "success" in finish(first)
    assert dev.run(run.run_id).status == SUCCESS


def test_backfills_from_the_ui_and_from_the_command_line_reach_every_client(
    running: Running,
) -> None:
    dev, _, _ = running
    asset = {"path": ["everflow", "affiliates"]}
    launched = dev.ask(
        BACKFILL, params={"assetSelection": [asset], "partitionNames": ["cti", "free"]}
    )
    backfill = launched["launchPartitionBackfill"]["backfillId"]
    words = (
        "-w",
        str(ROOT / "workspace.yaml"),
        "-j",
        "everflow",
        "--partitions",
        "713,cti",
        "--noprompt",
    )
    finish(command(running.project, "dagster", "job", "backfill", *words))

    def runs(**tags: str) -> dict[str, dg.DagsterRunStatus]:
        found = dev.instance.get_runs(
            dg.RunsFilter(tags={name.replace("__", "/"): tags[name] for name in tags})
        )
        return {run.tags["dagster/partition"]: run.status for run in found}

    wait_for(
        lambda: runs(dagster__backfill=backfill) == {"cti": SUCCESS, "free": SUCCESS},
        "the backfill of the UI",
    )
    [other] = {
        run.tags["dagster/backfill"]
        for run in dev.runs("everflow", "cti")
        if "dagster/backfill" in run.tags
    }
    wait_for(
        lambda: runs(dagster__backfill=other) == {"713": SUCCESS, "cti": SUCCESS},
        "the command's backfill",
    )
    has_every_row_once("cti")
    assert ask("SELECT count(*) FROM everflow.affiliates WHERE _client_id = 'free'") == [(2,)]


def test_the_pool_slot_of_a_killed_worker_goes_to_the_next_run(running: Running) -> None:
    dev, vendors, _ = running
    before = len(vendors.server.asked("/affiliatestable"))
    vendors.server.fail("/affiliatestable", times=1, status=200, delay=50)
    killed = dev.launch("everflow", "slot")
    wait_for(
        lambda: len(vendors.server.asked("/affiliatestable")) > before, "the middle of the load"
    )
    [slot] = dev.instance.event_log_storage.get_concurrency_info("duckdb").claimed_slots
    assert slot.run_id == killed
    worker = dev.worker(killed)
    os.kill(worker, signal.SIGKILL)
    waiting = dev.launch("everflow", "free")
    assert [dev.finished(run_id).status for run_id in (killed, waiting)] == [SUCCESS] * 2
    assert [run.status for run in dev.runs_from(killed)] == [FAILURE, SUCCESS]
    wait_for(
        lambda: not dev.instance.event_log_storage.get_concurrency_info("duckdb").claimed_slots,
        "free slots",
    )
    for client in ("slot", "free"):
        has_every_row_once(client)
    assert not is_alive(worker)
