"""The sandbox's exports over S3 HTTP into DuckDB: what `make demo` shows, counted."""

from pathlib import Path

import pytest

from signalroom_dagster.loading import file_checks
from signalroom_dagster.loading.pipelines import preview_load, run_load
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.sandbox.environment import sandbox_environment
from signalroom_dagster.warehouse import access

COUNTS = {"713": (19_378, 3, 14), "cti": (5_211, 393, 14)}
"""Rows, rejected rows and files of each client."""


def test_every_row_of_both_clients_comes_over_http_and_is_accounted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sandbox_environment(tmp_path) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for client_id in COUNTS:
            run_load("s3_exports", get_client(client_id), f"run-{client_id}")
            assert preview_load("s3_exports", get_client(client_id)) == []
    with access.exclusive(), access.connected() as query:
        ledger = query(
            "SELECT _client_id, sum(rows_loaded), sum(rows_rejected), count(*) FROM"
            " s3_exports.files GROUP BY 1"
        )
        assert {
            client: (int(rows), int(rejected), files) for client, rows, rejected, files in ledger
        } == COUNTS
        for client_id in COUNTS:
            for table in ("orders_create", "orders_update"):
                run = f"run-{client_id}"
                assert file_checks.row_balance(query, "s3_exports", table, client_id, run).passed
                assert file_checks.key_unique(query, "s3_exports", table, client_id, run).passed
        statuses = {row[0] for row in query("SELECT DISTINCT status FROM s3_exports.files")}
    assert statuses == {"loaded", "empty", "quarantined"}
