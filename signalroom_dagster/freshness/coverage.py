"""How far each source's data reach: which days a report may speak of as whole.

A day is whole when its source was read after it was over, in the zone whose days it counts; begun
when it was read before that. Read from what loads note with their data (`windows`, the ledger of
files), never from when a run happened to finish.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, TypeAlias

from signalroom_dagster.freshness.reach import Reach, reach
from signalroom_dagster.modeling.sql import TableName
from signalroom_dagster.registry import accounts, catalog
from signalroom_dagster.registry.clients import Client
from signalroom_dagster.warehouse.access import Query
from signalroom_dagster.warehouse.windows import set_aside_days

State: TypeAlias = Literal["whole", "begun", "missing"]

SPAN_DAYS = 62
"""How far back what is not read by day counts as read."""

UNREAD_DAYS = 14
"""How far back a report tells of what could not be read: as far as it looks back itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One source of one client: when it was last read (UTC), and which days are whole or begun.

    `unread` are the days of which rows or needed figures could not be read, and so are in no sum.
    """

    source: str
    title: str
    read_at: datetime | None = None
    whole: frozenset[date] = frozenset()
    begun: frozenset[date] = frozenset()
    unread: frozenset[date] = frozenset()

    def state(self, day: date) -> State:
        """What there is of a day."""
        return "whole" if day in self.whole else "begun" if day in self.begun else "missing"

    @property
    def last_whole(self) -> date | None:
        """The last day that is whole."""
        return max(self.whole, default=None)


def coverage(
    query: Query, client: Client, tables: Collection[TableName], last: date
) -> Sequence[Coverage]:
    """How far each source reaches that the client uses and that loads one of the tables, up to a
    last day. Models are not looked behind: name the tables that they are made from, too.

    Reference data are files in git and have no days.
    """
    found: list[Coverage] = []
    for source in client.sources:
        own = {table for schema, table in tables if schema == source}
        if own and not catalog.is_reference(source):
            facts = {
                name: fact
                for name, fact in catalog.table_facts(source).items()
                if name in own and fact.load
            }
            found += [_of_source(query, client, source, facts, last)] if facts else []
    return sorted(found, key=lambda item: item.source)


def whole_days(found: Sequence[Coverage]) -> frozenset[date]:
    """The days that are whole in every source."""
    return frozenset.intersection(*(item.whole for item in found)) if found else frozenset()


def _of_source(
    query: Query, client: Client, source: str, facts: Mapping[str, catalog.TableFacts], last: date
) -> Coverage:
    title = catalog.title(source)
    reached = reach(query, source, client.id)
    read = [_days_read(client, fact, last, reached.get(table)) for table, fact in facts.items()]
    if any(
        not days and fact.load != "files" for fact, days in zip(facts.values(), read, strict=True)
    ):
        return Coverage(source=source, title=title)
    read = [days for days in read if days]  # a client need not have every kind of export
    if not read:
        return Coverage(source=source, title=title)
    zone = accounts.zone_of_days(source, client)
    dates = [{day: moment.astimezone(zone).date() for day, moment in days.items()} for days in read]
    common = [day for day in dates[0] if day <= last and all(day in other for other in dates)]
    whole = frozenset(day for day in common if all(other[day] > day for other in dates))
    return Coverage(
        source=source,
        title=title,
        read_at=min(days.get(last) or max(days.values()) for days in read),
        whole=whole,
        begun=frozenset(common) - whole,
        unread=frozenset(
            each
            for name, fact in facts.items()
            for each in _unread(query, client, source, name, fact, last)
        ),
    )


def _unread(
    query: Query, client: Client, source: str, table: str, facts: catalog.TableFacts, last: date
) -> Iterator[date]:
    if facts.load == "slices" and facts.day and facts.needed:
        for read in set_aside_days(
            query, source, table, client.id, last - timedelta(days=UNREAD_DAYS - 1), last
        ):
            if any(entry["column"] in ("", *facts.needed) for entry in read.set_aside):
                yield read.day


def _days_read(
    client: Client, facts: catalog.TableFacts, last: date, reached: Reach | None
) -> Mapping[date, datetime]:
    """When each day of a table was read.

    What is not read by day is as of its reading; exports are written whole, so one tells of every
    day before it.
    """
    if reached is None:
        return {}
    if facts.load != "files" and facts.day:
        return reached.days
    newest = max(reached.days.values(), default=reached.newest_read_file)
    if not newest:
        return {}
    until = min(last, newest.astimezone(client.zone).date())
    return {until - timedelta(days=back): newest for back in range(SPAN_DAYS)}
