"""Commands that load: now, for days again, and reference data.

What they do stands in `loading`; they read arguments and print.
"""

import uuid
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from signalroom_dagster.clients import Client, clients_of
from signalroom_dagster.commands.terminal import (
    ClientOption,
    SinceOption,
    UntilOption,
    client_named,
    for_each,
    out,
    say,
)
from signalroom_dagster.config import ConfigurationError

if TYPE_CHECKING:
    from signalroom_dagster.sources.context import Planned


def run(
    source: Annotated[str | None, typer.Argument(help="The source to load; leave out with --all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every source of the client.")] = False,
    client: ClientOption = None,
    resource: Annotated[list[str] | None, typer.Option("-r", "--resource", help="Only this resource.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be loaded and why; load nothing.")] = False,
) -> None:
    """Load a source of one client now, in this process."""
    from signalroom_dagster.alerts import telling
    from signalroom_dagster.loading import catalog, runs
    from signalroom_dagster.sources.context import Span, as_day

    if every and resource:
        raise ConfigurationError("--resource goes with one source, not with --all")
    who, span = client_named(client), Span(as_day(since), as_day(until))
    for name in _sources(who, source, every):
        if every and span.is_asked and not catalog.is_read_by_day(name):
            out.print(f"{name} is not read by day: left out")
        elif dry_run:
            _print_preview(name, who, runs.preview_load(name, who, resource or (), span))
        else:
            runs.run_with_retries(name, who, f"cli-{uuid.uuid4().hex[:12]}", resource or (), span)
            telling.recovered("source", name, who.id)
            out.print(f"{name} of client {who.id} is loaded")


def backfill(
    source: Annotated[str, typer.Argument(help="The source to read again.")],
    since: Annotated[str, typer.Option("--since", help="First day, YYYY-MM-DD, in the client's time zone.")],
    until: Annotated[str, typer.Option("--until", help="Last day, YYYY-MM-DD.")],
    client: ClientOption = None,
    every: Annotated[bool, typer.Option("--all", help="Every active client that uses the source.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also days that today's backfill has read already.")] = False,
) -> None:
    """Read a span of days again; one that was interrupted goes on where it stopped when it is started again."""
    from signalroom_dagster.loading import catalog, runs
    from signalroom_dagster.sources.context import Span, as_day

    span = Span(as_day(since), as_day(until))
    catalog.check_span(source, span)
    if every == bool(client):
        raise ConfigurationError("name one client with --client, or give --all (not both)")
    active = [who for who in clients_of(source) if who.status == "active"]

    def read(who: Client) -> None:
        name = f"{since}-{until}-{uuid.uuid4().hex[:12] if again else date.today()}"
        runs.run_with_retries(source, who, f"backfill-{name}", (), span)
        out.print(f"{source} of client {who.id} is read from {since} to {until}")

    for_each(active if every else [client_named(client)], read)


mappings = typer.Typer(no_args_is_help=True, help="Reference data: CSV files in git and their tables.")


@mappings.command("load")
def load_mappings(
    client: ClientOption = None,
    every: Annotated[bool, typer.Option("--all", help="Every client that has reference data.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the difference; change nothing.")] = False,
) -> None:
    """Make a client's rows those of its files, and print what that changes."""
    from signalroom_dagster.loading import catalog, warehouse
    from signalroom_dagster.loading.reference import load_reference
    from signalroom_dagster.reference import difference_lines

    if every == bool(client):
        raise ConfigurationError("name one client with --client, or give --all (not both)")

    def load(who: Client) -> None:
        for source in catalog.reference_sources():
            with warehouse.exclusive():
                found = load_reference(source, who, dry_run)
            for line in difference_lines(who.id, found):
                say(line)

    using = {who.id: who for source in catalog.reference_sources() for who in clients_of(source)}
    for_each(using.values() if every else [client_named(client)], load)


def _sources(client: Client, source: str | None, every: bool) -> list[str]:
    if every == bool(source):
        raise ConfigurationError("name one source, or give --all (not both)")
    return list(client.sources) if every else [source or ""]


def _print_preview(source: str, client: Client, planned: list["Planned"]) -> None:
    if not planned:
        out.print(f"{source} of client {client.id}: nothing to load")
        return
    table = Table("resource", "what", "why", "bytes", title=f"{source} of client {client.id} would load")
    table.columns[1].overflow = "fold"
    for item in planned:
        table.add_row(item.resource, item.what, item.why, f"{item.size:,}" if item.size is not None else "")
    out.print(table)
