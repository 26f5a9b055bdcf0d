"""`make demo`: every asset of every client through Dagster into `.demo/`, then what came of it.

Runs the commands that a user would run, in processes of their own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from signalroom_dagster.config import project_dir, state_dir
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.modeling.sql import models
from signalroom_dagster.registry.catalog import source_names, tables_of
from signalroom_dagster.registry.clients import Client, load_clients
from signalroom_dagster.reports.report import make_report, write_files
from signalroom_dagster.reports.subscriptions import ReportDay, subscriptions
from signalroom_dagster.sandbox.demo_events import send_events
from signalroom_dagster.sandbox.environment import in_the_sandbox
from signalroom_dagster.sandbox.shops import SHOPS, first_day, last_day
from signalroom_dagster.warehouse.access import connected, exclusive
from signalroom_dagster.warehouse.places import duckdb_path

RESULTS = ("analysis", "results")
KEPT_NOT_SENT = {"REPORTS__SEND": "false", "REPORTS__WAIT_MINUTES": "0"}
QUIET = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}
NEXT = """  make dev                        the Dagster UI on this data, at http://127.0.0.1:3000
  make shell                      a shell with the commands on its path; in it:
  signalroom --demo clients
  signalroom --demo report daily_ccw --client 713"""
_NOISE = re.compile(r"^.*? - dagster - (INFO|WARNING|ERROR) - [^-]+ - [0-9a-f-]{36} - (?:\S+ - )?")

screen = Console()


def main() -> None:
    """Load everything that the sandbox offers and print a summary; exits 1 when a load failed."""
    started = time.monotonic()
    starting = (
        "Starting the sandbox: a local S3 and stand-in vendors with the invented data of two"
        " clients ..."
    )
    screen.print(starting, soft_wrap=True)
    _leave_another_week(project_dir() / ".demo")
    with in_the_sandbox():
        os.environ |= KEPT_NOT_SENT
        send_events([client.id for client in _clients()], screen)
        for client in _clients():
            _materialize("not group:reports", client)
            for subscription in subscriptions(client):
                _materialize(f"reports/{subscription.name}", client)
        _summarize()
        _show_results()
        for client in _clients():
            _write_reports(client)
        shown = duckdb_path().relative_to(project_dir())
    screen.print(f"\nDone in {time.monotonic() - started:.0f} s. The warehouse is {shown}. Next:")
    screen.print(NEXT, markup=False, highlight=False, soft_wrap=True)


def _leave_another_week(folder: Path) -> None:
    """The data end yesterday: what an earlier demo loaded of another week, or an older version did,
    goes.
    """
    noted = folder / "first_day"
    if folder.is_dir() and not (noted.is_file() and noted.read_text() == str(first_day())):
        shutil.rmtree(folder)


def _clients() -> list[Client]:
    """The clients that the sandbox has data for; no other is touched."""
    return [client for client in load_clients().values() if client.id in SHOPS]


def _materialize(selection: str, client: Client) -> None:
    """Run Dagster's own command, where no `.env` lies, and show the lines that concern the load.

    Raises SystemExit when the run failed.
    """
    shown = f"dagster asset materialize --select '{selection}' --partition {client.id}"
    screen.print(f"\n[bold]{shown}[/]", highlight=False)
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize"]
    command += [
        "-m",
        "signalroom_dagster.definitions",
        "--select",
        selection,
        "--partition",
        client.id,
    ]
    command += ["--config-json", json.dumps(QUIET)]
    process = subprocess.Popen(
        command,
        cwd=state_dir(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    for line in process.stdout or ():
        text, found = _NOISE.subn("  ", line.rstrip())
        if found or "Error" in line:
            screen.print(text, highlight=False, markup=False, soft_wrap=True)
    if process.wait() != 0:
        screen.print(f"[red]client {client.id} failed[/]; the lines above say why")
        raise SystemExit(1)


def _write_reports(client: Client) -> None:
    """Each report of a client for the last day that the sandbox has: its text here, the rest as
    files.
    """
    for subscription in subscriptions(client):
        screen.print(
            f"\n[bold]signalroom report {subscription.name} --client {client.id}[/]",
            highlight=False,
        )
        made = make_report(ReportDay(client, subscription, last_day()))
        screen.print(made.rendered.slack, markup=False, highlight=False, soft_wrap=True)
        for path in write_files(made):
            screen.print(
                f"  {path.relative_to(project_dir())}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def _summarize() -> None:
    """How many rows each table has of each client."""
    clients = _clients()
    table = Table(
        "table", *(f"rows of {client.id}" for client in clients), title="What is in the warehouse"
    )
    with exclusive(), connected() as query:
        tables = [
            *(each for source in source_names() for each in tables_of(source)),
            *models(),
            RESULTS,
        ]
        for schema, name in tables:
            counted = dict(query(f"SELECT _client_id, count(*) FROM {schema}.{name} GROUP BY 1"))
            table.add_row(
                f"{schema}.{name}", *(f"{counted.get(client.id, 0):,}" for client in clients)
            )
    screen.print()
    screen.print(table)


def _show_results() -> None:
    """The best results of each client's jobs."""
    columns = ("_client_id", "job_id", "score", "best_campaign", "roas")
    table = Table(
        *columns, title="The best of analysis.results, from events", box=SIMPLE, padding=(0, 1)
    )
    with exclusive(), connected() as query:
        for client in _clients():
            best = "WHERE _client_id = %s ORDER BY score DESC, job_id LIMIT 3"
            for row in query(
                f"SELECT {', '.join(columns)} FROM analysis.results {best}", client.id
            ):
                table.add_row(*map(str, row))
    screen.print()
    screen.print(table)


if __name__ == "__main__":
    try:
        main()
    except ConfigurationError as problem:
        screen.print(f"demo: {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
