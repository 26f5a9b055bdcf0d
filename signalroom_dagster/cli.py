"""The `signalroom` command. It only reads arguments and prints; what it does stands in `loading` and `sandbox`.

https://typer.tiangolo.com/
"""

import logging
import os
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from signalroom_dagster.clients import Client, clients_of, get_client, load_clients
from signalroom_dagster.config import ConfigurationError

if TYPE_CHECKING:
    from signalroom_dagster.sources.context import Planned

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
out = Console()
err = Console(stderr=True)

SinceOption = Annotated[str | None, typer.Option("--since", help="First day to read again, YYYY-MM-DD.")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Last day to read, YYYY-MM-DD.")]
ClientOption = Annotated[str | None, typer.Option("--client", help="The client's id, as in data/clients/.")]


@app.callback()
def start(
    context: typer.Context,
    demo: Annotated[bool, typer.Option("--demo", help="Run against the sandbox and the warehouse in .demo/.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say more about what is going on.")] = False,
) -> None:
    """SignalRoom: every client's cost and revenue in one warehouse, every morning."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("signalroom_dagster").setLevel(logging.DEBUG if verbose else logging.INFO)
    if demo:
        from signalroom_dagster.sandbox.environment import sandbox_environment

        os.environ.update(context.with_resource(sandbox_environment()))


@app.command()
def clients() -> None:
    """List the clients, their sources, and how fresh each is."""
    from signalroom_dagster.loading.status import freshness

    table = Table("client", "status", "source", "files/days", "rows", "last load", box=SIMPLE, padding=(0, 1))
    for column in table.columns:
        column.no_wrap = True
    for item in freshness():
        loaded = item.loaded_at.astimezone(item.client.zone).strftime("%Y-%m-%d %H:%M") if item.loaded_at else "never"
        who = item.client
        table.add_row(who.id, who.status, item.source, f"{item.pieces:,}", f"{item.rows:,}", loaded)
    out.print(table)


@app.command()
def doctor(
    client: ClientOption = None,
    create: Annotated[bool, typer.Option("--create", help="Also create every declared table that is missing.")] = False,
) -> None:
    """Check configuration, credentials and connections without loading anything."""
    from signalroom_dagster.loading import catalog, model_runs, runs, warehouse
    from signalroom_dagster.loading.status import diagnose
    from signalroom_dagster.reports import making

    catalog.check_clients()
    if client:
        get_client(client)
    broken, reachable = False, True
    for found in diagnose(client):
        reachable = reachable and not (found.problem and found.subject == "warehouse")
        broken = broken or bool(found.problem and found.blocks)
        mark = "[green]ok[/]" if not found.problem else "[red]FAIL[/]" if found.blocks else "[yellow]later[/]"
        out.print(f"{mark:>16}  {found.subject}: ", end="")
        out.print(found.problem or found.what, markup=False, highlight=False)
    if create and reachable:
        for source in catalog.source_names():
            runs.create_tables(source)
        with warehouse.exclusive():
            model_runs.create_models()
        making.create_tables_of_reports()
        out.print("every declared table exists")
    if broken:
        raise typer.Exit(1)


@app.command()
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
    who, span = _client(client), Span(as_day(since), as_day(until))
    for name in _sources(who, source, every):
        if every and span.is_asked and not catalog.is_read_by_day(name):
            out.print(f"{name} is not read by day: left out")
        elif dry_run:
            _print_preview(name, who, runs.preview_load(name, who, resource or (), span))
        else:
            runs.run_with_retries(name, who, f"cli-{uuid.uuid4().hex[:12]}", resource or (), span)
            telling.recovered("source", name, who.id)
            out.print(f"{name} of client {who.id} is loaded")


@app.command()
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

    _for_each(active if every else [_client(client)], read)


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="The report's name, as in the client's client.toml.")],
    client: ClientOption = None,
    day: Annotated[str | None, typer.Option("--date", help="The reported day, YYYY-MM-DD; default: yesterday.")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Only slack, email or sms.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send it to those that get it and do not have it yet.")] = False,
    resend: Annotated[bool, typer.Option("--resend", help="With --send: also to those that have it.")] = False,
) -> None:
    """Write a report as files, show its text, and with --send bring it to its recipients."""
    from signalroom_dagster.reports import making
    from signalroom_dagster.sources.context import as_day

    who, via = _client(client), making.as_channel(channel)
    made = making.make_report(who, name, as_day(day) or making.yesterday(who))
    out.print(made.rendered.sms if via == "sms" else made.rendered.text, markup=False, highlight=False, soft_wrap=True)
    for path in making.write_files(made):
        out.print(str(path), markup=False, highlight=False, soft_wrap=True)
    if send:
        run_id = f"cli-{uuid.uuid4().hex[:12]}"
        done = making.send_report(made, run_id, making.channels(), resend=resend, channel=via)
        for item in done:
            said = f"{item.channel} {item.recipient}: {item.status} {item.error or ''}"
            out.print(said.rstrip(), markup=False, highlight=False, soft_wrap=True)
        if any(item.status == "unknown" for item in done):
            raise typer.Exit(1)


mappings = typer.Typer(no_args_is_help=True, help="Reference data: CSV files in git and their tables.")
app.add_typer(mappings, name="mappings")


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
                out.print(line, markup=False, highlight=False, soft_wrap=True)

    using = {who.id: who for source in catalog.reference_sources() for who in clients_of(source)}
    _for_each(using.values() if every else [_client(client)], load)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sandbox(context: typer.Context) -> None:
    """Start the stand-in vendors; with a COMMAND, run it against them, else wait for Ctrl-C."""
    from signalroom_dagster.sandbox.environment import sandbox_environment

    with sandbox_environment() as environment:
        if context.args:
            raise typer.Exit(subprocess.run(context.args, env={**os.environ, **environment}, check=False).returncode)
        for name, value in environment.items():
            out.print(f"export {name}='{value}'", markup=False, highlight=False, soft_wrap=True)
        err.print("The sandbox is up; stop it with Ctrl-C.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            err.print("stopped")


def main() -> None:
    """The console script: errors that a person can act on are one line, not a traceback."""
    try:
        app()
    except _told() as error:
        _tell(error)
        raise SystemExit(1) from None


def _told() -> tuple[type[Exception], ...]:
    """The errors whose message says all there is to say."""
    from signalroom_dagster.loading.errors import LoadError
    from signalroom_dagster.loading.load_warehouse import RowCountError
    from signalroom_dagster.notifications.message import PermanentDeliveryError, RetryableDeliveryError
    from signalroom_dagster.sources.http import VendorDataError, VendorError

    ours = (ConfigurationError, LoadError, RowCountError, VendorError, VendorDataError)
    return (*ours, PermanentDeliveryError, RetryableDeliveryError, OSError)


def _tell(error: Exception) -> None:
    err.print(f"signalroom: {error}", style="red", markup=False, highlight=False, soft_wrap=True)


def _for_each(clients: Iterable[Client], work: Callable[[Client], None]) -> None:
    """Do something for every client; one that fails is told and does not keep the others from it."""
    failed = False
    for client in clients:
        try:
            work(client)
        except _told() as error:
            failed = True
            _tell(error)
    if failed:
        raise typer.Exit(1)


def _client(client_id: str | None) -> Client:
    if not client_id:
        raise ConfigurationError(f"say which client: --client {' | --client '.join(load_clients())}")
    return get_client(client_id)


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


if __name__ == "__main__":
    main()
