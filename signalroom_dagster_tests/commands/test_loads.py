"""`signalroom run` while the server goes away: what came after the load is done again, too."""

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from signalroom_dagster import cli
from signalroom_dagster.modeling import runs
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.errors import DestinationUnreachableError
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project, orders, write_export

END_MYSELF = "SELECT pg_terminate_backend(pg_backend_pid())"


def test_models_are_made_again_when_the_server_ends_their_connection(
    project: Project, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.use_postgres(postgres_url)
    bucket = project.add_client(
        "713", prefixes=("orders-create", "orders-update", "prospects-create")
    )
    write_export(bucket / "orders-create/one.csv", orders([1, 2]))
    make, calls = runs.run_model, itertools.count()

    def make_without_the_server_at_first(*arguments: Any) -> Any:
        if next(calls) == 0:
            with access.connected() as query:
                query(END_MYSELF)
        return make(*arguments)

    monkeypatch.setattr(runs, "run_model", make_without_the_server_at_first)
    result = CliRunner().invoke(cli.app, ["run", "s3_exports", "--client", "713"])
    assert result.exit_code == 0, result.output
    assert ask("SELECT count(*) FROM public.orders") == [(2,)]


def test_a_connection_that_the_server_ends_is_told_as_a_warehouse_that_cannot_be_reached(
    project: Project, postgres_url: str
) -> None:
    project.use_postgres(postgres_url)
    with (
        access.connected() as query,
        pytest.raises(DestinationUnreachableError, match="asking Postgres"),
    ):
        query(END_MYSELF)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_an_output_that_is_full_keeps_no_work_from_being_done(project: Project) -> None:
    bucket = project.add_client("713")
    write_export(bucket / "orders-create/report_2026-03-01.csv", orders([1, 2]))
    command = [sys.executable, "-m", "signalroom_dagster.cli", "run", "--all", "--client", "713"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command,
            env=project.process_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1
    assert ask("SELECT count(*) FROM public.orders") == [(2,)]
    assert done.stderr.splitlines()[-1] == (
        "signalroom: the work went on, but its output could not be written: No space left on device"
    )
