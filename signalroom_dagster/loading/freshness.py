"""How old the data of a client's sources is: not when something ran last, but up to which moment there is data.

Of files, the newest file's own time. Of what is read by day, the latest moment that a read covers: when it was read, or
the end of the day that was read, in the client's zone. Of a source's tables the oldest counts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from pydantic import BaseModel

from signalroom_dagster.clients import Client, load_clients
from signalroom_dagster.config import ConfigurationError, source_settings
from signalroom_dagster.loading import catalog
from signalroom_dagster.loading.tables import LEDGER, WINDOWS
from signalroom_dagster.loading.warehouse import Query, table_exists

_LENGTH = re.compile(r"\s*(\d+)\s*([mhd])\s*\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Expected(BaseModel):
    """How fresh a source has to be, such as 26h, 90m or 3d: `fresh_within` under `[sources.<source>]` or a client's."""

    fresh_within: str = "26h"

    def within(self) -> timedelta:
        """The longest age. Raises ConfigurationError."""
        found = _LENGTH.match(self.fresh_within)
        if not found:
            raise ConfigurationError(f"fresh_within is {self.fresh_within!r}; write it as 26h, 90m or 3d")
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


@dataclass(frozen=True, slots=True)
class Age:
    """How old a source's data is: its oldest table, up to when there is data (UTC-aware), and how old it may be."""

    client: Client
    source: str
    table: str
    covered: datetime
    within: timedelta

    def is_stale(self, now: datetime) -> bool:
        """Whether there should be newer data by now."""
        return now - self.covered > self.within


def ages(query: Query) -> Iterator[Age]:
    """Every source of every active client that has been loaded at least once. Raises ConfigurationError."""
    for source in catalog.dlt_sources():
        tables = catalog.table_facts(source)
        for client in load_clients().values():
            if client.status != "active" or source not in client.sources:
                continue
            covered = {table: moment for table, moment in _covered(query, source, client) if table in tables}
            if covered:
                oldest = min(covered, key=lambda table: covered[table])
                within = source_settings(Expected, source, client.id).within()
                yield Age(client, source, oldest, covered[oldest], within)


def _covered(query: Query, source: str, client: Client) -> Iterator[tuple[str, datetime]]:
    if table_exists(query, source, LEDGER):
        files = query(
            f"SELECT table_name, max(last_modified) FROM {source}.{LEDGER} "
            "WHERE _client_id = %s AND status <> 'deleted' AND last_modified IS NOT NULL GROUP BY 1",
            client.id,
        )
        yield from ((table, moment) for table, moment in files)
    if table_exists(query, source, WINDOWS):
        rows = query(
            f"SELECT resource, day, max(loaded_at) FROM {source}.{WINDOWS} WHERE _client_id = %s GROUP BY 1, 2",
            client.id,
        )
        latest: dict[str, datetime] = {}
        for resource, day, read_at in rows:
            ends = datetime.combine(day + timedelta(days=1), time(), client.zone).astimezone(UTC)
            latest[resource] = max(min(read_at, ends), latest.get(resource, datetime.min.replace(tzinfo=UTC)))
        yield from latest.items()
