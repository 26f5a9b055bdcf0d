"""The run launcher: Dagster's default one, which also notices that a run's worker is gone.

The default launcher cannot: after a power cut its runs stay STARTED for ever, hold their places in
the queue and are never run again. Run monitoring asks here every poll and fails the runs called
FAILED; `run_retries` in `dagster.yaml` starts those again. A wrong FAILED starts a second writer
beside a living one, so every doubt means RUNNING.

A run past its longest time is ended here, too. Monitoring itself would only ask its worker to stop
and fail the run: a worker that waits for a vendor or a lock then goes on beside the run that takes
its place.

https://docs.dagster.io/deployment/execution/run-monitoring
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

# Dagster has no public names for what a launcher answers monitoring with, nor for how it asks a
# code server: the types of the answer, the client, its questions and answers, and their format.
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import (
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    CancelExecutionRequest,
    GetCurrentRunsResult,
)
from dagster._serdes import deserialize_value

from signalroom_dagster.platform.tags import MAX_RUNTIME_TAG

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
ANSWER_SECONDS = 10
CLOCK_SLACK_SECONDS = 2.0


class HealthCheckingRunLauncher(dg.DefaultRunLauncher):
    """Launches runs on code servers and tells monitoring which of them have lost their worker."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Without this, monitoring does not ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """RUNNING, or FAILED when the worker is certainly gone.

        Runs of the command line have no code server, and their machine is unknown: they are never
        judged.
        """
        server = self._get_grpc_client_for_termination(run.run_id)
        if server is None:
            return CheckRunHealthResult(
                WorkerStatus.RUNNING, "not started by a code server: not judged"
            )
        is_here = server.host in LOCAL_HOSTS
        found = (
            self._check_here(server, run.run_id)
            if is_here
            else _check_elsewhere(server, run.run_id)
        )
        longest = self._exceeded(run)
        if longest is None or found.status is not WorkerStatus.RUNNING:
            return found
        self._end_worker(server, run.run_id)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"it took longer than {longest:.0f} s and was ended"
        )

    def _exceeded(self, run: dg.DagsterRun) -> float | None:
        """The longest time of a run, in seconds, once it has taken longer; Dagster's own settings
        say how long.
        """
        record = self._instance.get_run_record_by_id(run.run_id)
        try:
            longest = float(
                run.tags.get(MAX_RUNTIME_TAG) or self._instance.run_monitoring_max_runtime_seconds
            )
        except ValueError:
            return None  # monitoring warns of a tag that is no number
        began = record.start_time if record else None
        return longest if longest and began is not None and time.time() - began > longest else None

    def _end_worker(self, server: DagsterGrpcClient, run_id: str) -> None:
        """kill -9, which loads are made for; on another machine the server is asked to interrupt
        it.
        """
        if server.host not in LOCAL_HOSTS:
            server.cancel_execution(CancelExecutionRequest(run_id=run_id))
        elif (worker := self._worker(run_id)) and _is_alive(*worker):
            os.kill(worker[0], signal.SIGKILL)

    def _check_here(self, server: DagsterGrpcClient, run_id: str) -> CheckRunHealthResult:
        """The server's word when it vouches for the run, else the process table.

        A server that restarted or reloaded its code no longer knows a run whose worker lives on
        (`dagster dev` answers from the newest copy of the code only), so its "no" proves nothing.
        It is asked first because it needs no clock.
        """
        answer = _answer(server, run_id)
        if answer == "knows the run":
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        worker = self._worker(run_id)
        if worker and _is_alive(*worker):
            return CheckRunHealthResult(
                WorkerStatus.RUNNING, f"its code server {answer}; process {worker[0]} lives"
            )
        process = f"process {worker[0]}" if worker else "process"
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"its worker {process} is gone, its code server {answer}"
        )

    def _worker(self, run_id: str) -> tuple[int, float] | None:
        """The worker's process id and when it was surely running (epoch): the start event, written
        by the worker.
        """
        found = self._instance.get_records_for_run(
            run_id, of_type=dg.DagsterEventType.RUN_START, limit=1
        )
        entry = found.records[0].event_log_entry if found.records else None
        event = entry.dagster_event if entry else None
        return (event.pid, entry.timestamp) if entry and event and event.pid else None


def _answer(server: DagsterGrpcClient, run_id: str) -> str:
    """What the code server says of the run. Not GetCurrentRuns: the servers of `dagster dev` do not
    offer it.
    """
    try:
        reply = server.can_cancel_execution(
            CanCancelExecutionRequest(run_id=run_id), timeout=ANSWER_SECONDS
        )
    except dg.DagsterError:
        return "cannot be reached"
    return (
        "knows the run"
        if deserialize_value(reply, CanCancelExecutionResult).can_cancel
        else "does not know the run"
    )


def _check_elsewhere(server: DagsterGrpcClient, run_id: str) -> CheckRunHealthResult:
    """For a server on another machine or in another container, whose processes cannot be seen from
    here.

    Silence may be the network, so it is waited out: no retry could start before the server is back.
    Once back, the list of its runs is the truth, because its workers are its children; `dagster
    code-server` has no such list.
    """
    try:
        runs = deserialize_value(server.get_current_runs(), GetCurrentRunsResult).current_runs
    except dg.DagsterError:
        return CheckRunHealthResult(
            WorkerStatus.RUNNING, f"{server.host} does not tell its runs: not judged"
        )
    if run_id in runs:
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(
        WorkerStatus.FAILED, f"the code server on {server.host} no longer runs it"
    )


def _is_alive(pid: int, seen_at: float) -> bool:
    """Whether `pid` is still the process seen then; a younger one was given the same number, after
    a reboot say.
    """
    began = _began_at(pid) if sys.platform == "linux" else _began_at_by_ps(pid)
    return began is not None and began <= seen_at + CLOCK_SLACK_SECONDS


def _began_at(pid: int) -> float | None:
    """When a process began (epoch); None when it is gone or a zombie. From /proc: slim images have
    no `ps`.
    """
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    booted = re.search(r"^btime (\d+)", Path("/proc/stat").read_text(), re.MULTILINE)
    ticks = int(numbers[18])
    return (
        None
        if state in "ZX"
        else (int(booted[1]) if booted else 0) + ticks / os.sysconf("SC_CLK_TCK")
    )


def _began_at_by_ps(pid: int) -> float | None:
    """The same where there is no /proc, to the second; rather too early than too late, which would
    mean another one.
    """
    now = time.time()
    told = subprocess.run(
        ["ps", "-o", "stat=", "-o", "etime=", "-p", str(pid)], stdout=subprocess.PIPE, text=True
    )
    state, _, elapsed = told.stdout.strip().partition(" ")
    if not state or state.startswith("Z"):
        return None
    parts = reversed(re.split("[-:]", elapsed))
    return now - sum(
        int(part) * unit for part, unit in zip(parts, (1, 60, 3_600, 86_400), strict=False)
    )
