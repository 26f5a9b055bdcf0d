"""Commands that look: which clients there are, how fresh each source is, what is configured and
reachable.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from signalroom_dagster.commands.terminal import ClientOption, JsonOption, err, out, print_json, say
from signalroom_dagster.config import project_dir
from signalroom_dagster.redaction import redact
from signalroom_dagster.registry.clients import get_client, load_clients, unreadable_clients

if TYPE_CHECKING:
    from signalroom_dagster.doctor.inspection import Diagnosis


COLOURS = {"ok": "green", "warn": "yellow", "later": "cyan", "fail": "red"}
SHOWN = {"ok": "   ok", "warn": " warn", "later": "later", "fail": " FAIL"}


def clients(as_json: JsonOption = False) -> None:
    """List the clients, their sources, and how fresh each is."""
    from signalroom_dagster.freshness.status import standing

    loaded_sources = [each.loaded for each in standing()]
    if as_json:
        rows = (
            {**asdict(item), "client": item.client.id, "status": item.client.status}
            for item in loaded_sources
        )
        print_json(list(rows))
        return
    if not (loaded_sources or unreadable_clients()):
        say(f"no client yet: each is a file {project_dir()}/data/clients/<id>/client.toml")
        return
    table = Table(
        "client", "status", "source", "files/days", "rows", "last load", box=SIMPLE, padding=(0, 1)
    )
    for column in table.columns:
        column.no_wrap = True
    for item in loaded_sources:
        loaded = (
            item.loaded_at.astimezone(item.client.zone).strftime("%Y-%m-%d %H:%M")
            if item.loaded_at
            else "never"
        )
        who = item.client
        table.add_row(who.id, who.status, item.source, f"{item.pieces:,}", f"{item.rows:,}", loaded)
    out.print(table)
    for problem in unreadable_clients().values():
        say(f"set aside: {problem}")


def roles(
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL that makes them, for the administrator.")
    ] = False,
) -> None:
    """List the roles of the warehouse on Postgres: who may read which client's rows."""
    from signalroom_dagster.registry import catalog
    from signalroom_dagster.warehouse.row_security import roles_sql

    if sql:
        typer.echo(roles_sql(load_clients(), catalog.schemas()))
        return
    say("signalroom_loader: what SignalRoom connects with")
    say("signalroom_agency: sees the rows of every client")
    for client in load_clients().values():
        say(f"signalroom_client_{client.id}: sees the rows of client {client.name}")
    say("`signalroom roles --sql` prints what makes them")


def doctor(
    client: ClientOption = None,
    create: Annotated[
        bool, typer.Option("--create", help="Also create every declared table that is missing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check configuration, credentials and connections without loading anything.

    Exits 1 where something fails; warnings, and what a planned client still lacks (later), do not.
    """
    from signalroom_dagster.doctor.diagnosis import diagnose
    from signalroom_dagster.doctor.inspection import Diagnosis
    from signalroom_dagster.doctor.unread_variables import unread_variables

    if client:
        get_client(client)
    aside = {found.subject: found for found in _set_aside(client)}
    asked = (found for found in diagnose(client) if found.subject not in aside)
    variables = (Diagnosis(name, "", problem, blocks=False) for name, problem in unread_variables())
    diagnoses: list[Diagnosis] = []
    for diagnosis in (*variables, *aside.values(), *asked, *_declared(client)):
        diagnoses.append(diagnosis)
        if not as_json:
            out.print(
                f"[{COLOURS[diagnosis.state]}]{SHOWN[diagnosis.state]}[/] "
                f" {escape(diagnosis.subject)}: ",
                end="",
            )
            say(redact(diagnosis.problem or diagnosis.what))
    counts = Counter(diagnosis.state for diagnosis in diagnoses)
    if as_json:
        print_json(
            [
                {
                    "state": item.state,
                    "subject": item.subject,
                    "text": redact(item.problem or item.what),
                }
                for item in diagnoses
            ]
        )
    else:
        say(", ".join(f"{counts[state]} {state}" for state in COLOURS if counts[state]))
    if create and not any(item.subject == "warehouse" and item.problem for item in diagnoses):
        _create_declared()
        err.print("every declared table exists")
    if counts["fail"]:
        raise typer.Exit(1)


def _create_declared() -> None:
    """Create every declared table that is missing."""
    from signalroom_dagster.analysis.publishing import create_table_of_results
    from signalroom_dagster.analysis.store import opened_store
    from signalroom_dagster.loading.pipelines import create_tables
    from signalroom_dagster.modeling.runs import create_models
    from signalroom_dagster.registry import catalog
    from signalroom_dagster.reports.tables import create_report_tables
    from signalroom_dagster.warehouse import access

    for source in catalog.source_names():
        create_tables(source)
    with access.exclusive():
        create_models()
        create_report_tables()
    opened_store()
    create_table_of_results()


def _set_aside(only: str | None) -> Iterator["Diagnosis"]:
    """What cannot be read, planned or compiled, of one client or of all."""
    from signalroom_dagster.declarations import problems
    from signalroom_dagster.doctor.inspection import Diagnosis

    for item in problems():
        if only is None or item.client in ("", only):
            what = item.subject.removeprefix("source ") if item.client else item.subject
            subject = f"{item.client}/{what}" if item.client else what
            yield Diagnosis(subject, "", item.problem)


def _declared(only: str | None) -> Iterator["Diagnosis"]:
    """Each client's reports and contract for events, as far as they can be read."""
    from signalroom_dagster.doctor.inspection import Diagnosis
    from signalroom_dagster.events.contracts import load_contracts
    from signalroom_dagster.reports.subscriptions import subscriptions

    contracts = load_contracts()
    for client in load_clients().values():
        if only in (None, client.id):
            if reports := ", ".join(item.name for item in subscriptions(client)):
                yield Diagnosis(f"{client.id}/reports", reports, None)
            if client.id in contracts:
                yield Diagnosis(
                    f"{client.id}/analysis", ", ".join(sorted(contracts[client.id].required)), None
                )
