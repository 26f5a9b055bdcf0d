"""kill -9 of every part of a running Dagster on Postgres: runs are started again and end, and
nothing is there twice.

Every test has clients of its own and leaves `dagster dev` running or dead; the next one starts it
again where needed.
"""

import os
import signal
import time
from collections.abc import Iterator

import dagster as dg
import pytest

from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.postgres import PostgresServer
from signalroom_dagster_tests.projects import Project, orders, write_export
from signalroom_dagster_tests.running.agency import (
    DAYS,
    Running,
    add_bucket,
    agency,
    committed,
    has_every_row_once,
    held,
    register,
)
from signalroom_dagster_tests.running.dagster_dev import (
    CODE_SERVER,
    DAEMON,
    GRPC,
    WEBSERVER,
    DagsterDev,
    is_alive,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLIENTS = ("worker", "attempts", "always", "longest", "server", "daemon", "webserver", "machine")
CONVERSIONS = "/reporting/conversions"
CLICKS = "/clicks/stream"
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


@pytest.fixture(scope="module")
def _running(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as environment:
        project = Project(tmp_path_factory.mktemp("crashes") / "project", environment.setenv)
        project.use_postgres(postgres_server.create_database(f"crashes_{os.getpid()}"))
        project.set(LOAD__WORKERS="8")
        with agency(project, CLIENTS, status="planned") as vendors:
            register(project, "machine", status="planned", sources=("everflow", "s3_exports"))
            add_bucket(project, "machine")
            dev = DagsterDev(project)
            try:
                yield Running(dev, vendors, project)
            finally:
                dev.close()


def start_until_held(running: Running, client: str, **tags: str) -> str:
    """Start a load of which everything is committed but what waits at the held lock of
    conversions.
    """
    run_id = running.dev.launch("everflow", client, **tags)
    wait_for(
        lambda: committed(client, "clicks") == DAYS and committed(client, "affiliates"),
        "the other tables",
    )
    return run_id


def test_a_killed_worker_is_replaced_by_a_run_that_goes_on_where_it_stopped(
    running: Running,
) -> None:
    dev, vendors, _ = running
    with held("everflow|conversions|worker") as lock:
        first = start_until_held(running, "worker")
        lock.wait()
        worker, killed_at = dev.worker(first), time.monotonic()
        os.kill(worker, signal.SIGKILL)
        assert dev.ended(first) == FAILURE
    again = dev.replaced(first)
    assert dev.ended(again.run_id) == SUCCESS
    has_every_row_once("worker")
    assert vendors.asked("worker", CONVERSIONS, killed_at) == {*DAYS}
    assert vendors.asked("worker", CLICKS, killed_at) == set()
    assert not is_alive(worker) and dev.worker(again.run_id) != worker
    assert [run.status for run in dev.runs_from(first)] == [FAILURE, SUCCESS]
    assert ask("SELECT DISTINCT run_id FROM everflow.windows WHERE _client_id = 'worker'") == [
        (first,)
    ]
    assert vendors.alerts("worker") == []


def test_attempts_are_counted_on_over_a_crash_and_end_with_one_alert(running: Running) -> None:
    dev, vendors, _ = running
    path = "/affiliatestable"
    asked = len(vendors.server.asked(path))
    vendors.server.fail(path, times=1)
    vendors.server.fail(path, times=1, status=200, delay=50)
    vendors.server.fail(path, times=9)
    first = dev.launch("everflow", "attempts")
    wait_for(lambda: len(vendors.server.asked(path)) > asked + 1, "the second attempt")
    os.kill(dev.worker(first), signal.SIGKILL)
    assert dev.ended(first) == FAILURE
    again = dev.replaced(first)
    assert dev.ended(again.run_id) == FAILURE
    vendors.server.faults.clear()
    assert [dev.attempts(run.run_id) for run in dev.runs_from(first)] == [2, 3]
    wait_for(
        lambda: dev.run(again.run_id).tags.get("dagster/will_retry") == "false", "the end of it"
    )
    [alert] = vendors.alerts("attempts")
    assert alert.splitlines()[1].startswith(
        "VendorError after 5 attempts: client attempts, source everflow"
    )


def test_a_run_that_crashes_every_time_ends_after_five_with_one_alert(running: Running) -> None:
    dev, vendors, _ = running
    with held("everflow|conversions|always"):
        first = dev.launch("everflow", "always")
        run = dev.run(first)
        for number in range(1, 6):
            os.kill(dev.worker(run.run_id, dg.DagsterEventType.STEP_START), signal.SIGKILL)
            assert dev.ended(run.run_id) == FAILURE
            if number < 5:
                run = dev.replaced(first, number)
    wait_for(lambda: vendors.alerts("always"), "the alert")
    assert dev.run(run.run_id).tags["dagster/will_retry"] == "false"
    assert [found.status for found in dev.runs_from(first)] == [FAILURE] * 5
    [alert] = vendors.alerts("always")
    told = "🔴 everflow does not load (client always)\nRun lost (RUN_EXCEPTION) after 5 attempts"
    assert alert.startswith(told)


def test_a_run_past_its_longest_time_is_ended_and_goes_on_in_another_run(running: Running) -> None:
    dev, vendors, _ = running
    with held("everflow|conversions|longest") as lock:
        first = start_until_held(running, "longest", dagster__max_runtime="20")
        lock.wait()
        worker = dev.worker(first)
        assert dev.ended(first) == FAILURE
        wait_for(lambda: not is_alive(worker), "the end of its worker", 20)
        ended_at = time.monotonic()
    last = dev.finished(first)
    assert last.status == SUCCESS
    has_every_row_once("longest")
    assert vendors.asked("longest", CONVERSIONS, ended_at) == {*DAYS}
    assert vendors.asked("longest", CLICKS, ended_at) == set()
    assert 2 <= len(dev.runs_from(first)) <= 5
    assert vendors.alerts("longest") == []


def test_a_killed_code_server_neither_ends_a_run_nor_loses_one_that_waits(running: Running) -> None:
    dev, vendors, _ = running
    with held("everflow|conversions|server") as lock:
        going = start_until_held(running, "server")
        lock.wait()
        waiting = dev.launch("everflow", "server")  # for its account, until the other run has ended
        for process in [*dev.processes(CODE_SERVER), *dev.processes(GRPC)]:
            process.kill()
    assert dev.ended(going) == SUCCESS
    assert dev.ended(waiting) == SUCCESS
    has_every_row_once("server")
    assert [len(dev.runs_from(run_id)) for run_id in (going, waiting)] == [1, 1]
    assert vendors.alerts("server") == []


@pytest.mark.parametrize("kind", [DAEMON, WEBSERVER])
def test_a_killed_service_takes_dagster_dev_with_it_and_the_next_one_finishes_what_was_begun(
    running: Running, kind: str
) -> None:
    dev, vendors, _ = running
    client = {DAEMON: "daemon", WEBSERVER: "webserver"}[kind]
    with held(f"everflow|conversions|{client}") as lock:
        going = start_until_held(running, client)
        lock.wait()
        waiting = dev.launch("everflow", client, signalroom__test="waits for its account")
        for process in dev.processes(kind):
            process.kill()
        dev.wait_until_down()
        dev.start()
    for run_id in (going, waiting):
        assert dev.finished(run_id).status == SUCCESS
        assert len(dev.runs_from(run_id)) <= 2
    has_every_row_once(client)
    assert vendors.alerts(client) == []


def test_after_a_power_cut_runs_are_started_again_and_the_queue_goes_on(running: Running) -> None:
    dev, vendors, project = running
    files = _bucket(project, "machine")
    second = f"s3_exports|orders_create|machine|{files[1]}"
    with held("everflow|conversions|machine") as days, held(second) as file:
        run_ids = [start_until_held(running, "machine"), dev.launch("s3_exports", "machine")]
        days.wait()
        file.wait()
        loaded = wait_for(lambda: _loaded("machine"), "the first file")
        run_ids.append(dev.launch("s3_exports", "machine"))  # waits for its account
        assert dev.run(run_ids[2]).status == dg.DagsterRunStatus.QUEUED
        dev.kill()
        killed_at = time.monotonic()
    assert [dev.run(run_id).status for run_id in run_ids[:2]] == [dg.DagsterRunStatus.STARTED] * 2
    dev.start()
    assert [dev.finished(run_id).status for run_id in run_ids] == [SUCCESS] * 3
    assert [len(dev.runs_from(run_id)) for run_id in run_ids] == [2, 2, 1]
    has_every_row_once("machine")
    assert ask(
        "SELECT _file_name, count(*), count(DISTINCT orders_id) FROM s3_exports.orders_create "
        "GROUP BY 1 ORDER BY 1"
    ) == [(name, 50, 50) for name in files]
    assert set(loaded) < set(_loaded("machine"))
    assert vendors.asked("machine", CLICKS, killed_at) == set()
    assert vendors.alerts("machine") == []


def _bucket(project: Project, client: str) -> list[str]:
    """A bucket with two files; their names."""
    bucket = project.root / "buckets" / client
    files = [f"orders-create/report_2026-03-0{day}.csv" for day in (1, 2)]
    for day, name in enumerate(files):
        write_export(bucket / name, orders(range(day * 1000, day * 1000 + 50)))
    return files


def _loaded(client: str) -> list[tuple[object, ...]]:
    """The ledger's files, and when each was loaded."""
    there = (
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 's3_exports' AND"
        " table_name = 'files'"
    )
    if ask(there) == [(0,)]:
        return []
    return ask(
        "SELECT _file_name, _loaded_at FROM s3_exports.files WHERE _client_id = %s ORDER BY 1",
        client,
    )
