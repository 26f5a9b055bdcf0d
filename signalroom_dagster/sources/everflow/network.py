"""One client's network at Everflow, as the reports need it: its zone's number, its filters, and its paged lists."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.sources.context import SourceContext
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.sources.http import Api, VendorDataError
from signalroom_dagster.sources.parallel import read_ahead

Page: TypeAlias = Callable[[int, int], Mapping[str, Any]]
"""Asks for one page by number, from 1, and size."""

PAGE_SIZES = (2000, 997, 503)
"""Tried one after the other: a row that is lost between two pages of one size mostly is not with another."""


@dataclass(frozen=True)
class Network:
    """A client's account and how it is configured."""

    api: Api
    settings: Settings
    context: SourceContext

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose days the reports count."""
        return ZoneInfo(self.settings.timezone) if self.settings.timezone else self.context.zone

    @cached_property
    def zone_ids(self) -> Mapping[str, int]:
        """Everflow's number of each time zone, by its IANA name."""
        known = self.api.get("/v1/meta/timezones")["timezones"]
        return {entry["timezone"]: int(entry["timezone_id"]) for entry in known}

    def zone_id(self, name: str) -> int:
        """The number of a time zone. Raises ConfigurationError for one that Everflow does not know."""
        if name not in self.zone_ids:
            raise ConfigurationError(
                f"client {self.context.client_id}, source everflow: Everflow knows no time zone {name}; set `timezone` "
                f"in [sources.everflow.clients.{self.context.client_id}] to one it knows"
            )
        return self.zone_ids[name]

    def filters(self, **ids: int) -> list[dict[str, str]]:
        """The filter list of a report: the client's advertisers, and what is asked for beside them."""
        wanted = [("advertiser", number) for number in self.settings.advertiser_ids] + list(ids.items())
        return [{"resource_type": kind, "filter_id_value": str(number)} for kind, number in wanted]

    def is_ours(self, advertiser_id: Any) -> bool:
        """Whether a row is of one of the client's advertisers: Everflow ignores filters that it does not understand."""
        return not self.settings.advertiser_ids or int(advertiser_id or 0) in self.settings.advertiser_ids

    def ours(self, rows: Iterable[Mapping[str, Any]], moment: str) -> Iterator[Mapping[str, Any]]:
        """The client's rows of a raw report, each with its `date`: the day of the named field's epoch seconds."""
        for row in rows:
            if self.is_ours(((row.get("relationship") or {}).get("advertiser") or {}).get("network_advertiser_id")):
                yield {**row, "date": datetime.fromtimestamp(int(row[moment]), UTC).astimezone(self.zone).date()}

    def whole_list(self, what: str, rows_key: str, id_key: str, page: Page) -> tuple[list[Mapping[str, Any]], int]:
        """Every row of a paged list once, and how many Everflow says there are.

        Rows move between pages while they are read, so the list is read again in other page sizes until its distinct
        rows are as many as Everflow counts. Raises VendorDataError when they never are.
        """
        counted, found = 0, 0
        for size in PAGE_SIZES:
            rows, counted = _read_list(page, size, rows_key)
            distinct = {row[id_key]: row for row in rows}
            if (found := len(distinct)) == counted:
                return list(distinct.values()), counted
        raise VendorDataError(
            f"client {self.context.client_id}, source everflow: {what}: {found} distinct rows, Everflow counts "
            f"{counted}, after reading it with pages of {', '.join(map(str, PAGE_SIZES))}"
        )


def _read_list(page: Page, size: int, rows_key: str) -> tuple[list[Mapping[str, Any]], int]:
    first = page(1, size)
    rows: list[Mapping[str, Any]] = list(first.get(rows_key) or ())
    counted = _count(first, len(rows))
    effective = int(first.get("paging", {}).get("page_size") or size)
    others: Sequence[int] = range(2, math.ceil(counted / effective) + 1)
    for answer in read_ahead(lambda number: page(number, size), others, 4):
        rows.extend(answer.get(rows_key) or ())
        counted = _count(answer, counted)
    return rows, counted


def _count(answer: Mapping[str, Any], otherwise: int) -> int:
    total = answer.get("paging", {}).get("total_count")
    return otherwise if total is None else int(total)
