"""Commands that turn events into results: a consumer of its own, replays, and how things stand.

What they do stands in `analysis` and `events`; they read arguments and print. Where DAGSTER_HOME is
set, Dagster is told of what was analysed, as by a run.
"""

import importlib
import os
import signal
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from signalroom_dagster.commands.terminal import ClientOption, client_named, out, say

if TYPE_CHECKING:
    from signalroom_dagster.analysis.drain import Counts


def consume(
    once: Annotated[bool, typer.Option("--once", help="Analyse what is ready, and end.")] = False,
) -> None:
    """Turn complete jobs into results, until stopped: for where Dagster does not do it."""
    from signalroom_dagster.analysis.consumer import Consumer, drain_all, ready_store

    store = ready_store()
    if once:
        _report(drain_all(store))
        return
    consumer = Consumer(store, f"{socket.gethostname()}:{os.getpid()}", _report)

    def stop(*_: object) -> None:
        consumer.stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if os.environ.get("DAGSTER_HOME"):  # imported now: when it is told to stop, it takes too long
        importlib.import_module("dagster")
    say("consuming; stop with Ctrl-C")
    say(f"ended: {consumer.run(resident=False)}")


def replay(
    client: ClientOption = None,
    job: Annotated[
        list[str] | None, typer.Option("--job", help="Only this job; may be given more than once.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Jobs whose last event came since; ISO, UTC.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="And before; ISO, UTC.")] = None,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Only jobs that failed for good.")
    ] = False,
) -> None:
    """Have finished jobs analysed again, by whatever consumes; their inputs must still be kept."""
    from signalroom_dagster.analysis import replays
    from signalroom_dagster.analysis.store import opened_store

    who = client_named(client)
    count = replays.replay(opened_store(), who.id, job, since, until, dead_letters)
    say(f"{count} jobs of client {who.id} are ready again")


def status() -> None:
    """Show each client's jobs, dead letters and lag; of finished jobs those of the last hour."""
    from signalroom_dagster.analysis.store import opened_store

    columns = ("client", "open", "ready", "done 1h", "failed", "expired", "letters", "kept", "lag")
    table = Table(*columns, box=SIMPLE, padding=(0, 1))
    for tenant, found in opened_store().stats().items():
        counts = (
            found.open,
            found.ready,
            found.done,
            found.failed,
            found.expired,
            found.dead_letters,
        )
        table.add_row(
            tenant,
            *(f"{count:,}" for count in (*counts, found.unpublished)),
            f"{found.lag_seconds:.0f} s",
        )
    out.print(table)


def _report(counts: Mapping[str, "Counts"]) -> None:
    """Tell of what was analysed, here and in Dagster."""
    for client, found in counts.items():
        say(
            f"{client}: {found.jobs:,} jobs from {found.events:,} events, {found.failed} failed"
            f" attempts, {found.lag_seconds:.1f} s to the last result"
        )
    if os.environ.get("DAGSTER_HOME"):
        import dagster as dg

        with dg.DagsterInstance.get() as instance:
            for client, found in counts.items():
                told = dg.AssetMaterialization(
                    ["analysis", "results"], partition=client, metadata=found.figures()
                )
                instance.report_runless_asset_event(told)
