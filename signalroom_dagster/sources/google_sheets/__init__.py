"""Google Sheets: tables that people keep by hand, such as spend that no network knows of, and budgets.

Grain: one row per row of the sheet, numbered from 1 below the header; blank rows are left out, and leave a gap. There
is no cursor and no row id at Google, and rows move: so a sheet is read whole and replaces the client's rows, unless it
no longer looks like what it was (`guard`). Which sheets there are, and of what kinds their columns, is configuration.

Quirks: dates come as numbers, without a zone; empty cells at the end are not sent at all; headers are whatever people
made of them; only the first of merged cells has a value; hidden rows and tabs are read like all others.

https://developers.google.com/workspace/sheets/api/guides/concepts
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import dlt
from dlt.extract import DltResource, DltSource

from signalroom_dagster.sources.context import Planned, SourceContext
from signalroom_dagster.sources.google_sheets.service_account import open_account
from signalroom_dagster.sources.google_sheets.settings import Settings
from signalroom_dagster.sources.google_sheets.sheet_tables import check_kinds, sheet_tables
from signalroom_dagster.sources.google_sheets.sheets import open_sheets, plan_sheet
from signalroom_dagster.sources.google_sheets.spreadsheets import describe_book, open_api
from signalroom_dagster.sources.slicing import Plan, planned, table_resources
from signalroom_dagster.sources.tables import Table

TITLE = "Google Sheets"


@dlt.source(name="google_sheets", max_table_nesting=0)
def google_sheets(
    tables: Mapping[str, Table], plans: Mapping[str, Plan] | None = None, context: SourceContext | None = None
) -> Iterable[DltResource]:
    """One table per sheet name; without plans an outline that asks nothing."""
    yield from table_resources(tables, plans, context)


def outline(configured: Iterable[Settings]) -> DltSource:
    """Every table that any client has, from settings that were not validated; reads no key."""
    return google_sheets(sheet_tables(configured))


def open_source(settings: Settings, context: SourceContext) -> DltSource:
    """The client's own source: reads its key, and asks nothing until its slices are loaded."""
    return google_sheets(sheet_tables([settings]), _plans(settings, context), context)


def preview(settings: Settings, context: SourceContext) -> Iterator[Planned]:
    """The sheets that a load would read."""
    return planned(_plans(settings, context), context)


def probe(settings: Settings, client_id: str) -> str:
    """Fetch a token, and describe each spreadsheet: all that a load needs."""
    account = open_api(open_account(settings.credentials.get_secret_value(), client_id), settings)
    ids = {sheet.spreadsheet_id for sheet in settings.sheets.values()}
    tabs = sum(len(describe_book(account, spreadsheet_id)[-1]) for spreadsheet_id in sorted(ids))
    return f"{account.email} may read all spreadsheets ({len(ids)}, with {tabs} tabs)"


def check_shared(client_id: str, configured: Mapping[str, Settings]) -> None:
    """Raises ConfigurationError when two clients have a column of one table as two kinds."""
    check_kinds(client_id, configured)


def _plans(settings: Settings, context: SourceContext) -> Mapping[str, Plan]:
    account = open_account(settings.credentials.get_secret_value(), context.client_id)
    sheets = open_sheets(account, settings, context)
    return {name: partial(plan_sheet, sheets, name) for name in settings.sheets}
