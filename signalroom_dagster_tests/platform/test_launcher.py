"""The launcher against real instances made from the project's own dagster.yaml; real crashes stand
in `running`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import DagsterEvent
from dagster._core.launcher import WorkerStatus
from dagster._core.test_utils import create_run_for_test
from dagster._grpc.types import CanCancelExecutionResult, GetCurrentRunsResult
from dagster._serdes import serialize_value

from signalroom_dagster.platform import launcher
from signalroom_dagster.platform.launcher import HealthCheckingRunLauncher
from signalroom_dagster_tests.running.dagster_dev import is_alive, wait_for

PROJECT = Path(__file__).resolve().parents[2]
GRPC_INFO_TAG = ".dagster/grpc_info"
START = DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name="load", message="")


@pytest.fixture(autouse=True)
def _no_dagster_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("DAGSTER"):
            monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as found:
        yield found


class CodeServer:
    """Answers like a code server's client: for the runs it knows, or not at all."""

    def __init__(
        self, *knows: str, host: str = "localhost", reachable: bool = True, lists: bool = True
    ) -> None:
        self.host = host
        self._knows, self._reachable, self._lists = knows, reachable, lists
        self.interrupted: list[str] = []

    def cancel_execution(self, request: Any) -> None:
        self.interrupted.append(request.run_id)

    def can_cancel_execution(self, request: Any, timeout: int) -> str:
        self._answers(self._reachable)
        return serialize_value(CanCancelExecutionResult(can_cancel=request.run_id in self._knows))

    def get_current_runs(self) -> str:
        self._answers(self._reachable and self._lists)
        return serialize_value(
            GetCurrentRunsResult(current_runs=list(self._knows), serializable_error_info=None)
        )

    @staticmethod
    def _answers(does: bool) -> None:
        if not does:
            raise DagsterUserCodeUnreachableError(
                "Could not reach user code server. gRPC Error code: UNAVAILABLE"
            )


def started_run(
    instance: dg.DagsterInstance, pid: int | None, at: float | None = None, **tags: str
) -> dg.DagsterRun:
    """A run in status STARTED, whose start event says it was written by `pid` then."""
    run = create_run_for_test(
        instance, job_name="load", status=dg.DagsterRunStatus.STARTING, tags=tags
    )
    event = DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name="load", message="", pid=pid)
    instance.report_dagster_event(event, run.run_id, timestamp=at)
    found = instance.get_run_by_id(run.run_id)
    assert found and found.status == dg.DagsterRunStatus.STARTED
    return found


def gone_server(folder: Path) -> dict[str, str]:
    """The tag that a run carries whose code server listened at a socket in `folder`."""
    return {GRPC_INFO_TAG: f'{{"host": "localhost", "socket": "{folder / "gone.sock"}"}}'}


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def check(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    server: CodeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> WorkerStatus:
    monkeypatch.setattr(
        HealthCheckingRunLauncher, "_get_grpc_client_for_termination", lambda self, run_id: server
    )
    return instance.run_launcher.check_run_worker_health(run).status


def test_dagster_yaml_says_how_runs_are_launched_watched_queued_and_retried(
    instance: dg.DagsterInstance,
) -> None:
    assert isinstance(instance.run_launcher, HealthCheckingRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_poll_interval_seconds == 30
    assert instance.run_monitoring_start_timeout_seconds == 180
    assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] == 60
    assert (instance.run_retries_enabled, instance.run_retries_max_retries) == (True, 4)
    assert not instance.run_retries_retry_on_asset_or_op_failure
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled
    concurrency = instance.get_concurrency_config()
    assert concurrency.pool_config.default_pool_limit == 1
    assert (
        concurrency.pool_config.pool_granularity
        and concurrency.pool_config.pool_granularity.value == "op"
    )


def test_a_run_of_the_command_line_is_not_judged(instance: dg.DagsterInstance) -> None:
    run = started_run(instance, pid=dead_process())
    assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_a_run_is_failed_when_its_server_and_its_worker_are_gone(
    instance: dg.DagsterInstance, home: Path
) -> None:
    pid = dead_process()
    result = instance.run_launcher.check_run_worker_health(
        started_run(instance, pid, **gone_server(home))
    )
    assert result.status is WorkerStatus.FAILED
    assert result.msg == f"its worker process {pid} is gone, its code server cannot be reached"


def test_a_run_goes_on_while_its_worker_lives_though_its_server_is_gone(
    instance: dg.DagsterInstance, home: Path
) -> None:
    result = instance.run_launcher.check_run_worker_health(
        started_run(instance, os.getpid(), **gone_server(home))
    )
    assert result.status is WorkerStatus.RUNNING


def test_a_run_goes_on_while_its_worker_lives_though_its_server_reloaded(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        check(instance, started_run(instance, os.getpid()), CodeServer(), monkeypatch)
        is WorkerStatus.RUNNING
    )


def test_a_server_that_knows_the_run_is_believed(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started_run(instance, dead_process())
    assert check(instance, run, CodeServer(run.run_id), monkeypatch) is WorkerStatus.RUNNING
    assert check(instance, run, CodeServer(), monkeypatch) is WorkerStatus.FAILED


def test_a_process_that_was_given_a_dead_workers_number_is_not_the_worker(
    instance: dg.DagsterInstance, home: Path
) -> None:
    yesterday = psutil.Process().create_time() - 86_400
    run = started_run(instance, os.getpid(), yesterday, **gone_server(home))
    assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.FAILED


def test_an_unreachable_server_elsewhere_is_waited_for_and_believed_once_it_is_back(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started_run(instance, os.getpid())

    def with_server(*knows: str, **how: bool) -> WorkerStatus:
        return check(instance, run, CodeServer(*knows, host="code-server", **how), monkeypatch)

    assert with_server(reachable=False) is WorkerStatus.RUNNING
    assert with_server(run.run_id) is WorkerStatus.RUNNING
    assert with_server() is WorkerStatus.FAILED
    assert with_server(lists=False) is WorkerStatus.RUNNING


@pytest.mark.parametrize(
    ("longest", "ends"), [("60", True), ("9999", False), ("x", False), (None, False)]
)
def test_the_worker_of_a_run_past_its_longest_time_is_killed_and_the_run_is_failed(
    instance: dg.DagsterInstance, home: Path, longest: str | None, ends: bool
) -> None:
    tags = {"dagster/max_runtime": longest} if longest else {}
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        run = started_run(instance, worker.pid, time.time(), **gone_server(home), **tags)
        assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
        began = datetime.fromtimestamp(time.time() - 61, UTC)
        instance.run_storage.handle_run_event(run.run_id, START, began)
        found = instance.run_launcher.check_run_worker_health(run)
        assert found.status is (WorkerStatus.FAILED if ends else WorkerStatus.RUNNING)
        if ends:
            assert found.msg == "it took longer than 60 s and was ended"
            assert worker.wait(20) == -signal.SIGKILL
        assert is_alive(worker.pid) is not ends
    finally:
        worker.kill()
        worker.wait()


def test_a_worker_elsewhere_that_takes_too_long_is_interrupted(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started_run(instance, os.getpid(), time.time() - 61, **{"dagster/max_runtime": "60"})
    server = CodeServer(run.run_id, host="code-server")
    assert check(instance, run, server, monkeypatch) is WorkerStatus.FAILED
    assert server.interrupted == [run.run_id]


@pytest.mark.parametrize("began", [launcher._began_at, launcher._began_at_by_ps])
def test_the_beginning_of_a_process_is_read_from_proc_or_from_ps(
    began: Callable[[int], float | None],
) -> None:
    if began is launcher._began_at and sys.platform != "linux":
        pytest.skip("no /proc")
    seen, really = began(os.getpid()), psutil.Process().create_time()
    assert seen and really - 60 < seen <= really + launcher.CLOCK_SLACK_SECONDS
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    wait_for(lambda: psutil.Process(zombie.pid).status() == psutil.STATUS_ZOMBIE, "the zombie", 20)
    assert began(zombie.pid) is None
    zombie.wait()
    assert began(zombie.pid) is None
