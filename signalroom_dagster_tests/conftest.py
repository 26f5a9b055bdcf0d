"""Fixtures that several test modules share: real Postgres, a temporary project, both
destinations.
"""

import gc
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import time_machine

from signalroom_dagster import retries
from signalroom_dagster.sandbox import channels
from signalroom_dagster.sandbox.shops import FIRST_DAY
from signalroom_dagster.sandboxed import PREFIXES
from signalroom_dagster.warehouse import duckdb, postgres
from signalroom_dagster_tests.dlt_types import remember_types
from signalroom_dagster_tests.duckdb_files import warehouse_kept_open
from signalroom_dagster_tests.object_stores import ObjectStore, running_object_store
from signalroom_dagster_tests.postgres import PostgresServer
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.providers import Providers, running_providers

if TYPE_CHECKING:
    import dagster as dg

os.environ.pop(
    "PYTHONDONTWRITEBYTECODE", None
)  # imports are most of a small process: compile them once
sys.dont_write_bytecode = False
os.environ[FIRST_DAY] = "2026-03-01"  # the figures that tests know are those of this week


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--at", help="Run as if it were this moment, ISO with an offset: make test-clocks"
    )


def pytest_configure(config: pytest.Config) -> None:
    if at := config.getoption("--at"):
        move_clocks(datetime.fromisoformat(at))


def move_clocks(moment: datetime) -> None:
    """This process's clock, and by as much those of the warehouses, which would go on telling the
    real time.
    """
    ahead = round((moment - datetime.now(UTC)).total_seconds())
    for engine in (postgres, duckdb):
        engine.CLOCK = f"({engine.CLOCK} + INTERVAL '{ahead} seconds')"
    time_machine.travel(moment).start()


remember_types()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that is `slow_on` a warehouse is slow with that one."""
    for item in items:
        warehouse = getattr(item, "callspec", None) and item.callspec.params.get("any_warehouse")  # pyright: ignore[reportAttributeAccessIssue]
        if any(warehouse in marker.args for marker in item.iter_markers("slow_on")):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """What was imported by now stays: the garbage collector need not look through it again and
    again.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = (*PREFIXES, "REPORTS__", "INGEST__")
    for name in [
        name for name in os.environ if name.startswith(ours) and name != "SIGNALROOM_TEST_PG_BIN"
    ]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer().start()
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """An empty database."""
    return postgres_server.empty_database("test")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project without clients that loads into DuckDB; its environment is this process's as soon
    as it is set.
    """
    made = Project(tmp_path / "project", monkeypatch.setenv)
    with warehouse_kept_open(made, monkeypatch):
        yield made


@pytest.fixture(params=["duckdb", "postgres"])
def any_warehouse(request: pytest.FixtureRequest, project: Project) -> Project:
    """The project, once with each destination."""
    if request.param == "postgres":
        project.use_postgres(request.getfixturevalue("postgres_url"))
    return project


@pytest.fixture
def object_store() -> Iterator[ObjectStore]:
    """S3 over HTTP with one empty bucket."""
    with running_object_store() as store:
        yield store


@pytest.fixture(scope="session")
def _providers() -> Iterator[Providers]:
    with running_providers() as providers:
        yield providers


@pytest.fixture
def providers(project: Project, _providers: Providers) -> Providers:
    """Slack, e-mail and text messages, all configured, with nothing sent yet."""
    _providers.forget()
    project.set(**channels.variables(_providers.server.url))
    return _providers


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> "Iterator[dg.DagsterInstance]":
    """A Dagster instance of its own for each test, in memory: its SQLite files would cost more than
    the loads.

    What is tried again is so without the waits, which are a matter of `retries` and its tests.
    """
    import dagster as dg

    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.01)
    with dg.DagsterInstance.ephemeral() as made:
        yield made
