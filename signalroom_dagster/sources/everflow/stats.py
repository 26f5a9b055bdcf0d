"""Daily figures by affiliate and advertiser. A report is at most 10,000 rows long, and says so only
in passing.

https://developers.everflow.io/docs/network/reporting/aggregated_data/
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

from signalroom_dagster.kinds import UNREADABLE, as_decimal, as_integer
from signalroom_dagster.sources.everflow.network import WHOSE, Network, filter_on, rows_of
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.set_aside import LeftOut, key_of
from signalroom_dagster.sources.tables import Figure, Row

CUT = 10_000
COUNTED = {"clicks": "total_click", "conversions": "cv", "total_conversions": "total_cv"}
"""Columns that the totals are compared in beside the payout, and Everflow's names of them."""
PATH = "/v1/networks/reporting/entity/table"
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")


class Report(NamedTuple):
    """A table's rows with their dimensions by name, and whether it was cut."""

    rows: Sequence[Row]
    cut: bool


def read_daily_stats(network: Network, days: Sequence[date]) -> Answer:
    """Some days' figures, with Everflow's own totals of them."""
    rows = [_whose(network, row) for row in _rows(network, days)]
    totals, counts, unread = _totals(network, days)
    return Answer([*filter(None, rows), *unread], totals=totals, counts={} if unread else counts)


def _whose(network: Network, row: Row) -> Row | LeftOut | None:
    """The row, if it is of the client's advertisers."""
    ours = network.is_ours(row.get("advertiser_id"))
    if ours is not None:
        return row if ours else None
    return LeftOut(WHOSE, key_of(("affiliate_id",), (row.get("affiliate_id"),)), row.get("date"))


def _rows(network: Network, days: Sequence[date]) -> Iterator[Row]:
    """The report's rows; one that is cut is asked for again in halves, a day's by affiliate."""
    report = _report(network, days, ("date", "affiliate", "advertiser"))
    if not report.cut:
        yield from report.rows
    elif len(days) > 1:
        middle = len(days) // 2
        yield from _rows(network, days[:middle])
        yield from _rows(network, days[middle:])
    else:
        yield from _by_affiliate(network, days)


def _by_affiliate(network: Network, day: Sequence[date]) -> Iterator[Row]:
    affiliates = _report(network, day, ("affiliate",))
    if affiliates.cut:
        raise VendorDataError(
            network.api.about("POST", PATH, f"cuts the list of affiliates of {day[0]}")
        )
    for wanted in (found["affiliate_id"] for found in affiliates.rows):
        report = _report(
            network, day, ("date", "affiliate", "advertiser"), [filter_on("affiliate", wanted)]
        )
        if report.cut or any(row["affiliate_id"] != wanted for row in report.rows):
            raise VendorDataError(
                network.api.about("POST", PATH, f"cuts {day[0]} even for one affiliate ({wanted})")
            )
        yield from report.rows


def _totals(
    network: Network, days: Sequence[date]
) -> tuple[dict[date, Figure], dict[str, dict[date, Figure]], list[LeftOut]]:
    """Everflow's own payout of each day, from a report that is not split by affiliate, how many
    clicks and conversions it counts, and the totals that cannot be read.

    No row means none. What names no advertiser counts: it may be the client's.
    """
    report = _report(network, days, ("date", "advertiser"))
    if report.cut:
        raise VendorDataError(
            network.api.about("POST", PATH, f"cuts the totals of {days[0]} to {days[-1]}")
        )
    totals: dict[date, Figure] = dict.fromkeys(days, 0)
    counts: dict[str, dict[date, Figure]] = {name: {} for name in COUNTED}
    unread: list[LeftOut] = []
    for row in report.rows:
        if network.is_ours(row.get("advertiser_id")) is False:
            continue
        day, payout = row.get("date"), _number(row.get("payout"))
        if day is None or payout is None:
            unread.append(LeftOut("a total of Everflow's own that cannot be read", day=day))
        else:
            totals[day] = totals.get(day, 0) + payout
            for name, field in COUNTED.items():
                counts[name][day] = counts[name].get(day, 0) + (_number(row.get(field)) or 0)
    if any(total.day is None for total in unread):
        return {}, {}, unread
    return (
        {day: total for day, total in totals.items() if day not in {total.day for total in unread}},
        counts,
        unread,
    )


def _number(value: Any) -> Figure | None:
    try:
        return as_decimal(value)
    except UNREADABLE:
        return None


def _report(
    network: Network,
    days: Sequence[date],
    columns: Sequence[str],
    filters: Sequence[Mapping[str, str]] | None = None,
) -> Report:
    body = {
        "from": days[0].isoformat(),
        "to": days[-1].isoformat(),
        "timezone_id": network.zone_id(),
        "currency_id": network.currency,
        "columns": [{"column": name} for name in columns],
        "query": {
            "filters": network.filters() if filters is None else filters,
            "exclusions": [],
            "metric_filters": [],
            "user_metrics": [],
            "settings": {
                "campaign_data_only": False,
                "ignore_fail_traffic": False,
                "only_include_fail_traffic": False,
            },
        },
    }
    answer = network.api.post(PATH, body)
    rows = rows_of(answer, "table")
    flat = [_flat(row, columns, network.zone) for row in rows]
    return Report(flat, answer.get("incomplete_results") is True or len(rows) >= CUT)


def _flat(row: Row, columns: Sequence[str], zone: ZoneInfo) -> Row:
    """A row with its dimensions by name: their order is not promised. What cannot be read of it is
    None.
    """
    reporting, named = row.get("reporting"), row.get("columns")
    flat: dict[str, Any] = {**reporting} if isinstance(reporting, Mapping) else {}
    listed = cast("list[Any]", named) if isinstance(named, list) else []
    dimensions = {
        str(each.get("column_type")): each for each in listed if isinstance(each, Mapping)
    }
    for kind in columns:
        dimension = dimensions.get(kind, {})
        if kind == "date":
            flat["date"] = _date(dimension, zone)
        else:
            flat[f"{kind}_id"] = _id(dimension)
            flat[f"{kind}_label"] = dimension.get("label")
    return flat


def _id(dimension: Row) -> int | None:
    """The id, 0 for none; None for one that cannot be read."""
    try:
        return as_integer(dimension.get("id")) or 0 if dimension else None
    except UNREADABLE:
        return None


def _date(dimension: Row, zone: ZoneInfo) -> date | None:
    """The label when it is a date; else the id, in seconds: midnight of that date in UTC, or else
    in the zone.
    """
    try:
        if found := _ISO.match(dimension.get("label") or ""):
            return date.fromisoformat(found[0])
        moment = datetime.fromtimestamp(int(dimension["id"]), UTC)
    except (*UNREADABLE, LookupError, OSError):
        return None
    return moment.date() if moment.time() == time.min else moment.astimezone(zone).date()
