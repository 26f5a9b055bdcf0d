"""Google Sheets into the warehouse, with its traps: what is loaded is what stands in the cells, or
nothing is.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from signalroom_dagster.loading import slice_checks
from signalroom_dagster.loading.pipelines import run_with_retries
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.retries import decide, root_error
from signalroom_dagster.sandbox import google_sheets
from signalroom_dagster.sandbox.google_sheets import Google
from signalroom_dagster.sandbox.google_sheets_data import SHEETS, Formatted
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.google_sheets.clients import (
    BUDGETS,
    SPEND,
    add_client,
    load_with_notes,
)

ROWS = (
    "SELECT _row_id, date, source, cost, note, active FROM google_sheets.spend WHERE _client_id ="
    " '713' ORDER BY 1"
)
LOADED = [
    (1, date(2026, 3, 2), "facebook", Decimal("12.5"), None, True),
    (3, date(2026, 3, 3), None, Decimal(7), None, None),
    (4, date(2026, 3, 4), "radio", Decimal("1234.5678"), "from the invoice", False),
]


def failure(*resources: str, client_id: str = "713") -> BaseException:
    """What a load raises."""
    with pytest.raises(Exception) as raised:
        load("google_sheets", client_id, *resources)
    return root_error(raised.value)


def test_rows_are_what_stands_in_the_cells_with_their_number_in_the_sheet(
    vendor: VendorServer,
) -> None:
    load("google_sheets")
    assert ask(ROWS) == LOADED
    assert ask("SELECT resource, rows, vendor_total FROM google_sheets.windows") == [
        ("spend", 3, 3)
    ]


def test_after_a_second_read_the_rows_are_the_sheets_whatever_was_changed_removed_or_added(
    vendor: VendorServer, google: Google
) -> None:
    load("google_sheets")
    load("google_sheets")
    assert ask(ROWS) == LOADED
    cells = google.spreadsheets["book-713"].tabs["Spend 2026"]
    cells[1][2] = 13
    del cells[3]
    cells.append([46086, "print"])
    load("google_sheets")
    assert ask(ROWS) == [
        (1, date(2026, 3, 2), "facebook", Decimal(13), None, True),
        (3, date(2026, 3, 4), "radio", Decimal("1234.5678"), "from the invoice", False),
        (4, date(2026, 3, 5), "print", None, None, None),
    ]


def test_two_clients_share_a_table_with_columns_of_either_and_an_emptied_sheet_empties_its_own_rows(
    any_warehouse: Project, vendor: VendorServer, google: Google
) -> None:
    other = {
        **SPEND,
        "range": "'CTI'!A1:Z",
        "columns": {"date": "date", "agency fee": "decimal"},
        "may_shrink": True,
    }
    add_client(any_warehouse, vendor, "cti", {"spend": other})
    google.spreadsheets["book-713"].tabs["CTI"] = [["Date", "Agency Fee"], [46083, 1.5]]
    load("google_sheets", "713")
    load("google_sheets", "cti")
    both = "SELECT _client_id, date, source, agency_fee FROM google_sheets.spend ORDER BY 1, 2"
    ours = [("713", day, source, None) for _, day, source, *_ in LOADED]
    assert ask(both) == [*ours, ("cti", date(2026, 3, 2), None, Decimal("1.5"))]
    google.spreadsheets["book-713"].tabs["CTI"] = [["Date", "Agency Fee"]]
    load("google_sheets", "cti")
    assert ask(both) == ours


def test_dates_with_a_time_are_instants_of_the_spreadsheets_own_zone(
    any_warehouse: Project, vendor: VendorServer, google: Google
) -> None:
    cells: list[list[Any]] = [
        ["called at"],
        [46023.5],
        [46204.999988],
        ["2026-07-01T12:00:00+02:00"],
        ["7/1/2026 1:30 PM"],
    ]
    google.spreadsheets["book-713"].tabs["Calls"] = cells
    calls = {**SPEND, "range": "Calls!A:A", "columns": {"called at": "datetime"}}
    add_client(any_warehouse, vendor, sheets={"calls": calls})
    load("google_sheets")
    assert [
        at.astimezone(UTC)
        for (at,) in ask("SELECT called_at FROM google_sheets.calls ORDER BY _row_id")
    ] == [
        datetime(2026, 1, 1, 17, tzinfo=UTC),
        datetime(2026, 7, 2, 3, 59, 59, tzinfo=UTC),
        datetime(2026, 7, 1, 10, tzinfo=UTC),
        datetime(2026, 7, 1, 17, 30, tzinfo=UTC),
    ]
    google.spreadsheets["book-713"].zone = "Moon/Tranquility"
    assert "time zone Moon/Tranquility is unknown" in str(failure())


def test_the_sandboxs_sheets_load_for_both_clients(project: Project) -> None:
    with serve(google_sheets.routes()) as server:
        for client_id in SHEETS:
            project.add_api_client(
                client_id, "google_sheets", **google_sheets.settings(client_id, server.url)
            )
            load("google_sheets", client_id)
    counted = ask(
        "SELECT _client_id, count(*), count(date), count(cost) FROM google_sheets.spend_2026 GROUP"
        " BY 1"
    )
    assert sorted(counted) == [("713", 14, 14, 13), ("cti", 7, 7, 6)]
    assert ask("SELECT _client_id, count(*) FROM google_sheets.budgets GROUP BY 1") == [("713", 4)]


def test_the_sheets_of_a_spreadsheet_are_read_with_one_token_and_one_request(
    project: Project, server: VendorServer
) -> None:
    add_client(project, server, sheets={"spend": SPEND, "budgets": BUDGETS})
    load("google_sheets")
    asked = [request.path.rpartition("/")[2] for request in server.requests]
    assert asked == ["token", "book-713", "values:batchGet"]
    assert ask("SELECT month, budget FROM google_sheets.budgets") == [
        (date(2026, 3, 1), 5000),
        (date(2026, 4, 1), 5500),
    ]


def test_a_retry_does_not_read_what_its_run_has_loaded(duck: VendorServer) -> None:
    run = load("google_sheets")
    asked = len(duck.requests)
    load("google_sheets", run_id=run)
    assert len(duck.requests) == asked
    load("google_sheets")
    assert len(duck.requests) > asked


def test_a_renamed_tab_fails_its_own_sheet_with_what_to_look_for_and_leaves_its_rows(
    project: Project, duck: VendorServer, google: Google
) -> None:
    add_client(project, duck, sheets={"spend": SPEND, "budgets": BUDGETS})
    load("google_sheets")
    tabs = google.spreadsheets["book-713"].tabs
    tabs["Spend"] = tabs.pop("Spend 2026")
    error = failure("spend")
    for named in (
        "client 713",
        "book-713",
        "sheet spend",
        "'Spend 2026'!A1:Z",
        "renamed or removed",
        "Budgets, Spend",
    ):
        assert named in str(error)
    assert decide(error, 1).wait is None
    tabs["Budgets"].append([46143, 6000])
    load("google_sheets", "713", "budgets")
    assert ask("SELECT count(*) FROM google_sheets.budgets") == [(3,)]
    assert ask(ROWS) == LOADED


def test_a_range_beyond_the_grid_says_to_leave_the_end_open(
    project: Project, server: VendorServer
) -> None:
    add_client(project, server, sheets={"spend": {**SPEND, "range": "'Spend 2026'!A1:Z5000"}})
    assert "leave the end open" in str(failure())


def test_an_emptied_sheet_fails_and_leaves_its_rows(duck: VendorServer, google: Google) -> None:
    load("google_sheets")
    emptied: list[list[list[Any]]] = [[], [["date", "source", "cost", "note", "active"]]]
    for cells in emptied:
        google.spreadsheets["book-713"].tabs["Spend 2026"] = cells
        assert isinstance(failure(), VendorDataError)
        assert ask(ROWS) == LOADED


def test_a_sheet_that_lost_most_of_its_rows_fails_until_its_settings_say_that_it_may(
    project: Project, duck: VendorServer, google: Google
) -> None:
    load("google_sheets")
    cells = google.spreadsheets["book-713"].tabs["Spend 2026"]
    del cells[2:]
    error = failure()
    assert "rows of data: 1, loaded before: 3" in str(error)
    assert "may_shrink = true" in str(error)
    assert ask(ROWS) == LOADED
    add_client(project, duck, sheets={"spend": SPEND}, keep_share="0.2")
    load("google_sheets")
    assert ask(ROWS) == LOADED[:1]
    del cells[1:]
    add_client(project, duck, sheets={"spend": {**SPEND, "may_shrink": True}})
    load("google_sheets")
    assert ask(ROWS) == []


def test_a_renamed_column_fails_with_the_headers_that_there_are(
    duck: VendorServer, google: Google
) -> None:
    load("google_sheets")
    google.spreadsheets["book-713"].tabs["Spend 2026"][0][2] = "Cost in USD"
    error = failure()
    assert isinstance(error, VendorDataError)
    assert "no column cost" in str(error)
    assert "date, source, Cost in USD, note, active" in str(error)
    assert ask(ROWS) == LOADED


def test_what_is_odd_in_a_sheet_is_noted_without_what_stands_there(
    duck: VendorServer, google: Google
) -> None:
    cells = google.spreadsheets["book-713"].tabs["Spend 2026"]
    cells[0] += ["Checked by", "", "+1 202 555 0147"]
    cells[1] += ["someone@example.test", "beside"]
    cells[1][2], cells[4][2], cells[3][1] = "a dozen", "#DIV/0!", 1234567890123456
    assert load_with_notes()["spend"] == {
        "ignored_columns": "Checked by, ***",
        "columns_without_header": "1 row with data in a column without a header",
        "blank_rows": "1",
        "cells": (
            "source: 1 cell with a number of more than 15 digits, which Sheets rounds (row 3); "
            "cost: 1 cell with the error of a formula, loaded as NULL (row 4); "
            "cost: 1 cell not a decimal, loaded as NULL (row 1)"
        ),
    }
    assert [row[3] for row in ask(ROWS)] == [None, 7, None]


def test_text_is_what_is_shown_and_numbers_and_days_stay_exact(
    any_warehouse: Project, vendor: VendorServer, google: Google
) -> None:
    cells: list[list[Any]] = [
        ["code", Formatted(46082, "Mar 2026"), "cost", "paid on"],
        [
            Formatted(7, "007"),
            Formatted(46082, "3/1/2026"),
            Formatted(1234.5678, "$1,234.57"),
            Formatted(46083, "Mon"),
        ],
        ["x", Formatted(0.5, "50%"), 1, 46084],
        [Formatted(True, "WAHR"), 12, 2, 46085],
    ]
    google.spreadsheets["book-713"].tabs["Codes"] = cells
    kinds = {"code": "text", "Mar 2026": "text", "cost": "decimal", "paid on": "date"}
    add_client(
        any_warehouse, vendor, sheets={"codes": {**SPEND, "range": "Codes!A:D", "columns": kinds}}
    )
    load("google_sheets")
    assert ask(
        "SELECT code, mar_2026, cost, paid_on FROM google_sheets.codes ORDER BY _row_id"
    ) == [
        ("007", "3/1/2026", Decimal("1234.5678"), date(2026, 3, 2)),
        ("x", "50%", Decimal(1), date(2026, 3, 3)),
        ("WAHR", "12", Decimal(2), date(2026, 3, 4)),
    ]


def test_an_emptied_column_fails_until_the_settings_say_that_it_may_be_empty(
    project: Project, duck: VendorServer, google: Google
) -> None:
    load("google_sheets")
    cells = google.spreadsheets["book-713"].tabs["Spend 2026"]
    cells[1][2] = cells[3][2] = ""
    cells[4][2] = "  "
    error = failure()
    for named in (
        "client 713",
        "sheet spend",
        "column cost",
        "loaded before: 3",
        "may_shrink = true",
    ):
        assert named in str(error)
    assert ask(ROWS) == LOADED
    add_client(project, duck, sheets={"spend": {**SPEND, "may_shrink": True}})
    load("google_sheets")
    assert [row[3] for row in ask(ROWS)] == [None, None, None]
    add_client(project, duck, sheets={"spend": SPEND})
    load("google_sheets")


@pytest.mark.parametrize("fault", ["range", "tab", "header", "kind", "share", "rows", "zone"])
def test_what_waiting_does_not_mend_is_tried_once(
    project: Project, duck: VendorServer, google: Google, fault: str
) -> None:
    book = google.spreadsheets["book-713"]
    cells = book.tabs["Spend 2026"]
    match fault:
        case "range":
            add_client(project, duck, sheets={"spend": {**SPEND, "range": "'Spend 2026'!A1:Z5000"}})
        case "tab":
            book.tabs["Spend"] = book.tabs.pop("Spend 2026")
        case "header":
            cells[0][2] = "Cost in USD"
        case "kind":
            cells[1][2] = cells[3][2] = cells[4][2] = "a dozen"
        case "share":
            book.shared_with.clear()
        case "rows":
            del cells[1:]
        case _:
            columns = {**SPEND["columns"], "date": "datetime"}
            add_client(project, duck, sheets={"spend": {**SPEND, "columns": columns}})
            book.zone = "Moon/Tranquility"
    with pytest.raises(Exception):  # noqa: B017 - which one, the other tests say
        run_with_retries("google_sheets", get_client("713"), "once")
    assert len(duck.asked("/token")) == 1


def test_formulas_that_wait_for_their_data_are_tried_again(
    duck: VendorServer, google: Google
) -> None:
    for row in (1, 3, 4):
        google.spreadsheets["book-713"].tabs["Spend 2026"][row][2] = "Loading..."
    assert decide(failure(), 1).wait is not None


def test_a_row_that_looks_like_a_total_is_told_and_the_settings_leave_it_out(
    project: Project, duck: VendorServer, google: Google
) -> None:
    cells = google.spreadsheets["book-713"].tabs["Spend 2026"]
    cells += [["", "Subtotal:", 1254], ["", "TOTAL", 1254], [46099, "notes below", 3]]

    def totals() -> tuple[bool, str]:
        run_id = load("google_sheets")
        with access.exclusive(), access.connected() as query:
            found = slice_checks.no_totals(query, "google_sheets", "spend", "713", run_id)
        return found.passed, found.said

    passed, said = totals()
    assert not passed
    assert said.startswith("row 5, row 6 below the header: a total?")
    assert "skip_rows or stop_at" in said
    add_client(
        project, duck, sheets={"spend": {**SPEND, "skip_rows": ["subtotal"], "stop_at": "Total"}}
    )
    assert totals() == (True, "no row looks like a total")
    assert [row[0] for row in ask(ROWS)] == [1, 3, 4]


def test_half_an_answer_is_asked_for_again_and_loads_nothing(
    duck: VendorServer, google: Google
) -> None:
    load("google_sheets")
    google.spreadsheets["book-713"].tabs["Spend 2026"][1][2] = 99
    faults: list[dict[str, Any]] = [
        {"cut": True, "status": 200, "body": '{"valueRanges": ['},
        {"status": 200, "body": '{"valueRanges": []}'},
    ]
    for fault in faults:
        duck.fail("batchGet", **fault)
        assert decide(failure(), 1).wait is not None
        assert ask(ROWS) == LOADED
    load("google_sheets")
    assert ask(ROWS)[0][3] == 99
