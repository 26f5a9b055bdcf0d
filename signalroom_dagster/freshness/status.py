"""What each client has of each source, and how fresh it is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from signalroom_dagster.freshness.ages import Age, oldest_age
from signalroom_dagster.freshness.reach import reach
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.clients import Client, load_clients
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.access import Query, table_exists
from signalroom_dagster.warehouse.ledger import LeftOutFiles, left_out_files


@dataclass(frozen=True, slots=True)
class Loaded:
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
    """How a client's source stands: what was loaded; its oldest table's age, if that counts."""

    loaded: Loaded
    age: Age | None = None

    def state(self, now: datetime) -> str:
        """fresh, stale or closed (no more is to come), else loaded or never loaded.

        Of a client that is not active, its status.
        """
        if self.loaded.client.status != "active":
            return self.loaded.client.status
        if self.age and self.age.is_stale(now):
            return "stale"
        if self.age:
            return "closed" if self.age.ends and self.age.ends <= now else "fresh"
        return "loaded" if self.loaded.loaded_at else "never loaded"


def standing(wait_seconds: float = access.LOCK_WAIT_SECONDS) -> Sequence[Standing]:
    """Every client's sources, with what was loaded and how old it is.

    Raises DestinationUnreachableError, and WarehouseBusyError when another writer holds DuckDB for
    longer than asked.
    """
    sources = catalog.source_names()  # a client may name one that cannot be used now
    with access.exclusive(wait_seconds), access.connected() as query:
        return [
            _standing(query, source, client, source in sources)
            for client in load_clients().values()
            for source in client.sources
        ]


def files_left_out(
    sources: Iterable[str] | None = None,
    client: str | None = None,
    wait_seconds: float = access.LOCK_WAIT_SECONDS,
) -> list[LeftOutFiles]:
    """Files that are not, or not whole, in the warehouse: of all clients and sources, or of some.

    Raises DestinationUnreachableError, and WarehouseBusyError after the wait for DuckDB.
    """
    chosen = [name for name in catalog.file_sources() if sources is None or name in sources]
    if not chosen:
        return []
    with access.exclusive(wait_seconds), access.connected() as query:
        return [each for name in chosen for each in left_out_files(query, name, client)]


def _standing(query: Query, source: str, client: Client, is_usable: bool) -> Standing:
    if not is_usable:
        return Standing(Loaded(client, source))
    if catalog.is_reference(source):
        return Standing(_of_reference(query, source, client))
    reached = reach(query, source, client.id)
    days = {day for each in reached.values() for day in each.days}
    moments = [each.loaded_at for each in reached.values() if each.loaded_at]
    loaded = Loaded(
        client,
        source,
        len(days) + sum(each.files for each in reached.values()),
        sum(each.rows for each in reached.values()),
        max(moments, default=None),
    )
    return Standing(loaded, oldest_age(source, client, reached))


def _of_reference(query: Query, source: str, client: Client) -> Loaded:
    schema, table = catalog.tables_of(source)[0]
    if not table_exists(query, schema, table):
        return Loaded(client, source)
    columns = "count(DISTINCT _client_id), count(*), max(updated_at)"
    sql = f"SELECT {columns} FROM {schema}.{table} WHERE _client_id = %s"
    return Loaded(client, source, *query(sql, client.id)[0])
