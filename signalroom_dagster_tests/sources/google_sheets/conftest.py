"""A Google with one spreadsheet of client 713, and the client that reads it."""

from collections.abc import Iterator
from typing import Any

import pytest

from signalroom_dagster.sandbox.google_sheets import Google, account_email, routes
from signalroom_dagster.sandbox.google_sheets_data import Spreadsheet
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.google_sheets.clients import add_client


@pytest.fixture
def google() -> Google:
    cells: list[list[Any]] = [
        ["date", "source", "cost", "note", "active"],
        [46083, "facebook", 12.5, "", True],
        [],
        [46084, "", 7],
        [46085, "radio", 1234.5678, "from the invoice", False],
    ]
    budgets: list[list[Any]] = [["month", "budget"], [46082, 5000], [46113, 5500]]
    book = Spreadsheet(
        "book-713",
        {"Spend 2026": cells, "Budgets": budgets},
        shared_with={account_email("713"), account_email("cti")},
    )
    return Google(
        spreadsheets={book.id: book}, accounts={account_email("713"), account_email("cti")}
    )


@pytest.fixture
def server(google: Google) -> Iterator[VendorServer]:
    with serve(routes(google)) as running:
        yield running


@pytest.fixture
def vendor(any_warehouse: Project, server: VendorServer) -> VendorServer:
    """Client 713 reads its sheet, into each warehouse."""
    add_client(any_warehouse, server)
    return server


@pytest.fixture
def duck(project: Project, server: VendorServer) -> VendorServer:
    """The same with DuckDB alone, for what the warehouse has no part in."""
    add_client(project, server)
    return server
