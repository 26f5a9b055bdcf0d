"""Loads in processes of their own, and how to kill one at a chosen point.

Children are forked from a server that has already imported the loader, so that each costs
milliseconds.
"""

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from typing import Any

PRELOADED = [
    __name__,
    "signalroom_dagster.loading.pipelines",
    "signalroom_dagster.loading.duckdb",
    "signalroom_dagster.loading.postgres",
    "signalroom_dagster.sources.s3_exports",
    "signalroom_dagster.sources.everflow",
]

STAGES = ("extract", "normalize", "reading", "mid-copy", "after commit", "before state")
"""Where a load can die: while headers are read, between extract and load, after a file was read but
before its transaction, in the middle of a transaction, after a commit but before dlt notes it,
after all files but before the package is completed.
"""


def start_load(
    environment: Mapping[str, str],
    client_id: str,
    run_id: str,
    stage: str | None = None,
    source: str = "s3_exports",
) -> BaseProcess:
    """Start a load; with a stage, it kills itself there with SIGKILL, or stops in the middle of a
    transaction.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(
        target=_load, args=(dict(environment), client_id, run_id, stage, source)
    )
    process.start()
    return process


def finish(process: BaseProcess, seconds: float = 120) -> int:
    """Wait for a load; its exit code (-9 when it was killed)."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"the load did not end within {seconds} s")
    return process.exitcode


def _load(
    environment: Mapping[str, str], client_id: str, run_id: str, stage: str | None, source: str
) -> None:
    os.environ.update(environment)
    from signalroom_dagster.loading.pipelines import run_with_retries
    from signalroom_dagster.registry.clients import get_client

    if stage:
        _KILLERS[stage]()
    run_with_retries(source, get_client(client_id), run_id)


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at_call(owner: Any, name: str, number: int, *, before: bool) -> None:
    """Let the first calls of a method pass and die in the numbered one."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = itertools.count(1)

    def counted(*args: Any, **kwargs: Any) -> Any:
        mine = next(calls)
        if before and mine == number:
            _die()
        result = original(*args, **kwargs)
        if not before and mine == number:
            _die()
        return result

    setattr(owner, name, counted)


def _during_extract() -> None:
    from signalroom_dagster.sources.s3_exports.export_files import ExportFiles

    _die_at_call(ExportFiles, "columns", 2, before=False)


def _during_normalize() -> None:
    from dlt.normalize.normalize import Normalize

    _die_at_call(Normalize, "run", 1, before=False)


def _after_reading() -> None:
    from signalroom_dagster.sources.s3_exports.export_files import ExportFiles

    _die_at_call(ExportFiles, "read", 2, before=False)


def _during_copy() -> None:
    from signalroom_dagster.loading.duckdb import SignalRoomDuckDbClient
    from signalroom_dagster.loading.postgres import SignalRoomPostgresClient

    for client in (SignalRoomDuckDbClient, SignalRoomPostgresClient):
        _die_at_call(
            client, "copy_csv", 3, before=False
        )  # of two workers, one has committed before the third


def _after_commit() -> None:
    from signalroom_dagster.loading.courier import CourierJob

    _die_at_call(CourierJob, "run", 2, before=False)


def _before_state() -> None:
    from dlt.destinations.job_client_impl import SqlJobClientBase

    _die_at_call(SqlJobClientBase, "complete_load", 1, before=True)


def _stopped() -> None:
    from signalroom_dagster.loading.postgres import SignalRoomPostgresClient
    from signalroom_dagster.warehouse import transactions

    transactions.IDLE_SECONDS = 2
    copy, calls = SignalRoomPostgresClient.copy_csv, itertools.count()

    def copy_and_stop(*args: Any, **named: Any) -> int:
        copied = copy(*args, **named)
        if next(calls) == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        return copied

    SignalRoomPostgresClient.copy_csv = copy_and_stop  # type: ignore[method-assign]


def _during_stock_extract() -> None:
    from dlt.extract.extractors import Extractor

    _die_at_call(Extractor, "write_items", 2, before=False)


def _after_first_job() -> None:
    from dlt.common.destination.client import RunnableLoadJob

    _die_at_call(RunnableLoadJob, "run_managed", 1, before=False)


def _after_third_job() -> None:
    from dlt.common.destination.client import RunnableLoadJob

    _die_at_call(RunnableLoadJob, "run_managed", 3, before=False)


def _after_all_jobs() -> None:
    from signalroom_dagster.loading.staged import Staging

    _die_at_call(Staging, "complete_load", 1, before=True)


def _once_it_is_there() -> None:
    from signalroom_dagster.loading.staged import Staging

    _die_at_call(Staging, "drop_staging", 2, before=True)


NATIVE_STAGES: Mapping[str, Callable[[], None]] = {
    "stock extract": _during_stock_extract,
    "normalize": _during_normalize,
    "first job": _after_first_job,
    "third job": _after_third_job,
    "all jobs": _after_all_jobs,
    "before _dlt_loads": _before_state,
    "after _dlt_loads": _once_it_is_there,
}
"""Where a load of any dlt source can die."""

_KILLERS: Mapping[str, Callable[[], None]] = {
    **NATIVE_STAGES,
    "stopped": _stopped,
    **dict(
        zip(
            STAGES,
            (
                _during_extract,
                _during_normalize,
                _after_reading,
                _during_copy,
                _after_commit,
                _before_state,
            ),
            strict=True,
        )
    ),
}
