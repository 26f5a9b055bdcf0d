"""One client's network at Everflow, as the reports need it: its zone's number, its filters, and
whose a row is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, cast
from zoneinfo import ZoneInfo

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.kinds import UNREADABLE, as_integer, as_moment
from signalroom_dagster.limits import Limit, account_name
from signalroom_dagster.sources.http import Api, VendorDataError
from signalroom_dagster.sources.set_aside import LeftOut, key_of
from signalroom_dagster.sources.tables import Row, columns_of

AT_ONCE = 4  # of the ten reports that an account may have under way
UTC_NAMES = ("UTC", "Etc/UTC")
WHOSE = "without an advertiser: nobody knows whose it is"
_ADVERTISER = columns_of({"id": "bigint relationship.advertiser.network_advertiser_id"})[0].value


def open_api(api_key: str, base_url: str, requests_per_minute: int) -> Api:
    """An account at Everflow."""
    account = account_name("everflow", base_url, api_key)
    return Api(
        source="everflow",
        base_url=base_url,
        key_name="api_key",
        limit=Limit(account, requests_per_minute, burst=20, at_once=AT_ONCE),
        secrets=(api_key,),
        headers={"X-Eflow-API-Key": api_key},
    )


@dataclass(frozen=True)
class Network:
    """An account, the zone whose days its reports count, the currency of their amounts, and whose
    rows are wanted: those of these advertisers, or all.
    """

    api: Api
    zone: ZoneInfo
    currency: str
    advertiser_ids: Sequence[int] = ()

    @cached_property
    def zone_ids(self) -> Mapping[str, int]:
        """Everflow's number of each time zone, by its IANA name."""
        known = rows_of(self.api.get("/v1/meta/timezones"), "timezones")
        numbers = [(str(entry.get("timezone")), str(entry.get("timezone_id"))) for entry in known]
        return {name: int(number) for name, number in numbers if number.isdecimal()}

    def zone_id(self, *names: str) -> int:
        """The number of a time zone, by the first name that is known; the reports' own without a
        name.

        Raises ConfigurationError for one that Everflow does not know.
        """
        wanted = names or (self.zone.key,)
        for name in wanted:
            if name in self.zone_ids:
                return self.zone_ids[name]
        raise ConfigurationError(
            f"source everflow: Everflow knows no time zone {' or '.join(wanted)}; set `timezone` to"
            " one it knows"
        )

    def filters(self) -> list[dict[str, str]]:
        """The filter list of a report: the client's advertiser.

        Of several advertisers none is sent, because what two filters of one kind mean is not
        documented: their rows are picked out of the answer, as they are anyway.
        """
        wanted = self.advertiser_ids if len(self.advertiser_ids) == 1 else []
        return [filter_on("advertiser", number) for number in wanted]

    def is_ours(self, advertiser_id: Any) -> bool | None:
        """Whether a row is of one of the client's advertisers: Everflow ignores filters that it
        does not understand.

        None for a row that names no advertiser, where the client's are named: nobody knows whose it
        is.
        """
        if not self.advertiser_ids:
            return True
        try:
            number = as_integer(advertiser_id)
        except UNREADABLE:
            number = None
        return number in self.advertiser_ids if number else None

    def ours(self, rows: Iterable[Row], moment: str, key: str) -> Iterator[Row | LeftOut]:
        """The client's rows of a raw report, each with its `date`: the day of the named field's
        epoch seconds.
        """
        for row in rows:
            day = self._day_of(row.get(moment))
            try:
                ours = self.is_ours(_ADVERTISER(row))
            except UNREADABLE:
                ours = self.is_ours(None)
            if ours is None:
                yield LeftOut(WHOSE, key_of((key,), (row.get(key),)), day)
            elif ours:
                yield {**row, "date": day}

    def _day_of(self, seconds: Any) -> date | None:
        try:
            moment = as_moment(seconds)
        except UNREADABLE:
            return None
        return datetime.fromisoformat(moment).astimezone(self.zone).date() if moment else None


def filter_on(kind: str, number: int) -> dict[str, str]:
    """A filter as the reports want it, its id as text; any other shape is ignored without a
    word.
    """
    return {"resource_type": kind, "filter_id_value": str(number)}


def rows_of(answer: Any, *names: str) -> Sequence[Mapping[str, Any]]:
    """The rows of an answer, under the first of the names it has; null is an empty list.

    Raises VendorDataError for an answer of another shape: taken for an empty one it would empty a
    table.
    """
    present = [name for name in names if name in answer] if isinstance(answer, dict) else []
    found = answer[present[0]] if present else None
    if present and found is None:
        return ()
    rows = cast("list[Any]", found if isinstance(found, list) else [None])
    if rows and not any(isinstance(row, dict) for row in rows):
        raise VendorDataError(f"source everflow: an answer without {' or '.join(names)}")
    return [row if isinstance(row, dict) else {} for row in rows]
