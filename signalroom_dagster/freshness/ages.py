"""How old a client's data are: not when something ran, but up to which moment there are any.

Of files, the newest file's own time. Of what is read by day, the latest moment that a read covers:
when it was read, or the end of the day that was read, in the zone whose days the source counts. Of
a source's tables the oldest counts.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pydantic import BaseModel, field_validator

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.freshness.reach import Reach, reach
from signalroom_dagster.registry import accounts, catalog
from signalroom_dagster.registry.clients import Client, get_client
from signalroom_dagster.sections import source_settings
from signalroom_dagster.warehouse.access import Query
from signalroom_dagster.warehouse.finding import Finding

_LENGTH = re.compile(r"\s*(\d+)\s*([mhd])\s*\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Expected(BaseModel):
    """How fresh a source has to be, such as 26h, 90m or 3d: `fresh_within` under
    `[sources.<source>]` or a client's.

    `end_date` is the last day of a closed account: nothing newer is expected.
    """

    fresh_within: str = "26h"
    end_date: date | None = None

    @field_validator("fresh_within")
    @classmethod
    def _a_length(cls, value: str) -> str:
        if not _LENGTH.match(value):
            raise ValueError("write it as 26h, 90m or 3d")
        return value.strip()

    def within(self) -> timedelta:
        """The longest age."""
        return timedelta(**{_UNITS[self.fresh_within[-1]]: int(self.fresh_within[:-1])})


@dataclass(frozen=True, slots=True)
class Age:
    """How old a table's data are: up to when (UTC) there are any, how old they may be, the end."""

    client: Client
    source: str
    table: str
    covered: datetime
    within: timedelta
    ends: datetime | None = None

    def is_stale(self, now: datetime) -> bool:
        """Whether there should be newer data by now."""
        return min(now, self.ends or now) - self.covered > self.within

    @property
    def said(self) -> str:
        """Both in words, in the client's zone."""
        local, hours = (
            self.covered.astimezone(self.client.zone),
            self.within.total_seconds() / 3_600,
        )
        return (
            f"{self.table} has data up to {local:%d %b %H:%M %Z}, and should be no older than"
            f" {hours:g} h"
        )


def _closed(age: Age, ends: datetime) -> str:
    """That no more is to come, in words: an old year's data are as new as they will ever be."""
    last = (ends.astimezone(age.client.zone) - timedelta(seconds=1)).date()
    covered = age.covered.astimezone(age.client.zone)
    return (
        f"closed on {last:%d %b %Y} (end_date), nothing newer is expected: data up to"
        f" {covered:%d %b %Y %H:%M %Z}"
    )


def oldest_age(source: str, client: Client, reached: Mapping[str, Reach]) -> Age | None:
    """That of the table whose data are the oldest; None for a client that is not active, and for
    settings that cannot be read: `declarations` tells of those.
    """
    if client.status != "active":
        return None
    tables = catalog.table_facts(source)
    with contextlib.suppress(ConfigurationError):
        ages = [age for age in _ages(source, client, reached) if age.table in tables]
        return min(ages, key=lambda age: age.covered, default=None)
    return None


def fresh(query: Query, source: str, table: str, client_id: str, run: str) -> Finding:
    """There are data as new as `fresh_within` asks for, whenever they were loaded."""
    for age in _ages(source, get_client(client_id), reach(query, source, client_id)):
        if age.table == table:
            present = datetime.now(UTC)
            is_fresh = not age.is_stale(present)
            said = (
                _closed(age, age.ends)
                if is_fresh and age.ends and age.ends <= present
                else age.said
            )
            return Finding(is_fresh, said, {"data_up_to": str(age.covered)})
    return Finding(True, "nothing has been loaded yet", {})


def _ages(source: str, client: Client, reached: Mapping[str, Reach]) -> Iterator[Age]:
    expected = source_settings(Expected, source, client.id)
    zone = accounts.zone_of_days(source, client)
    ends = _end(expected.end_date, zone) if expected.end_date else None
    for table, has in reached.items():
        read = [min(read_at, _end(day, zone)) for day, read_at in has.days.items()]
        if covered := has.newest_file or max(read, default=None):
            yield Age(client, source, table, covered, expected.within(), ends)


def _end(day: date, zone: ZoneInfo) -> datetime:
    """The moment when a day is over in a time zone."""
    return datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
