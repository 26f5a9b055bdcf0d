"""Google Sheets run alone: with dlt and a stock destination, twice without doubling, and give what
a load gives.
"""

import json
from pathlib import Path

import pytest
from dlt.extract import DltSource

from signalroom_dagster.registry import catalog
from signalroom_dagster.retries import root_error
from signalroom_dagster.sandbox.google_sheets import Google, account_email, service_account_key
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.google_sheets import google_sheets
from signalroom_dagster.sources.google_sheets.sheets import SheetError
from signalroom_dagster_tests.loads import load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.alone import rows_alone, rows_of_the_load, run_alone
from signalroom_dagster_tests.sources.google_sheets.clients import BUDGETS, SPEND, add_client

CALLS = {**SPEND, "columns": {"date": "datetime", "cost": "decimal"}}


def alone(server: VendorServer) -> DltSource:
    return google_sheets(
        credentials=json.dumps(service_account_key(account_email("713"), server.url)),
        sheets={"spend": SPEND, "budgets": BUDGETS, "calls": CALLS},
        base_url=f"{server.url}/google_sheets",
        requests_per_minute=600,
    )


@pytest.mark.slow_on("postgres")
def test_sheets_alone_load_twice_what_a_load_loads(
    any_warehouse: Project, server: VendorServer, tmp_path: Path
) -> None:
    add_client(any_warehouse, server, sheets={"spend": SPEND, "budgets": BUDGETS, "calls": CALLS})
    load("google_sheets")
    for _ in range(2):
        run_alone(tmp_path, alone(server))
    for table, facts in catalog.table_facts("google_sheets").items():
        if not facts.load:
            continue
        columns = [name for name in facts.columns if name not in ("_client_id", "_loaded_at")]
        rows = rows_alone(tmp_path, "google_sheets", table, columns)
        assert rows == rows_of_the_load("google_sheets", table, columns), table
        assert rows, table


def test_a_row_that_is_deleted_vanishes_also_alone_and_a_sheet_that_was_emptied_is_not_believed(
    project: Project, server: VendorServer, google: Google, tmp_path: Path
) -> None:
    run_alone(tmp_path, alone(server))
    cells = google.spreadsheets["book-713"].tabs["Spend 2026"]
    del cells[4]
    run_alone(tmp_path, alone(server))
    assert rows_alone(tmp_path, "google_sheets", "spend", ["_row_id"]) == [(1,), (3,)]
    del cells[1:]
    with pytest.raises(Exception) as raised:  # noqa: PT011 - dlt's own, around ours
        run_alone(tmp_path, alone(server))
    assert isinstance(error := root_error(raised.value), SheetError)
    assert str(error).startswith("source google_sheets: sheet spend of spreadsheet book-713")
    assert len(rows_alone(tmp_path, "google_sheets", "spend", ["_row_id"])) == 2
