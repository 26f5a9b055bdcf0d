"""Commands that load: now, for days again, and reference data.

What they do stands in `loading`; they read arguments and print.
"""

import contextlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from signalroom_dagster.commands.terminal import (
    ClientOption,
    JsonOption,
    SinceOption,
    UntilOption,
    client_named,
    err,
    failures_of,
    for_each,
    out,
    print_json,
    say,
)
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.registry.clients import Client, clients_of

if TYPE_CHECKING:
    from rich.progress import Progress

    from signalroom_dagster.loading.backfill import Quote
    from signalroom_dagster.loading.context import Planned


def run(
    source: Annotated[
        str | None, typer.Argument(help="The source to load; leave out with --all.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every source of the client.")] = False,
    client: ClientOption = None,
    resource: Annotated[
        list[str] | None, typer.Option("-r", "--resource", help="Only this resource.")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be loaded and why; load nothing.")
    ] = False,
) -> None:
    """Load a source of one client now, here, and make the models anew that read it."""
    from signalroom_dagster.alerts import telling
    from signalroom_dagster.loading import pipelines
    from signalroom_dagster.loading.spans import Span, as_day
    from signalroom_dagster.registry import catalog

    if every and resource:
        raise ConfigurationError("--resource goes with one source, not with --all")
    who, span = client_named(client), Span(as_day(since), as_day(until))
    _check_begun(span.since, who)

    def load(name: str) -> None:
        if dry_run:
            _print_preview(name, who, pipelines.preview_load(name, who, resource or (), span))
            return
        pipelines.run_with_retries(name, who, f"cli-{uuid.uuid4().hex[:12]}", resource or (), span)
        telling.recovered("source", name, who.id)
        out.print(f"{name} of client {who.id} is loaded")

    chosen = _sources(who, source, every)
    by_day = (
        [name for name in chosen if catalog.is_read_by_day(name)]
        if every and span.is_asked
        else chosen
    )
    if left_out := [name for name in chosen if name not in by_day]:
        out.print(f"not read by day, so left out: {', '.join(left_out)}")
    failed = failures_of(by_day, load)
    if not dry_run:  # of a source that failed on its way, other tables may have been loaded
        untried = {name for name, error in failed if isinstance(error, ConfigurationError)}
        tried = [name for name in by_day if name not in untried]
        failed += failures_of(["models"], lambda _: _make_models(tried, who))
    if not dry_run:
        _tell_left_out(by_day, who)
    if every:
        outcome = f"failed: {', '.join(name for name, _ in failed)}" if failed else "none failed"
        out.print(f"{len(by_day)} sources of client {who.id} tried; {outcome}")
    if failed:
        raise typer.Exit(1)


def backfill(
    source: Annotated[str, typer.Argument(help="The source to read again.")],
    since: Annotated[
        str, typer.Option("--since", help="First day, YYYY-MM-DD, in the client's time zone.")
    ],
    until: Annotated[str, typer.Option("--until", help="Last day, YYYY-MM-DD.")],
    client: ClientOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every active client that uses the source.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also days that today's backfill has read already.")
    ] = False,
    quote: Annotated[
        bool, typer.Option("--quote", help="Say what it would take; read nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read a span of days again; an interrupted one, started again, goes on where it stopped."""
    from rich.progress import Progress

    from signalroom_dagster.loading import backfill, pipelines
    from signalroom_dagster.loading.spans import Span, as_day, check_span

    span = Span(as_day(since), as_day(until))
    check_span(source, span)
    if every == bool(client):
        raise ConfigurationError("name one client with --client, or give --all (not both)")
    active = [who for who in clients_of(source) if who.status == "active"]

    def read(who: Client) -> None:
        _check_begun(span.since, who)
        name = f"backfill-{since}-{until}-{uuid.uuid4().hex[:12] if again else date.today()}"
        estimate = backfill.quote(source, who, span, name)
        if as_json:
            print_json(
                {
                    "client": who.id,
                    "source": source,
                    **asdict(estimate),
                    "minutes": estimate.minutes,
                }
            )
        else:
            _print_quote(source, who, estimate)
        if quote:
            return
        with Progress(console=err, transient=True) as progress:
            advance = _advance(progress, estimate.pieces)
            pipelines.run_with_retries(source, who, name, (), span, advance)
        out.print(f"{source} of client {who.id} is read from {since} to {until}")
        _make_models([source], who)

    for_each(active if every else [client_named(client)], read)


mappings = typer.Typer(
    no_args_is_help=True, help="Reference data: CSV files in git and their tables."
)


@mappings.command("load")
def load_mappings(
    client: ClientOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every client that has reference data.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the difference; change nothing.")
    ] = False,
) -> None:
    """Make a client's rows those of its files, and print what that changes."""
    from signalroom_dagster.reference.load import load_reference
    from signalroom_dagster.reference_data import difference_lines
    from signalroom_dagster.registry import catalog
    from signalroom_dagster.warehouse import access

    if every == bool(client):
        raise ConfigurationError("name one client with --client, or give --all (not both)")

    def load(who: Client) -> None:
        for source in catalog.reference_sources():
            with access.exclusive():
                found = load_reference(source, who, dry_run)
            for line in difference_lines(who.id, found):
                say(line)

    using = {who.id: who for source in catalog.reference_sources() for who in clients_of(source)}
    for_each(using.values() if every else [client_named(client)], load)


def _sources(client: Client, source: str | None, every: bool) -> list[str]:
    if every == bool(source):
        raise ConfigurationError("name one source, or give --all (not both)")
    return list(client.sources) if every else [source or ""]


def _check_begun(since: date | None, client: Client) -> None:
    """Raises ConfigurationError for days that are all still to come: nothing would be read, and all
    look well.
    """
    today = datetime.now(client.zone).date()
    if since and since > today:
        raise ConfigurationError(
            f"--since {since} is still to come: client {client.id} is at {today}"
        )


def _make_models(sources: Sequence[str], client: Client) -> None:
    """What Dagster's automation does after a load of its own."""
    from signalroom_dagster.modeling.runs import left_out_of, run_models_of
    from signalroom_dagster.retries import repeated

    if made := repeated(partial(run_models_of, sources, client), f"client {client.id}, models"):
        say(f"made anew: {', '.join('.'.join(name) for name in made)}")
    for problem in left_out_of(sources):
        err.print(problem, highlight=False, soft_wrap=True)


def _tell_left_out(sources: Sequence[str], client: Client) -> None:
    """Files of the client's that are not, or not whole, in the warehouse."""
    from signalroom_dagster.freshness.status import files_left_out
    from signalroom_dagster.warehouse.errors import DestinationUnreachableError

    with contextlib.suppress(
        ConfigurationError, DestinationUnreachableError
    ):  # which each source has told of
        for each in files_left_out(sources, client.id):
            say(each.words)


def _print_quote(source: str, client: Client, found: "Quote") -> None:
    from signalroom_dagster.reports.subscriptions import reports_reading

    if not found.pieces:
        say(
            f"{source} of client {client.id}: all of it has been read today; --again reads it once"
            " more"
        )
        return
    took = (
        ""
        if found.minutes is None
        else f", {max(0.1, found.minutes):.1f} minutes at {found.per_minute} a minute"
    )
    say(
        f"{source} of client {client.id}: {found.pieces} pieces of {', '.join(found.tables)}; "
        f"at least {found.requests} requests{took}"
    )
    if reports := reports_reading(client, source):
        say(f"reports that read it: {', '.join(reports)}")


def _advance(progress: "Progress", pieces: int) -> Callable[[str], None]:
    """Moves a bar on by one for each piece that is in the warehouse."""
    task = progress.add_task("reading", total=pieces)

    def advance(table: str) -> None:
        progress.update(task, advance=1, description=table)

    return advance


def _print_preview(source: str, client: Client, planned: list["Planned"]) -> None:
    loads = any(item.is_loaded for item in planned)
    if not loads:
        out.print(f"{source} of client {client.id}: nothing to load")
    if not planned:
        return
    does = "would load" if loads else "would pass over"
    table = Table(
        "resource", "what", "why", "bytes", title=f"{source} of client {client.id} {does}"
    )
    table.columns[1].overflow = "fold"
    for item in planned:
        table.add_row(
            item.resource, item.what, item.why, f"{item.size:,}" if item.size is not None else ""
        )
    out.print(table)
