"""A `.env` in the checkout names production, as docs/DEPLOYMENT.md asks for: nothing of the sandbox
ever gets there.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import psycopg2
import pytest

from bench import measure
from signalroom_dagster import config, sandboxed, sections
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.events.settings import event_settings
from signalroom_dagster.notifications.message import NotConfiguredError
from signalroom_dagster.notifications.settings import Slack, configured
from signalroom_dagster.sandbox import channels
from signalroom_dagster.sandbox.outbox import Outbox
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.warehouse import places
from signalroom_dagster_tests.defs.test_commands import materialize
from signalroom_dagster_tests.postgres import free_port
from signalroom_dagster_tests.projects import ROOT, Project
from signalroom_dagster_tests.running.dagster_dev import wait_for

CLI = [sys.executable, "-W", "ignore", "-m", "signalroom_dagster.cli"]
MATERIALIZE = [
    sys.executable,
    "-W",
    "ignore",
    "-m",
    "dagster",
    "asset",
    "materialize",
    "-m",
    "signalroom_dagster.definitions",
    "--select",
    "s3_exports/orders_create",
    "--partition",
    "713",
]
SECRET = "xoxb-production-token"


class Production:
    """What `.env` names: a warehouse that is an event store too, Dagster's folder, and a Slack that
    answers.
    """

    def __init__(self, folder: Path, postgres_url: str, slack: VendorServer) -> None:
        self.checkout, self.home = folder / "checkout", folder / "production"
        self._url, self._slack = postgres_url, slack
        self.home.mkdir()
        self.settings = {
            "SIGNALROOM_ENV": "production",
            "SIGNALROOM_DESTINATION": "postgres",
            "SIGNALROOM_STATE_DIR": str(self.home),
            "DESTINATION__POSTGRES__CREDENTIALS": postgres_url,
            "EVENTS__STORE": postgres_url,
            "DAGSTER_HOME": str(self.home),
            **channels.variables(slack.url),
            "NOTIFICATIONS__SLACK__TOKEN": SECRET,
        }
        _copy_checkout(self.checkout)
        self.poison(self.checkout)

    def poison(self, folder: Path) -> None:
        """Put the `.env` into a folder."""
        (folder / ".env").write_text(
            "".join(f"{name}={value}\n" for name, value in self.settings.items())
        )

    def has_no_data(self) -> bool:
        """Whether nothing was written into the warehouse and the event store, and nothing sent."""
        with psycopg2.connect(self._url) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog',"
                " 'information_schema')"
            )
            return cursor.fetchone() == (0,) and not self._slack.requests

    def is_untouched(self) -> bool:
        """Whether, besides, Dagster noted no run there."""
        return self.has_no_data() and not list(self.home.iterdir())


def _copy_checkout(target: Path) -> None:
    target.mkdir()
    for name in ("data", ".dlt"):
        shutil.copytree(ROOT / name, target / name)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, target / name)


@pytest.fixture
def production(tmp_path: Path, postgres_url: str) -> Iterator[Production]:
    with serve(channels.routes(Outbox())) as slack:
        yield Production(tmp_path, postgres_url, slack)


def run(
    production: Production, *command: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """A command in the checkout, as its user runs it."""
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(sandboxed.PREFIXES)
    }
    own = {
        "SIGNALROOM_PROJECT_DIR": str(production.checkout),
        "PYTHONPATH": str(ROOT),
        **environment,
    }
    return subprocess.run(
        command,
        cwd=production.checkout,
        env={**plain, **own},
        capture_output=True,
        text=True,
        check=False,
        timeout=540,
    )


def test_the_sandbox_loads_into_its_own_warehouse(production: Production) -> None:
    done = run(production, *CLI, "sandbox", *MATERIALIZE)
    assert done.returncode == 0, done.stderr
    assert (production.checkout / ".demo" / "signalroom.duckdb").is_file()
    assert production.is_untouched()


@pytest.mark.slow
def test_in_a_folder_with_another_env_the_sandbox_opens_nothing_and_names_what_was_set(
    production: Production,
) -> None:
    done = run(
        production,
        *CLI,
        "sandbox",
        "bash",
        "-c",
        f"cd '{production.checkout}' && exec \"$@\"",
        "-",
        *MATERIALIZE,
    )
    assert done.returncode != 0
    assert "this process belongs to the sandbox, but DAGSTER_HOME, " in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert not (production.checkout / ".demo" / "signalroom.duckdb").exists()
    assert production.has_no_data()


@pytest.mark.slow
def test_demo_commands_leave_out_what_the_shell_has_exported(production: Production) -> None:
    done = run(
        production,
        *CLI,
        "--demo",
        "run",
        "everflow",
        "-r",
        "affiliates",
        "--client",
        "713",
        **production.settings,
    )
    assert done.returncode == 0, done.stderr
    assert production.is_untouched()


@pytest.mark.slow
def test_the_whole_demo_stays_in_its_folder(production: Production) -> None:
    done = run(production, sys.executable, "-W", "ignore", "-m", "signalroom_dagster.sandbox.demo")
    assert done.returncode == 0, done.stdout
    assert production.is_untouched()


@pytest.mark.slow
def test_make_dev_shows_the_demo_and_runs_nothing_elsewhere(production: Production) -> None:
    (production.checkout / ".venv").symlink_to(ROOT / ".venv")
    port = free_port()
    command = ["make", "-f", str(ROOT / "Makefile"), "-o", ".venv/.ready", "dev", f"PORT={port}"]
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(sandboxed.PREFIXES)
    }
    plain |= {"SIGNALROOM_PROJECT_DIR": str(production.checkout)}
    with subprocess.Popen(
        command, cwd=production.checkout, env=plain, start_new_session=True
    ) as dev:
        try:
            wait_for(lambda: _is_up(f"http://127.0.0.1:{port}"), "make dev")
            assert list((production.checkout / ".demo" / "dagster").iterdir())
        finally:
            os.killpg(dev.pid, signal.SIGINT)
            dev.wait(60)
    assert production.is_untouched()


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/server_info", timeout=5).is_success
    except httpx.HTTPError:
        return False


@pytest.mark.slow
def test_a_test_s_own_dagster_is_refused_where_env_names_another_warehouse(
    production: Production, project: Project
) -> None:
    project.add_client("713")
    (project.root / "dagster-1").mkdir()
    production.poison(project.root / "dagster-1")
    process = materialize(project, "713", 1)
    assert "this process belongs to the sandbox" in process.communicate(timeout=240)[0]
    assert process.returncode != 0
    assert production.has_no_data()


@pytest.mark.slow
def test_a_benchmark_is_refused_where_env_names_another_warehouse(
    production: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "WORK", production.checkout)
    with pytest.raises(RuntimeError, match="failed"):
        measure.run_program(
            *MATERIALIZE,
            SIGNALROOM_DESTINATION="duckdb",
            DESTINATION__DUCKDB__CREDENTIALS=str(tmp_path / "bench.duckdb"),
            DAGSTER_HOME=str(production.home),
        )
    assert production.has_no_data()


OPENINGS: Mapping[str, Callable[[], object]] = {
    "the DuckDB file": places.duckdb_path,
    "the Postgres warehouse": places.postgres_url,
    "the event store": event_settings,
    "a client's account": lambda: sections.source_settings(Settings, "everflow", "713"),
    "what must outlive a run": config.state_dir,
    "Dagster's webserver": config.webserver_url,
}


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize(
    "variable", ["SUPABASE_DB_HOST", "DESTINATION__DUCKDB__CREDENTIALS", "EVENTS__STORE"]
)
def test_every_opening_refuses_settings_that_are_not_the_sandbox_s(
    opening: str, variable: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_api_client("713", "everflow", api_key="key")
    project.use_postgres("postgresql://nobody@127.0.0.1/none")
    monkeypatch.setenv(sandboxed.MARK, project.process_environment()[sandboxed.MARK])
    OPENINGS[opening]()
    monkeypatch.setenv(variable, "another")
    with pytest.raises(
        ConfigurationError, match=f"belongs to the sandbox, but {variable} no longer"
    ):
        OPENINGS[opening]()


def test_a_channel_refuses_settings_that_are_not_the_sandbox_s(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.set(**channels.variables("http://127.0.0.1:1"))
    monkeypatch.setenv(sandboxed.MARK, project.process_environment()[sandboxed.MARK])
    configured(Slack)
    monkeypatch.delenv("NOTIFICATIONS__SLACK__BASE_URL")
    with pytest.raises(NotConfiguredError, match=r"NOTIFICATIONS__SLACK__BASE_URL no longer"):
        configured(Slack)
