"""Daily figures by affiliate and advertiser. A report is at most 10,000 rows long, and says so only in passing.

https://developers.everflow.io/docs/network/reporting/aggregated_data/
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from signalroom_dagster.slices import Figure
from signalroom_dagster.sources.days import days_to_read, stretches
from signalroom_dagster.sources.everflow.network import Network
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.slicing import Answer, Slice

CUT = 10_000
LONGEST = 31  # days in a request; a year is the vendor's limit
PATH = "/v1/networks/reporting/entity/table"
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")


def plan_daily_stats(network: Network) -> Iterator[Slice]:
    """Stretches of days, replaced whole: rows vanish at Everflow too."""
    for days in stretches(days_to_read(network.context, "daily_stats", network.settings), LONGEST):
        yield Slice(days=days, read=partial(_read, network, days))


def _read(network: Network, days: Sequence[date]) -> Answer:
    rows = [row for row in _rows(network, days) if network.is_ours(row["advertiser_id"])]
    return Answer(rows, totals=_totals(network, days))


def _rows(network: Network, days: Sequence[date]) -> Iterator[Mapping[str, Any]]:
    """The report's rows; one that is cut is asked for again in halves, a day's by affiliate."""
    answer = _report(network, days, ("date", "affiliate", "advertiser"))
    if not _is_cut(answer):
        yield from map(_flat, answer.get("table") or ())
    elif len(days) > 1:
        middle = len(days) // 2
        yield from _rows(network, days[:middle])
        yield from _rows(network, days[middle:])
    else:
        yield from _by_affiliate(network, days)


def _by_affiliate(network: Network, day: Sequence[date]) -> Iterator[Mapping[str, Any]]:
    affiliates = _report(network, day, ("affiliate",))
    if _is_cut(affiliates):
        raise VendorDataError(network.api.about("POST", PATH, f"cuts the list of affiliates of {day[0]}"))
    for found in map(_flat, affiliates.get("table") or ()):
        wanted = int(found["affiliate_id"])
        answer = _report(network, day, ("date", "affiliate", "advertiser"), affiliate=wanted)
        rows = list(map(_flat, answer.get("table") or ()))
        if _is_cut(answer) or any(int(row["affiliate_id"]) != wanted for row in rows):
            raise VendorDataError(network.api.about("POST", PATH, f"cuts {day[0]} even for one affiliate ({wanted})"))
        yield from rows


def _totals(network: Network, days: Sequence[date]) -> dict[date, Figure]:
    """Everflow's own payout of each day, from a report that is not split by affiliate; no row means none."""
    answer = _report(network, days, ("date",))
    if _is_cut(answer):
        raise VendorDataError(network.api.about("POST", PATH, f"cuts the totals of {days[0]} to {days[-1]}"))
    totals: dict[date, Figure] = dict.fromkeys(days, 0)
    for row in map(_flat, answer.get("table") or ()):
        totals[row["date"]] = Decimal(str(row["payout"]))
    return totals


def _report(network: Network, days: Sequence[date], columns: Sequence[str], **ids: int) -> Mapping[str, Any]:
    body = {
        "from": days[0].isoformat(),
        "to": days[-1].isoformat(),
        "timezone_id": network.zone_id(network.zone.key),
        "currency_id": network.context.currency,
        "columns": [{"column": name} for name in columns],
        "query": {
            "filters": network.filters(**ids),
            "exclusions": [],
            "metric_filters": [],
            "user_metrics": [],
            "settings": {"campaign_data_only": False, "ignore_fail_traffic": False, "only_include_fail_traffic": False},
        },
    }
    return network.api.post(PATH, body)


def _is_cut(answer: Mapping[str, Any]) -> bool:
    return answer.get("incomplete_results") is True or len(answer.get("table") or ()) >= CUT


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its dimensions by name: their order is not promised."""
    flat: dict[str, Any] = dict(row["reporting"])
    for column in row["columns"]:
        kind = column["column_type"]
        if kind == "date":
            flat["date"] = _date(column)
        else:
            flat[f"{kind}_id"] = column.get("id") or "0"
            flat[f"{kind}_label"] = column.get("label")
    return flat


def _date(column: Mapping[str, Any]) -> date:
    """The label when it is a date; else the id, which is midnight of that date in UTC, in seconds."""
    if found := _ISO.match(column.get("label") or ""):
        return date.fromisoformat(found[0])
    return datetime.fromtimestamp(int(column["id"]), UTC).date()
