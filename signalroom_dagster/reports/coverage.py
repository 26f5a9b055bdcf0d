"""How far each source's data reach: which days a report may speak of as whole.

A day is whole when its source was read after it was over, in the client's zone; begun when it was read before that.
Read from what loads note with their data (`windows`, the ledger of files), never from when a run happened to finish.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, TypeAlias

from signalroom_dagster.clients import Client
from signalroom_dagster.loading import catalog
from signalroom_dagster.loading.sql_models import TableName, models
from signalroom_dagster.loading.tables import LEDGER, WINDOWS
from signalroom_dagster.loading.warehouse import Query, table_exists

State: TypeAlias = Literal["whole", "begun", "missing"]

SPAN_DAYS = 62
"""How far back what is not read by day counts as read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One source of one client: when it was last read (UTC), and which days are whole or begun."""

    source: str
    title: str
    read_at: datetime | None = None
    whole: frozenset[date] = frozenset()
    begun: frozenset[date] = frozenset()

    def state(self, day: date) -> State:
        """What there is of a day."""
        return "whole" if day in self.whole else "begun" if day in self.begun else "missing"

    @property
    def last_whole(self) -> date | None:
        """The last day that is whole."""
        return max(self.whole, default=None)


def sources_behind(tables: Iterable[TableName]) -> Mapping[str, Sequence[str]]:
    """The sources that some tables come from, through models, each with its tables; reference data aside."""
    wanted, found = list(tables), dict[str, set[str]]()
    loaded = {
        name: {(name, table) for table, facts in catalog.table_facts(name).items() if facts.load}
        for name in catalog.dlt_sources()
    }
    while wanted:
        table = wanted.pop()
        if table in models():
            wanted += models()[table].reads
        for source, own in loaded.items():
            if table in own:
                found.setdefault(source, set()).add(table[1])
    return {source: sorted(names) for source, names in sorted(found.items())}


def coverage(query: Query, client: Client, tables: Iterable[TableName], last: date) -> Sequence[Coverage]:
    """How far each source reaches that the client uses and some tables come from, up to a last day."""
    return [
        _of_source(query, client, source, names, last)
        for source, names in sources_behind(tables).items()
        if source in client.sources
    ]


def whole_days(found: Sequence[Coverage]) -> frozenset[date]:
    """The days that are whole in every source."""
    return frozenset.intersection(*(item.whole for item in found)) if found else frozenset()


def _of_source(query: Query, client: Client, source: str, names: Sequence[str], last: date) -> Coverage:
    facts, title = catalog.table_facts(source), catalog.title(source)
    read = [_days_read(query, client, source, name, facts[name], last) for name in names]
    if any(not days and facts[name].load == "slices" for name, days in zip(names, read, strict=True)):
        return Coverage(source=source, title=title)
    read = [days for days in read if days]  # a client need not have every kind of export
    if not read:
        return Coverage(source=source, title=title)
    dates = [{day: moment.astimezone(client.zone).date() for day, moment in days.items()} for days in read]
    common = [day for day in dates[0] if day <= last and all(day in other for other in dates)]
    whole = frozenset(day for day in common if all(other[day] > day for other in dates))
    return Coverage(
        source=source,
        title=title,
        read_at=min(days.get(last) or max(days.values()) for days in read),
        whole=whole,
        begun=frozenset(common) - whole,
    )


def _days_read(
    query: Query, client: Client, source: str, table: str, facts: catalog.TableFacts, last: date
) -> Mapping[date, datetime]:
    """When each day of a table was read.

    What is not read by day is as of its reading; exports are written whole, so one tells of every day before it.
    """
    if not table_exists(query, source, LEDGER if facts.load == "files" else WINDOWS):
        return {}
    if facts.load == "slices" and facts.day:
        sql = f"SELECT day, loaded_at FROM {source}.{WINDOWS} WHERE _client_id = %s AND resource = %s"
        return {day: moment for day, moment in query(sql, client.id, table)}
    if facts.load == "slices":
        sql = f"SELECT max(loaded_at) FROM {source}.{WINDOWS} WHERE _client_id = %s AND resource = %s"
    else:
        sql = (
            f"SELECT max(last_modified) FROM {source}.{LEDGER} WHERE _client_id = %s AND table_name = %s "
            "AND status IN ('loaded', 'empty')"
        )
    newest: datetime | None = query(sql, client.id, table)[0][0]
    if not newest:
        return {}
    until = min(last, newest.astimezone(client.zone).date())
    return {until - timedelta(days=back): newest for back in range(SPAN_DAYS)}
