"""The launcher against real instances made from the project's own dagster.yaml, and once against a real crash."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import psutil
import pytest
import yaml
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import DagsterEvent
from dagster._core.launcher import WorkerStatus
from dagster._core.test_utils import create_run_for_test
from dagster._grpc.types import CanCancelExecutionResult, GetCurrentRunsResult
from dagster._serdes import serialize_value

from signalroom_dagster.defs import launcher
from signalroom_dagster.defs.launcher import HealthCheckingRunLauncher

PROJECT = Path(__file__).resolve().parents[2]
GRPC_INFO_TAG = ".dagster/grpc_info"
T = TypeVar("T")


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

    def __init__(self, *knows: str, host: str = "localhost", reachable: bool = True, lists: bool = True) -> None:
        self.host = host
        self._knows, self._reachable, self._lists = knows, reachable, lists

    def can_cancel_execution(self, request: Any, timeout: int) -> str:
        self._answers(self._reachable)
        return serialize_value(CanCancelExecutionResult(can_cancel=request.run_id in self._knows))

    def get_current_runs(self) -> str:
        self._answers(self._reachable and self._lists)
        return serialize_value(GetCurrentRunsResult(current_runs=list(self._knows), serializable_error_info=None))

    @staticmethod
    def _answers(does: bool) -> None:
        if not does:
            raise DagsterUserCodeUnreachableError("Could not reach user code server. gRPC Error code: UNAVAILABLE")


def started_run(instance: dg.DagsterInstance, pid: int | None, at: float | None = None, **tags: str) -> dg.DagsterRun:
    """A run in status STARTED, whose start event says it was written by `pid` then."""
    run = create_run_for_test(instance, job_name="load", status=dg.DagsterRunStatus.STARTING, tags=tags)
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
    instance: dg.DagsterInstance, run: dg.DagsterRun, server: CodeServer, monkeypatch: pytest.MonkeyPatch
) -> WorkerStatus:
    monkeypatch.setattr(HealthCheckingRunLauncher, "_get_grpc_client_for_termination", lambda self, run_id: server)
    return instance.run_launcher.check_run_worker_health(run).status


def test_dagster_yaml_says_how_runs_are_launched_watched_queued_and_retried(instance: dg.DagsterInstance) -> None:
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
    assert concurrency.pool_config.pool_granularity and concurrency.pool_config.pool_granularity.value == "op"


def test_a_run_that_another_one_works_off_lives_as_long_as_that_one(instance: dg.DagsterInstance) -> None:
    parent = create_run_for_test(instance, job_name="daily_sync", status=dg.DagsterRunStatus.STARTED)
    child = started_run(instance, pid=dead_process(), **{"signalroom/started_by": parent.run_id})
    assert instance.run_launcher.check_run_worker_health(child).status is WorkerStatus.RUNNING
    instance.report_run_failed(parent)
    assert instance.run_launcher.check_run_worker_health(child).status is WorkerStatus.FAILED


def test_a_run_of_the_command_line_is_not_judged(instance: dg.DagsterInstance) -> None:
    run = started_run(instance, pid=dead_process())
    assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_a_run_is_failed_when_its_server_and_its_worker_are_gone(instance: dg.DagsterInstance, home: Path) -> None:
    pid = dead_process()
    result = instance.run_launcher.check_run_worker_health(started_run(instance, pid, **gone_server(home)))
    assert result.status is WorkerStatus.FAILED
    assert result.msg == f"its worker process {pid} is gone, its code server cannot be reached"


def test_a_run_goes_on_while_its_worker_lives_though_its_server_is_gone(
    instance: dg.DagsterInstance, home: Path
) -> None:
    result = instance.run_launcher.check_run_worker_health(started_run(instance, os.getpid(), **gone_server(home)))
    assert result.status is WorkerStatus.RUNNING


def test_a_run_goes_on_while_its_worker_lives_though_its_server_reloaded(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(instance, started_run(instance, os.getpid()), CodeServer(), monkeypatch) is WorkerStatus.RUNNING


def test_a_server_that_knows_the_run_is_believed(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("began", [launcher._began_at, launcher._began_at_by_ps])
def test_the_beginning_of_a_process_is_read_from_proc_or_from_ps(began: Callable[[int], float | None]) -> None:
    if began is launcher._began_at and sys.platform != "linux":
        pytest.skip("no /proc")
    assert began(os.getpid()) == pytest.approx(psutil.Process().create_time(), abs=launcher.CLOCK_SLACK_SECONDS)
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    wait_for(lambda: psutil.Process(zombie.pid).status() == psutil.STATUS_ZOMBIE, 20)
    assert began(zombie.pid) is None
    zombie.wait()
    assert began(zombie.pid) is None


CRASHING = """
import os, time
from pathlib import Path
import dagster as dg

TRACE = Path(__file__).with_name("trace")

def trace(what):
    with TRACE.open("a") as file:
        file.write(f"{os.getpid()} {what}\\n")

@dg.asset
def traced():
    first = not TRACE.exists()
    trace("began")
    time.sleep(20 if first else 0)
    trace("ended")

@dg.sensor(target=[traced], default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=1)
def once():
    return dg.RunRequest(run_key="only")

defs = dg.Definitions([traced], sensors=[once], executor=dg.in_process_executor)
"""


class Machine:
    """The daemon over one definitions file, with the code server and the workers that it starts."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._processes: list[psutil.Process] = []

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DAGSTER")}
        with (self._home / "log").open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "dagster._daemon", "run", "-f", "crashing.py"],
                cwd=self._home,
                env={**environment, "DAGSTER_HOME": str(self._home)},
                stdout=log,
                stderr=log,
            )
        self._processes = [psutil.Process(started.pid)]

    def kill(self) -> None:
        """As sudden as a power cut: the daemon, its code server and the workers, at once."""
        for root in list(self._processes):
            with contextlib.suppress(psutil.NoSuchProcess):
                self._processes += root.children(recursive=True)
        for act in (psutil.Process.suspend, psutil.Process.kill):
            for process in self._processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    act(process)
        _, left = psutil.wait_procs(self._processes, timeout=20)
        assert not [process for process in left if process.status() != psutil.STATUS_ZOMBIE]
        self._processes = []


def wait_for(look: Callable[[], T | None], seconds: float) -> T:
    give_up = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < give_up, "it took too long"
        time.sleep(0.2)
    return found


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_run_whose_machine_dies_is_failed_and_run_again_once(home: Path) -> None:
    settings = yaml.safe_load((home / "dagster.yaml").read_text())
    settings["run_monitoring"]["poll_interval_seconds"] = 2
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
    (home / "crashing.py").write_text(CRASHING)
    trace = home / "trace"
    machine = Machine(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:

        def runs(status: dg.DagsterRunStatus) -> Sequence[dg.DagsterRun]:
            return instance.get_runs(dg.RunsFilter(statuses=[status]))

        try:
            machine.start()
            wait_for(trace.exists, 90)
            (crashed,) = runs(dg.DagsterRunStatus.STARTED)
            machine.kill()
            machine.start()
            (failed,) = wait_for(lambda: runs(dg.DagsterRunStatus.FAILURE), 90)
            (again,) = wait_for(lambda: runs(dg.DagsterRunStatus.SUCCESS), 90)
            assert instance.get_runs_count() == 2
        finally:
            machine.kill()
    assert failed.run_id == crashed.run_id == again.parent_run_id
    assert again.tags["dagster/retry_number"] == "1"
    lines = [line.split() for line in trace.read_text().splitlines()]
    assert [what for _, what in lines] == ["began", "began", "ended"]
    assert lines[0][0] != lines[1][0] == lines[2][0]
