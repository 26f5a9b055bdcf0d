"""Commands for a running system: start a load through Dagster, and see how everything stands."""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.table import Table

from signalroom_dagster.commands.terminal import (
    ClientOption,
    JsonOption,
    client_named,
    err,
    out,
    print_json,
    say,
)

if TYPE_CHECKING:
    from signalroom_dagster.freshness.status import Standing

POLL_SECONDS = 2.0
COLOURS = {"stale": "red", "fresh": "green"}
ENDED = {"SUCCESS": 0, "FAILURE": 1, "CANCELED": 1}


def trigger(
    source: Annotated[str, typer.Argument(help="The source to load.")],
    client: ClientOption = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the run's end; exits 1 when it failed.")
    ] = False,
) -> None:
    """Start a load through a running Dagster, unless it is queued or going on already."""
    from signalroom_dagster.config import ui_url
    from signalroom_dagster.registry import catalog
    from signalroom_dagster.triggers import run_status, trigger_run

    who = client_named(client)
    catalog.source_module(source)
    found = trigger_run(source, who.id, by="command line")
    say(
        f"{source} of client {who.id}: {'run' if found.started else 'already'}"
        f" {found.status.lower()}"
    )
    say(f"{ui_url()}/runs/{found.run_id}")
    status = found.status
    while wait and status not in ENDED:
        time.sleep(POLL_SECONDS)
        if (now := run_status(found.run_id)) != status:
            status = now
            err.print(f"  {status.lower()}", highlight=False)
    if wait and ENDED[status]:
        raise typer.Exit(ENDED[status])


def status(as_json: JsonOption = False) -> None:
    """Show how fresh each client's data is, how its last loads went, and what is broken."""
    from signalroom_dagster.alerts import telling
    from signalroom_dagster.freshness.status import files_left_out, standing

    now, open_incidents = datetime.now(UTC), telling.open_incidents()
    if as_json:
        sources = [_row(item, now) for item in standing()]
        print_json(
            {
                "sources": sources,
                "incidents": [asdict(incident) for incident in open_incidents],
                "files_left_out": [asdict(each) for each in files_left_out()],
            }
        )
        return
    table = Table(
        "client", "source", "last load", "rows", "data up to", "state", box=SIMPLE, padding=(0, 1)
    )
    for item in standing():
        who, age = item.loaded.client, item.age
        state = item.state(now)
        table.add_row(
            who.id,
            item.loaded.source,
            _ago(item.loaded.loaded_at, now) or "never",
            f"{item.loaded.rows:,}",
            age.covered.astimezone(who.zone).strftime("%Y-%m-%d %H:%M") if age else "",
            f"[{COLOURS[state]}]{state}[/]" if state in COLOURS else state,
        )
    out.print(table)
    for each in files_left_out():
        say(each.words)
    shown = (
        f"[red]open incidents: {len(open_incidents)}[/]" if open_incidents else "no open incidents"
    )
    out.print(shown, highlight=False)
    for incident in open_incidents:
        since = datetime.fromtimestamp(incident.opened_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        who = f" of client {incident.client}" if incident.client else ""
        say(f"  {incident.subject}{who}: {incident.error}, {incident.failures} times since {since}")


def _row(item: "Standing", now: datetime) -> dict[str, Any]:
    return {
        "client": item.loaded.client.id,
        "source": item.loaded.source,
        "state": item.state(now),
        "rows": item.loaded.rows,
        "loaded_at": item.loaded.loaded_at,
        "data_up_to": item.age.covered if item.age else None,
    }


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return ""
    minutes = int((now - moment).total_seconds() // 60)
    told = (
        f"{minutes} min"
        if minutes < 120
        else f"{minutes // 60} h"
        if minutes < 48 * 60
        else f"{minutes // 1440} d"
    )
    return f"{told} ago"
