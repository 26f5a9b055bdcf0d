"""`signalroom run` while the server goes away: what came after the load is done again, too."""

import itertools
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
