"""A real `dagster dev` over a temporary project: its processes, how they are killed, and what
became of runs.

All of its processes are one process group of their own, so that also those which outlive their
parents are found.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

import dagster as dg
import httpx
import psutil
import yaml

from signalroom_dagster_tests.postgres import free_port
from signalroom_dagster_tests.projects import ROOT, Project

LONG = 240.0
"""Seconds after which a wait is given up; nothing is proved by its length."""
POLL = 0.2
DAEMON, WEBSERVER, CODE_SERVER, GRPC = (
    "dagster._daemon",
    "dagster_webserver",
    "code-server start",
    "api grpc",
)
"""What stands in the command lines of the processes."""
ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
LAUNCH = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
REPOSITORIES = """{ repositoriesOrError { ... on RepositoryConnection { nodes { name location {
name } } } } }"""
T = TypeVar("T")


def wait_for(look: Callable[[], T | None], what: str, seconds: float = LONG) -> T:
    """What `look` finds, as soon as it is something."""
    give_up = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < give_up, f"waited {seconds:.0f} s for {what}"
        time.sleep(POLL)
    return found


class DagsterDev:
    """Webserver, daemon, code server and workers, with the project's own `dagster.yaml` at shorter
    intervals.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.home = project.root / "dagster"
        self.home.mkdir()
        self.url = f"http://127.0.0.1:{free_port()}"
        settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
        settings["run_monitoring"] |= {
            "poll_interval_seconds": 2,
            "free_slots_after_run_end_seconds": 2,
        }
        settings["run_coordinator"].setdefault("config", {})["dequeue_interval_seconds"] = 1
        if "user_code_failure_retry_delay" in settings["run_coordinator"]["config"]:
            settings["run_coordinator"]["config"]["user_code_failure_retry_delay"] = 3
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(settings))
        project.set(
            SIGNALROOM_ENV="production",
            SIGNALROOM_WEBSERVER_URL=self.url,
            DAGSTER_HOME=str(self.home),
            DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS="1",
        )
        self._open = ExitStack()
        self.instance = self._open.enter_context(dg.DagsterInstance.from_config(str(self.home)))
        self._started: subprocess.Popen[bytes] | None = None
        self._groups: list[int] = []
        self.place: Mapping[str, str] = {}
        """Repository and code location, as GraphQL's selectors name them."""

    def start(self) -> None:
        """Start, unless it runs, and wait until the webserver knows the jobs."""
        if self._started is None or self._started.poll() is not None:
            self._started = self._spawn()
            self._groups.append(self._started.pid)
        self.place = wait_for(self._repository, "the webserver")

    def _spawn(self) -> "subprocess.Popen[bytes]":
        environment = self.project.process_environment() | {"DAGSTER_DISABLE_TELEMETRY": "1"}
        command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", "-h", "127.0.0.1"]
        command += ["-p", self.url.rpartition(":")[2], "-w", str(ROOT / "workspace.yaml")]
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.project.root,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def close(self) -> None:
        """End everything that was ever started here."""
        self.kill()
        self._open.close()

    def kill(self) -> None:
        """As sudden as a power cut: every process, those too that outlived an earlier start."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        if self._started:
            self._started.wait(30)
        wait_for(lambda: not list(self.processes()), "the end of all processes", 60)

    def wait_until_down(self) -> None:
        """Wait until `dagster dev` itself has ended."""
        assert self._started
        wait_for(
            lambda: self._started and self._started.poll() is not None, "the end of dagster dev"
        )

    def processes(self, kind: str = "") -> Iterator[psutil.Process]:
        """The living processes of any start, or those whose command line names a kind."""
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                ours = (
                    os.getpgid(process.pid) in self._groups
                    and process.status() != psutil.STATUS_ZOMBIE
                )
                if ours and kind in " ".join(process.cmdline()):
                    yield process

    def ask(self, query: str, **variables: Any) -> Any:
        """What GraphQL answers."""
        answer = httpx.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60
        )
        return answer.raise_for_status().json()["data"]

    def launch(self, job: str, client: str, **tags: str) -> str:
        """Start a run as the UI does; its id."""
        named = {
            "dagster/partition": client,
            **{name.replace("__", "/"): value for name, value in tags.items()},
        }
        launched = self.ask(
            LAUNCH,
            params={
                "selector": {**self.place, "jobName": job},
                "executionMetadata": {
                    "tags": [{"key": key, "value": value} for key, value in named.items()]
                },
            },
        )["launchRun"]
        assert "run" in launched, launched
        return launched["run"]["runId"]

    def run(self, run_id: str) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run_id)
        assert found
        return found

    def runs(self, job: str, client: str) -> Sequence[dg.DagsterRun]:
        """Every run of a job for a client, the first one first."""
        wanted = dg.RunsFilter(job_name=job, tags={"dagster/partition": client})
        return self.instance.get_runs(wanted, ascending=True)

    def runs_from(self, run_id: str) -> Sequence[dg.DagsterRun]:
        """A run and those that were started in its place, in order."""
        group = self.instance.get_run_group(run_id)
        return (
            sorted(group[1], key=lambda run: int(run.tags.get("dagster/retry_number", 0)))
            if group
            else []
        )

    def worker(
        self, run_id: str, event: dg.DagsterEventType = dg.DagsterEventType.RUN_START
    ) -> int:
        """The process that works a run off, once it has come to an event."""

        def found() -> int | None:
            records = self.instance.get_records_for_run(run_id, of_type=event, limit=1).records
            dagster_event = records[0].event_log_entry.dagster_event if records else None
            return dagster_event.pid if dagster_event else None

        return wait_for(found, f"the {event.value} of run {run_id}")

    def ended(self, run_id: str) -> dg.DagsterRunStatus:
        """How a run ended, once it has."""
        wait_for(lambda: self.run(run_id).status in ENDED, f"the end of run {run_id}")
        return self.run(run_id).status

    def replaced(self, run_id: str, times: int = 1) -> dg.DagsterRun:
        """The run that was started in a run's place, the numbered time."""
        return wait_for(
            lambda: [*self.runs_from(run_id)[times:], None][0], f"retry {times} of run {run_id}"
        )

    def finished(self, run_id: str) -> dg.DagsterRun:
        """The last of the runs that were started in a run's place, once nothing more is to come."""

        def found() -> dg.DagsterRun | None:
            last = [self.run(run_id), *self.runs_from(run_id)][-1]
            to_come = (
                last.status == dg.DagsterRunStatus.FAILURE
                and last.tags.get("dagster/will_retry") != "false"
            )
            return last if last.status in ENDED and not to_come else None

        return wait_for(found, f"the end of run {run_id} and its retries")

    def attempts(self, run_id: str) -> int:
        """How often a run's loading step was begun."""
        return sum(stats.attempts or 0 for stats in self.instance.get_run_step_stats(run_id))

    def log(self) -> str:
        """What all processes wrote."""
        return (self.home / "log").read_text()

    def _repository(self) -> Mapping[str, str] | None:
        assert self._started and self._started.poll() is None, self.log()
        with suppress(httpx.HTTPError):
            for node in self.ask(REPOSITORIES)["repositoriesOrError"].get("nodes", ()):
                return {
                    "repositoryName": node["name"],
                    "repositoryLocationName": node["location"]["name"],
                }
        return None


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
