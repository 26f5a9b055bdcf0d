"""A day against the days before it, and weeks: only days that every source covers whole are added
up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from signalroom_dagster.reports.figures import DAYS, Figures, Row

WEEK = 7
PLACES = Decimal("0.0001")
RATIOS = {"cpa": ("cost", "conversions"), "roas": ("revenue", "cost")}
"""Columns that are one column over another: those of several days are those of their sums."""


@dataclass(frozen=True, slots=True)
class Total:
    """What so many whole days add up to, and what a day of them has on average; None without such a
    day.
    """

    days: int
    sum: Row | None = None
    mean: Row | None = None


def last_days(day: date, number: int, skip: int = 0) -> Sequence[date]:
    """So many days in order, the last of them so many days before `day`."""
    return [day - timedelta(days=back) for back in reversed(range(skip, skip + number))]


def total(figures: Figures, day: date, number: int = 1, skip: int = 0) -> Total:
    """What `last_days` add up to in the query `days`; a whole day without a row counts as zeros."""
    days = figures.rows.get(DAYS, ())
    columns = [name for row in days[:1] for name in row if name not in ("date", *RATIOS)]
    ratios = {name: parts for row in days[:1] for name, parts in RATIOS.items() if name in row}
    whole = [each for each in last_days(day, number, skip) if each in figures.whole]
    if not whole:
        return Total(0)
    rows = [row for row in days if row["date"] in whole]
    sums: dict[str, Any] = {name: sum(row[name] or 0 for row in rows) for name in columns}
    means = {name: _ratio(amount, len(whole)) for name, amount in sums.items()}
    joint = {name: _ratio(sums[top], sums[bottom]) for name, (top, bottom) in ratios.items()}
    return Total(len(whole), {**sums, **joint}, {**means, **joint})


def against(figures: Figures, day: date) -> Mapping[str, Total]:
    """What a day is held against: the day before, and the seven days before."""
    return {"yesterday": total(figures, day, 1, skip=1), "week": total(figures, day, WEEK, skip=1)}


def _ratio(top: Any, bottom: Any) -> Decimal | None:
    return (Decimal(top) / Decimal(bottom)).quantize(PLACES, ROUND_HALF_UP) if bottom else None
