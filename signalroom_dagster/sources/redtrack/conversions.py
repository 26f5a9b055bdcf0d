"""The conversion log, a day at a time.

RedTrack filters it by days of the account's own zone, which need not be that whose days are asked
for.

https://api.redtrack.io/docs/index.html
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from signalroom_dagster.sources.days import day_of
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.redtrack.account import Account
from signalroom_dagster.sources.redtrack.paging import each_once, name_of
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.tables import Row

PATH = "/conversions"
PAGE_SIZES = (10_000, 4_999, 2_003)
"""Rows a page, tried one after the other; 10,000 is the longest."""

MOMENTS = ("conv_time", "track_time", "created_at")


def read_conversions(account: Account, days: Sequence[date]) -> Answer:
    """One day's conversions, whole: they are edited and removed after the fact."""
    (day,) = days
    first, last = account.days_around(day)
    listing = account.whole_list(PATH, name_of, PAGE_SIZES, date_from=first, date_to=last)
    rows = each_once(listing.rows)
    placed = [_placed(account, row, first, last) for row in rows]
    ours = [row for row in placed if row["date"] in (day, None)]
    known = len(rows) if listing.pages > 1 else len(listing.rows)
    if (
        listing.counted is None or known > listing.counted
    ):  # a count that has been passed says nothing
        return Answer(ours)
    return Answer(ours, totals={day: listing.counted - known + len(ours)})


def _placed(account: Account, row: Row, first: date, last: date) -> Mapping[str, Any]:
    """The row with its moments as instants, and the day on which it converted, if that can be
    read.
    """
    moments = {name: account.moment(row.get(name)) for name in MOMENTS}
    known = [at for at in (moments["conv_time"], moments["created_at"]) if isinstance(at, datetime)]
    if not known:
        return {**row, **moments, "date": None}
    theirs = day_of(known[0], account.own_zone)
    if not first - account.slack <= theirs <= last + account.slack:
        what = (
            f"gives a conversion of {theirs} among those of {first} to {last}; is account_timezone"
            " right?"
        )
        raise VendorDataError(account.api.about("GET", PATH, what))
    at = moments["conv_time"] or known[0]
    return {**row, **moments, "conv_time": at, "date": day_of(known[0], account.zone)}
