"""A RedTrack account, as its tables need it: its paged lists, its reports, its time zone.

https://api.redtrack.io/docs/index.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from signalroom_dagster.kinds import UNREADABLE
from signalroom_dagster.limits import Limit, account_name
from signalroom_dagster.sources.days import ONE_DAY, day_of, midnight
from signalroom_dagster.sources.http import Api, VendorDataError, VendorError
from signalroom_dagster.sources.redtrack.paging import (
    Listing,
    NameOf,
    NotAListError,
    Page,
    page_of,
    read_list,
)

REPORT = "/report"
REPORT_SIZES = (1000, 499)
"""Rows a page, tried one after the other; 1000 is the longest."""

REST_SECONDS = "20"
"""Between attempts after a 429 that names no time: RedTrack counts by the minute, and four of these
are longer.
"""

FIRST_YEAR, LAST_YEAR = MINYEAR, MAXYEAR
"""The years at both ends have moments that are beyond the calendar in some zones."""

UNSET = "0001-01-01"
"""The day that RedTrack gives a moment that never was."""


def open_api(api_key: str, base_url: str, requests_per_minute: int) -> Api:
    """An account at RedTrack."""
    return Api(
        source="redtrack",
        base_url=base_url,
        key_name="api_key",
        limit=Limit(
            account_name("redtrack", base_url, api_key),
            requests_per_minute,
            burst=min(10, requests_per_minute),
            at_once=2,
        ),
        secrets=(api_key,),
        params={"api_key": api_key},
    )


@dataclass(frozen=True)
class Account:
    """An account: the pace of its `/report`, slower than the rest, the zone whose days are asked
    for, and the zone that the account itself is set to, where that is known.
    """

    api: Api
    reports: Limit
    zone: ZoneInfo
    known_zone: ZoneInfo | None = None

    def report(self, group: str, first: date, last: date) -> Sequence[dict[str, Any]]:
        """Every row of a report over days of `zone`, both included, grouped by a comma list of
        dimensions.
        """

        def name_of(row: Any) -> Any:
            return (str(row.get("date")), str(row["source_id"])) if row.get("source_id") else None

        params = {"group": group, "date_from": first, "date_to": last, "timezone": self.zone.key}
        listing = self.whole_list(REPORT, name_of, REPORT_SIZES, self.reports, **params)
        return [dict(row) for row in listing.rows]

    def whole_list(
        self,
        path: str,
        name_of: NameOf,
        sizes: Sequence[int],
        limit: Limit | None = None,
        **params: Any,
    ) -> Listing:
        """Every row of a paged list; read again in pages of another size while rows move between
        the pages.

        Raises VendorDataError when it never comes whole.
        """
        tried: list[str] = []
        for size in sizes:
            listing = read_list(partial(self._page, path, limit, params), size)
            if listing.is_whole(name_of):
                return listing
            tried.append(
                f"{listing.distinct(name_of)} of {listing.counted or len(listing.rows)} in pages of"
                f" {size}"
            )
        raise VendorDataError(
            self.api.about("GET", path, f"does not give its whole list: {', '.join(tried)}")
        )

    def _page(
        self, path: str, limit: Limit | None, params: dict[str, Any], number: int, size: int
    ) -> Page:
        try:
            return page_of(self.api.get(path, limit, **params, page=number, per=size))
        except NotAListError:
            raise VendorDataError(
                self.api.about("GET", path, "answered what is not a list of rows")
            ) from None
        except VendorError as error:
            if error.status == 429 and error.retry_after is None:
                raise VendorError(str(error), 429, REST_SECONDS) from None
            raise

    def moment(self, value: Any) -> Any:
        """An instant from text with a zone or without one, which then is the account's.

        What cannot be read stays as it is: the cell that it is for says so.
        """
        if not value or str(value).startswith(UNSET):
            return None
        try:
            found = datetime.fromisoformat(str(value).strip())
        except UNREADABLE:
            return value
        if not FIRST_YEAR < found.year < LAST_YEAR:
            return value
        return found if found.tzinfo else found.replace(tzinfo=self.own_zone)

    @property
    def own_zone(self) -> ZoneInfo:
        """The account's own time zone as far as it is known, else the one whose days are asked
        for.
        """
        return self.known_zone or self.zone

    @property
    def slack(self) -> timedelta:
        """How far the account's days may lie beside those that are expected."""
        return timedelta() if self.known_zone else ONE_DAY

    def days_around(self, day: date) -> tuple[date, date]:
        """The first and the last day of the account that a day of `zone` may touch."""
        start, end = midnight(day, self.zone), midnight(day + ONE_DAY, self.zone)
        last = end - timedelta(seconds=1)
        return day_of(start, self.own_zone) - self.slack, day_of(last, self.own_zone) + self.slack
