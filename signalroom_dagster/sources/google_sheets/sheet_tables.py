"""The tables that the configuration makes of sheets: one per name, whoever has it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast, get_args

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.google_sheets.rows import ROW_ID
from signalroom_dagster.sources.google_sheets.settings import SHEET_NAME, TAKEN, Kind, Settings
from signalroom_dagster.sources.tables import Column, Table

ABOUT = "A client's Google sheet, as it stands: one row per row below its header."
DATA_KINDS: Mapping[str, str] = {"integer": "bigint", "datetime": "timestamp"}
"""What a kind of column is in the warehouse, where it has another name there."""


def sheet_tables(configured: Iterable[Any]) -> dict[str, Table]:
    """A table for each name, with the columns that any client has there, from clients' sheets that
    may be unchecked.
    """
    kinds: dict[str, dict[str, str]] = {}
    for sheets in configured:
        for name, columns in _columns_of(sheets):
            kinds[name] = {**columns, **kinds.get(name, {})}
    return {name: _table(name, columns) for name, columns in kinds.items()}


def check_kinds(client_id: str, configured: Mapping[str, Settings]) -> None:
    """Raises ConfigurationError when this client has a column that another client's table has as
    another kind.
    """
    sheets = {each: getattr(settings, "sheets", None) for each, settings in configured.items()}
    own = dict(_columns_of(sheets[client_id]))
    for other_id, others in sheets.items():
        for name, columns in _columns_of(others):
            for column, kind in columns.items():
                ours = own.get(name, {}).get(column, kind)
                if ours != kind:
                    raise ConfigurationError(
                        f"clients {client_id} and {other_id}, source google_sheets: column {column}"
                        f" of sheet {name} is {ours} for one and {kind} for the other; they share a"
                        " table: give both one kind, or the sheets two names, in"
                        f" [sources.google_sheets.clients.<id>.sheets.{name}]"
                    )


def _table(name: str, kinds: Mapping[str, str]) -> Table:
    columns = [
        Column(column, DATA_KINDS.get(kind, kind), (column,)) for column, kind in kinds.items()
    ]
    numbered = (Column(ROW_ID, "bigint", (ROW_ID,)), *columns)
    return Table(
        name=name, about=ABOUT, key=(ROW_ID,), columns=numbered, replaces="client", is_compared=True
    )


def _columns_of(sheets: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Each sheet's columns and their kinds; what cannot be a table or a column is left out: a load
    says so.
    """
    for name, sheet in _items(sheets):
        columns = _items(
            sheet.get("columns") if isinstance(sheet, Mapping) else getattr(sheet, "columns", None)
        )
        known = {
            snake_case(header): str(kind) for header, kind in columns if kind in get_args(Kind)
        }
        if known and SHEET_NAME.fullmatch(name) and name not in TAKEN:
            yield name, {column: kind for column, kind in known.items() if column}


def _items(table: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(table, Mapping):
        yield from cast("Mapping[str, Any]", table).items()
