"""Commands that look: which clients there are, how fresh each source is, what is configured and reachable."""

from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from signalroom_dagster.clients import get_client
from signalroom_dagster.commands.terminal import ClientOption, out
from signalroom_dagster.redaction import redact


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
    for found in diagnose(client):
        reachable = reachable and not (found.problem and found.subject == "warehouse")
        broken = broken or bool(found.problem and found.blocks)
        mark = "[green]ok[/]" if not found.problem else "[red]FAIL[/]" if found.blocks else "[yellow]later[/]"
        out.print(f"{mark:>16}  {escape(found.subject)}: ", end="")
        out.print(redact(found.problem or found.what), markup=False, highlight=False)
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
