"""What the CLI tells about clients and their sources: how fresh each is, and whether it could
load.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from signalroom_dagster.freshness.ages import Age, ages
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.clients import Client, load_clients
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.access import Query, table_exists
from signalroom_dagster.warehouse.bookkeeping import LEDGER, WINDOWS
from signalroom_dagster.warehouse.ledger import LeftOutFiles, left_out_files


@dataclass(frozen=True, slots=True)
class SourceFreshness:
    """How much of a source a client has, and since when; `loaded_at` is None before the first load.

    `pieces` are files, or days for what is read by day; `rows` are those that were read, in all.
    """

    client: Client
    source: str
    pieces: int = 0
    rows: int = 0
    loaded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a client's source stands: what was loaded, and how old the data of its oldest table is,
    where that counts.
    """

    loaded: SourceFreshness
    age: Age | None

    def state(self, now: datetime) -> str:
        """fresh, stale or closed (no more is to come) where age counts, else loaded or never
        loaded.

        Of a client that is not active, its status.
        """
        if self.loaded.client.status != "active":
            return self.loaded.client.status
        if self.age and self.age.is_stale(now):
            return "stale"
        if self.age:
            return "closed" if self.age.ends and self.age.ends <= now else "fresh"
        return "loaded" if self.loaded.loaded_at else "never loaded"


def freshness() -> Sequence[SourceFreshness]:
    """Every client's sources, with what the ledgers and windows say. Raises
    DestinationUnreachableError.
    """
    with access.exclusive(), access.connected() as query:
        return list(_freshness(query))


def standing(wait_seconds: float = access.LOCK_WAIT_SECONDS) -> Sequence[Standing]:
    """Every client's sources, with what was loaded and how old it is.

    Raises DestinationUnreachableError, and WarehouseBusyError when another writer holds DuckDB for
    longer than asked.
    """
    with access.exclusive(wait_seconds), access.connected() as query:
        aged = {(age.client.id, age.source): age for age in ages(query)}
        return [
            Standing(item, aged.get((item.client.id, item.source))) for item in _freshness(query)
        ]


def files_left_out(
    sources: Iterable[str] | None = None, client: str | None = None
) -> list[LeftOutFiles]:
    """Files that are not, or not whole, in the warehouse: of all clients and sources, or of
    some.
    """
    chosen = [name for name in catalog.file_sources() if sources is None or name in sources]
    if not chosen:
        return []
    with access.exclusive(), access.connected() as query:
        return [each for name in chosen for each in left_out_files(query, name, client)]


def _freshness(query: Query) -> Iterator[SourceFreshness]:
    kept = {name: found for name in catalog.source_names() if (found := _kept(query, name))}
    for client in load_clients().values():
        for source in client.sources:
            if source not in kept:
                yield SourceFreshness(client, source)
                continue
            pieces, rows, loaded_at = query(kept[source], client.id)[0]
            yield SourceFreshness(client, source, int(pieces), int(rows), loaded_at)


def _kept(query: Query, source: str) -> str | None:
    """The question that tells what a source has loaded of a client; None before its first load."""
    if catalog.is_reference(source):
        schema, table = catalog.tables_of(source)[0]
        columns = "count(DISTINCT _client_id), count(*), max(updated_at)"
        there = table_exists(query, schema, table)
        return f"SELECT {columns} FROM {schema}.{table} WHERE _client_id = %s" if there else None
    for table, pieces, rows, loaded_at in (
        (LEDGER, "count(_loaded_at)", "rows_loaded", "_loaded_at"),
        (WINDOWS, "count(DISTINCT day)", "rows", "loaded_at"),
    ):
        if table_exists(query, source, table):
            columns = f"{pieces}, coalesce(sum({rows}), 0), max({loaded_at})"
            return f"SELECT {columns} FROM {source}.{table} WHERE _client_id = %s"
    return None
