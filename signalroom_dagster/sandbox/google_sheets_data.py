"""What the spreadsheets of the sandbox's clients hold: spend that somebody types in by hand, and
budgets.

The channels are those that belong to no affiliate (`market`). The spend sheet is as people leave
one: blank rows, a date typed as text, a failed formula, a column for themselves. All of it is
invented.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

from signalroom_dagster.sandbox.market import MARKETS, days
from signalroom_dagster.sandbox.shops import last_day

SPEND: Mapping[str, Any] = {
    "range": "'Spend 2026'!A1:Z",
    "columns": {
        "date": "date",
        "source": "text",
        "cost": "decimal",
        "note": "text",
        "active": "bool",
    },
}
BUDGETS: Mapping[str, Any] = {
    "range": "'Budgets'!A1:Z",
    "columns": {"month": "date", "channel": "text", "budget": "decimal"},
}
SHEETS: dict[str, Mapping[str, Mapping[str, Any]]] = {
    "713": {"spend_2026": SPEND, "budgets": BUDGETS},
    "cti": {"spend_2026": SPEND},
}
"""The sheets of each client, as its settings name them."""


class Formatted(NamedTuple):
    """A cell whose number format shows another text than the plain number."""

    value: int | float | bool
    text: str


@dataclass
class Spreadsheet:
    """One spreadsheet: its tabs' cells, unformatted, and who may read it."""

    id: str
    tabs: dict[str, list[list[Any]]]
    zone: str = "America/New_York"
    shared_with: set[str] = field(default_factory=set[str])
    is_excel_file: bool = False


def sandbox_spreadsheets(client_id: str) -> list[Spreadsheet]:
    """A client's spreadsheets."""
    tabs = {"Spend 2026": _spend(client_id)}
    if "budgets" in SHEETS[client_id]:
        tabs["Budgets"] = _budgets(client_id)
    return [Spreadsheet(spreadsheet_id(client_id), tabs)]


def spreadsheet_id(client_id: str) -> str:
    """The id of a client's spreadsheet."""
    return f"1sandbox-{client_id}-spreadsheet"


def serial(day: date) -> int:
    """A date as Sheets keeps it."""
    return (day - date(1899, 12, 30)).days


def _spend(client_id: str) -> list[list[Any]]:
    rng = random.Random(f"sheets {client_id}")
    rows: list[list[Any]] = [["Date", "Source", "Cost", "Note", "Active", "Checked by"]]
    for day in days():
        for source in MARKETS[client_id].unmapped:
            cost = round(float(source.cpc) * rng.randrange(40, 120), 2)
            rows.append([serial(day), source.title, cost, "", True])
        rows.append([])
    return _as_people_leave_it(rows)


def _as_people_leave_it(rows: list[list[Any]]) -> list[list[Any]]:
    """With a note, a channel switched off, a cell in a column of their own, a date as text, a
    formula that failed.
    """
    filled = [row for row in rows[1:] if row]
    filled[0] += ["Team A"]
    filled[0][3], filled[2][4] = "first day of the flight", False
    filled[-1][0] = f"{last_day():%m/%d/%Y}"
    filled[-2][2] = "#N/A"
    return rows


def _budgets(client_id: str) -> list[list[Any]]:
    this_month = last_day().replace(day=1)
    months = (this_month, (this_month + timedelta(days=31)).replace(day=1))
    channels = sorted({source.alias for source in MARKETS[client_id].unmapped})
    return [
        ["Month", "Channel", "Budget"],
        *(
            [serial(month), channel, 5_000 + 750 * place]
            for month in months
            for place, channel in enumerate(channels)
        ),
    ]
