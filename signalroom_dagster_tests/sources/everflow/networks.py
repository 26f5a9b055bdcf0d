"""Small Everflow networks, and reading them without a warehouse."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from signalroom_dagster.loading.context import LoadContext
from signalroom_dagster.loading.plan import Slice
from signalroom_dagster.loading.slice_read import read_slice
from signalroom_dagster.loading.windowed import plans
from signalroom_dagster.sandbox.everflow_data import (
    FIGURES,
    EverflowNetwork,
    click_row,
    conversion_row,
)
from signalroom_dagster.sources import everflow
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.sources.tables import Figure

DAY = date(2026, 3, 2)
NEXT = date(2026, 3, 3)


class Read(NamedTuple):
    """What reading a resource gave: rows as they are handed to the database, and the vendor's
    totals.
    """

    rows: Sequence[Mapping[str, str]]
    totals: Mapping[date, Figure]
    text: str

    def column(self, name: str) -> list[str]:
        """One column's cells, sorted."""
        return sorted(row[name] for row in self.rows)


def fresh_network(key: str) -> EverflowNetwork:
    """A network with names and without any traffic."""
    return EverflowNetwork(
        key=key,
        affiliate_key=f"affiliate-{key}",
        affiliates={41: "Northwind Media ", 52: "Blue Harbor LLC"},
        advertisers={1: "ACME", 2: "BETA"},
        offers={7: "ACME Main"},
        offer_advertisers={7: 1},
    )


def figures(**values: Any) -> dict[str, Any]:
    """A day's figures of one affiliate."""
    return {**dict.fromkeys(FIGURES, 0), **values}


def noon(day: date = DAY) -> datetime:
    """Noon in New York, winter time."""
    return datetime(day.year, day.month, day.day, 17, tzinfo=UTC)


def sale(
    number: str, at: datetime | None = None, advertiser: int = 1, **values: Any
) -> dict[str, Any]:
    """A conversion through affiliate 41, at noon of the first day unless said otherwise."""
    return conversion_row(
        number, at or noon(), 41, "Northwind Media ", advertiser, f"A{advertiser}", **values
    )


def click(
    number: str, at: datetime | None = None, advertiser: int = 1, **values: Any
) -> dict[str, Any]:
    """A click through affiliate 41, at noon of the first day unless said otherwise."""
    return click_row(
        number, at or noon(), 41, "Northwind Media ", advertiser, f"A{advertiser}", **values
    )


def plan(settings: Settings, context: LoadContext, resource: str) -> Iterator[Slice]:
    """The slices that a load would read."""
    yield from plans(everflow, settings, replace(context, source="everflow"))[resource]()


def read(settings: Settings, context: LoadContext, resource: str) -> Read:
    """Read all slices of a resource."""
    rows: list[Mapping[str, str]] = []
    totals: dict[date, Figure] = {}
    texts: list[str] = []
    for piece in plan(settings, context, resource):
        loaded = read_slice(everflow.TABLES[resource], piece, context)
        texts.append(loaded.body.read_text("utf-8"))
        names = [*loaded.kinds, *(["_ordinal"] if piece.replaces == "keys" else [])]
        rows += csv.DictReader(texts[-1].splitlines(), names)
        totals |= loaded.totals
    return Read(rows, totals, "".join(texts))
