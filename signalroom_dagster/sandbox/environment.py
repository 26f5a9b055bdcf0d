"""The settings that point SignalRoom at the sandbox, and nothing at production.

Each stand-in vendor is one function that runs it and yields the environment variables of its
source; `STAND_INS` lists them. Where the warehouse and Dagster keep their files belongs here too;
what the vendors answer does not.
"""

import json
import os
import subprocess
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from signalroom_dagster import sandboxed
from signalroom_dagster.config import project_dir
from signalroom_dagster.registry.clients import load_clients
from signalroom_dagster.sandbox.exports import PREFIXES
from signalroom_dagster.sandbox.google_sheets_data import SHEETS
from signalroom_dagster.sandbox.market import MARKETS
from signalroom_dagster.sandbox.object_store import REGION, access_key, bucket_name, object_store
from signalroom_dagster.sandbox.posthog_data import PROJECTS
from signalroom_dagster.sandbox.shops import FIRST_DAY, SHOPS, first_day

Environment: TypeAlias = dict[str, str]
StandIn: TypeAlias = Callable[[], AbstractContextManager[Environment]]


@contextmanager
def sandbox_environment(folder: Path | None = None) -> Generator[Environment]:
    """Run every stand-in vendor for the length of the block; yields the settings of a process that
    works with them.

    Everything that is written lies below `folder`, `.demo` in the project by default. Raises
    ConfigurationError when the `sandbox` extra is not installed.
    """
    root = (folder or project_dir() / ".demo").resolve()
    root.mkdir(parents=True, exist_ok=True)
    _hold_on_to_the_week(root)
    _invent_for(load_clients())
    with ExitStack() as running:
        environment = _own_places(root)
        for stand_in in STAND_INS:
            environment |= running.enter_context(stand_in())
        yield environment


@contextmanager
def in_the_sandbox(folder: Path | None = None, **more: str) -> Generator[Environment]:
    """Run the sandbox and let this process, and those that it starts, work with that alone, to the
    block's end.
    """
    with sandbox_environment(folder) as settings:
        settings |= more
        before = dict(os.environ)
        _become(sandboxed.only(settings, before))
        try:
            yield settings
        finally:
            _become(before)


def run_there(command: Sequence[str], settings: Environment) -> int:
    """Run a command where no `.env` is read, to its end; its exit code. Ctrl-C ends the command,
    which ends this.
    """
    with subprocess.Popen(command, cwd=settings["DAGSTER_HOME"]) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the terminal has told the command, too


def _become(environment: Environment) -> None:
    os.environ.clear()
    os.environ.update(environment)


def client_variables(source: str, client_id: str, /, **settings: str) -> Environment:
    """The settings of one source for one client as environment variables, under dlt's own names."""
    path = f"SOURCES__{source}__CLIENTS__{client_id}"
    return {f"{path}__{key}".upper(): value for key, value in settings.items()}


def _own_places(root: Path) -> Environment:
    return {
        "SIGNALROOM_ENV": "dev",
        "SIGNALROOM_PROJECT_DIR": str(project_dir()),
        "SIGNALROOM_DESTINATION": "duckdb",
        "SIGNALROOM_WORK_DIR": str(root / "work"),
        "SIGNALROOM_REPORTS_DIR": str(root / "reports"),
        "SIGNALROOM_SECRETS_DIR": str(root),
        "DESTINATION__DUCKDB__CREDENTIALS": str(root / "signalroom.duckdb"),
        "DAGSTER_HOME": str(_dagster_home(root / "dagster")),
        "EVENTS__STORE": f"sqlite:///{root / 'dagster' / 'events.db'}",
    }


def _invent_for(client_ids: Iterable[str]) -> None:
    """Give a client that is new in the registry what another one has, under ids of its own."""
    for number, client_id in enumerate(sorted({*client_ids} - SHOPS.keys()), 1):
        SHOPS[client_id] = replace(
            SHOPS["cti"], client_id=client_id, first_order_id=20_000_001 + number * 1_000_000
        )
        MARKETS[client_id] = replace(MARKETS["cti"], client_id=client_id)
        SHEETS[client_id] = SHEETS["cti"]
        PROJECTS[client_id] = PROJECTS["cti"] + number


def _hold_on_to_the_week(root: Path) -> None:
    """What was loaded from the sandbox is of one week: its stand-ins go on telling of that one
    until the next demo.
    """
    noted = root / "first_day"
    if not noted.is_file():
        noted.write_text(str(first_day()))
    os.environ[FIRST_DAY] = noted.read_text()


def _dagster_home(home: Path) -> Path:
    """Dagster's folder, with the project's instance settings as they are now."""
    home.mkdir(parents=True, exist_ok=True)
    settings, copy = project_dir() / "dagster.yaml", home / "dagster.yaml"
    if settings.is_file() and not (copy.is_file() and copy.read_bytes() == settings.read_bytes()):
        copy.write_bytes(settings.read_bytes())
    return home


@contextmanager
def _s3_exports() -> Generator[Environment]:
    with object_store() as url:
        environment: Environment = {}
        for client_id in SHOPS:
            environment |= client_variables(
                "s3_exports",
                client_id,
                bucket_url=f"s3://{bucket_name(client_id)}",
                prefixes=json.dumps(PREFIXES),
                aws_access_key_id=access_key(client_id),
                aws_secret_access_key=access_key(client_id),
                endpoint_url=url,
                region_name=REGION,
            )
        yield environment


@contextmanager
def _vendors() -> Generator[Environment]:
    from signalroom_dagster.sandbox import channels
    from signalroom_dagster.sandbox.vendor_server import serve
    from signalroom_dagster.sandbox.vendors import VENDORS

    routes = [route for vendor in VENDORS.values() for route in vendor.routes()]
    with serve([*routes, *channels.routes()]) as server:
        environment: Environment = dict(channels.variables(server.url))
        for source, vendor in VENDORS.items():
            for client_id in SHOPS:
                environment |= client_variables(
                    source, client_id, **vendor.settings(client_id, server.url)
                )
        yield environment


STAND_INS: tuple[StandIn, ...] = (_s3_exports, _vendors)
