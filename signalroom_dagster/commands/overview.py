"""Commands that look: which clients there are, how fresh each source is, what is configured and reachable."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from signalroom_dagster.clients import Client, get_client, load_clients
from signalroom_dagster.commands.terminal import ClientOption, JsonOption, out, print_json, say
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.redaction import redact

if TYPE_CHECKING:
    from signalroom_dagster.loading.inspection import Diagnosis


def clients(as_json: JsonOption = False) -> None:
    """List the clients, their sources, and how fresh each is."""
    from signalroom_dagster.loading.status import freshness

    loaded_sources = freshness()
    if as_json:
        rows = ({**asdict(item), "client": item.client.id, "status": item.client.status} for item in loaded_sources)
        print_json(list(rows))
        return
    table = Table("client", "status", "source", "files/days", "rows", "last load", box=SIMPLE, padding=(0, 1))
    for column in table.columns:
        column.no_wrap = True
    for item in loaded_sources:
        loaded = item.loaded_at.astimezone(item.client.zone).strftime("%Y-%m-%d %H:%M") if item.loaded_at else "never"
        who = item.client
        table.add_row(who.id, who.status, item.source, f"{item.pieces:,}", f"{item.rows:,}", loaded)
    out.print(table)


def doctor(
    client: ClientOption = None,
    create: Annotated[bool, typer.Option("--create", help="Also create every declared table that is missing.")] = False,
) -> None:
    """Check configuration, credentials and connections without loading anything."""
    from signalroom_dagster.analysis.publishing import create_table_of_results
    from signalroom_dagster.analysis.store import opened_store
    from signalroom_dagster.loading import catalog, model_runs, runs, warehouse
    from signalroom_dagster.loading.status import diagnose
    from signalroom_dagster.reports import making

    catalog.check_clients()
    if client:
        get_client(client)
    broken, reachable = False, True
    for found in (*diagnose(client), *_declared(client)):
        reachable = reachable and not (found.problem and found.subject == "warehouse")
        broken = broken or bool(found.problem and found.blocks)
        mark = "[green]   ok[/]" if not found.problem else "[red] FAIL[/]" if found.blocks else "[yellow]later[/]"
        out.print(f"{mark}  {escape(found.subject)}: ", end="")
        say(redact(found.problem or found.what))
    if create and reachable:
        for source in catalog.source_names():
            runs.create_tables(source)
        with warehouse.exclusive():
            model_runs.create_models()
        making.create_tables_of_reports()
        opened_store()
        create_table_of_results()
        out.print("every declared table exists")
    if broken:
        raise typer.Exit(1)


def _declared(only: str | None) -> Iterator["Diagnosis"]:
    """Each client's reports and contract for events. One that is wrong keeps Dagster from loading any client's."""
    from signalroom_dagster.events.contracts import contract_of
    from signalroom_dagster.loading.inspection import Diagnosis
    from signalroom_dagster.reports.subscriptions import subscriptions

    def reports(client: Client) -> str:
        return ", ".join(item.name for item in subscriptions(client))

    def analysis(client: Client) -> str:
        return ", ".join(sorted(contract_of(client.id, client.analysis).required)) if client.analysis else ""

    checks: tuple[Callable[[Client], str], ...] = (reports, analysis)
    for client in load_clients().values():
        for check in checks if only in (None, client.id) else ():
            try:
                if what := check(client):
                    yield Diagnosis(f"{client.id}/{check.__name__}", what, None)
            except ConfigurationError as error:
                yield Diagnosis(f"{client.id}/{check.__name__}", "", str(error))
