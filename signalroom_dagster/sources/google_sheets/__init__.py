"""Google Sheets: tables that people keep by hand, such as spend that no network knows of, and
budgets.

Grain: one row per row of the sheet, numbered from 1 below the header; blank rows are left out, and
leave a gap. There is no cursor and no row id at Google, and rows move: so a sheet is read whole and
replaces the client's rows, unless it no longer looks like what it was (`guard`). Which sheets there
are, and of what kinds their columns, is configuration.

Quirks: dates come as numbers, without a zone; empty cells at the end are not sent at all; headers
are whatever people made of them; only the first of merged cells has a value; hidden rows and tabs
are read like all others.

https://developers.google.com/workspace/sheets/api/guides/concepts
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import dlt
from dlt.extract import DltResource
from pydantic import TypeAdapter

from signalroom_dagster.sources.google_sheets.service_account import open_account
from signalroom_dagster.sources.google_sheets.settings import Guard, Settings, Sheets
from signalroom_dagster.sources.google_sheets.sheet_tables import check_kinds, sheet_tables
from signalroom_dagster.sources.google_sheets.sheets import open_library, read_sheet
from signalroom_dagster.sources.google_sheets.spreadsheets import describe_book, open_api
from signalroom_dagster.sources.resources import compared_resource
from signalroom_dagster.sources.tables import Table

TITLE = "Google Sheets"


@dlt.source(name="google_sheets", max_table_nesting=0)
def google_sheets(
    credentials: str = dlt.secrets.value,
    sheets: Mapping[str, Any] = dlt.config.value,
    base_url: str = "https://sheets.googleapis.com",
    requests_per_minute: int = 60,
    min_rows: int = 1,
    keep_share: float = 0.5,
    misfit_share: float = 0.1,
) -> Iterable[DltResource]:
    """A table for each of the sheets, by name: `{"spend": {"spreadsheet_id": ..., "range": ...,
    "columns": {...}}}`.

    `credentials` is a service account's key: its JSON, or the path of its file. See `settings` for
    what else a sheet may say, and for what `min_rows`, `keep_share` and `misfit_share` refuse.
    """
    checked, account = TypeAdapter(Sheets).validate_python(sheets), open_account(credentials)
    api = partial(open_api, account, base_url, requests_per_minute)
    library = open_library(api, checked, Guard(min_rows, keep_share, misfit_share))
    for name, table in sheet_tables([checked]).items():
        yield compared_resource(table, partial(read_sheet, library, name))


def tables(configured: Iterable[Settings]) -> Mapping[str, Table]:
    """Every table that any client has, from settings that may be unchecked; reads no key."""
    return sheet_tables(getattr(settings, "sheets", None) for settings in configured)


def probe(settings: Settings) -> str:
    """Fetch a token, and describe each spreadsheet: all that a load needs."""
    account = open_account(settings.credentials.get_secret_value())
    api = open_api(account, settings.base_url, settings.requests_per_minute)
    ids = {sheet.spreadsheet_id for sheet in settings.sheets.values()}
    tabs = sum(len(describe_book(api, spreadsheet_id)[-1]) for spreadsheet_id in sorted(ids))
    return f"{account.email} may read all spreadsheets ({len(ids)}, with {tabs} tabs)"


def check_shared(client_id: str, configured: Mapping[str, Settings]) -> None:
    """Raises ConfigurationError when two clients have a column of one table as two kinds."""
    check_kinds(client_id, configured)
