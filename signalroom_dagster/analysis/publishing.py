"""From the store to the warehouse and to files, where these are no part of the store's transaction:
an outbox.

Results wait in the store until they are written here and marked there. Whoever dies in between
writes the same rows once more, over themselves.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from signalroom_dagster.analysis.export import export_files, is_exporting
from signalroom_dagster.analysis.results import RESULTS, create_results, from_kept, write
from signalroom_dagster.events.stores.store import Kept, Store
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.errors import LoadError
from signalroom_dagster.warehouse.places import server_url

if TYPE_CHECKING:
    import psycopg2

BATCH = 500
WAREHOUSE_SECONDS = 1.0
MOST_REFUSED = 3


_MAY_WRITE = """
SELECT has_schema_privilege(n.oid, 'USAGE') AND NOT row_security_active(c.oid)
  AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
  AND has_table_privilege(c.oid, 'UPDATE')
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""


def is_direct(store: Store) -> bool:
    """Whether the store's database is the warehouse, and no files are due."""
    url = server_url()
    if not url or not store.database or is_exporting():
        return False
    return _address(store.database) == _address(url)


def may_write(cursor: "psycopg2.extensions.cursor") -> bool:
    """Whether the user of a claim's transaction may write to `analysis.results`, which may be
    another than the warehouse's: else results go through the store.
    """
    cursor.execute(_MAY_WRITE, RESULTS.split("."))
    return cursor.fetchone() == (True,)


def create_table_of_results() -> None:
    """Create `analysis.results` where it is missing."""
    with access.exclusive():
        create_results()


def count_results(client_id: str) -> int:
    """How many results a client has in the warehouse."""
    with access.exclusive(), access.connected() as query:
        return int(query(f"SELECT count(*) FROM {RESULTS} WHERE _client_id = %s", client_id)[0][0])


def publish_once(store: Store, limit: int = BATCH, wait_seconds: float = WAREHOUSE_SECONDS) -> int:
    """Bring up to `limit` results that wait in the store to the warehouse, and to files; how many.

    What is read is read under the warehouse's lock, so that of two publishers the later one writes
    the newer rows. Raises WarehouseBusyError when DuckDB is in use for longer than `wait_seconds`,
    DestinationUnreachableError, StoreError, and LoadError for rows that the warehouse refuses, when
    all others are published.
    """
    if not store.unpublished(1):
        return 0
    with access.exclusive(wait_seconds):
        kept, refused = _written(store, limit)
        export_files([from_kept(each) for each in kept])
        store.published(kept)
    if refused:
        named = ", ".join(f"{each.tenant_id}/{each.job_id}" for each in refused)
        raise LoadError(
            f"{RESULTS}: the warehouse refuses {len(refused)} results, which stay in the store:"
            f" {named}"
        )
    return len(kept)


def publish_all(store: Store, wait_seconds: float = WAREHOUSE_SECONDS) -> int:
    """`publish_once` until nothing waits; how many."""
    total = 0
    while done := publish_once(store, BATCH, wait_seconds):
        total += done
    return total


def _written(store: Store, limit: int) -> tuple[Sequence[Kept], Sequence[Kept]]:
    """The results that are in the warehouse now, and those that it refuses."""
    kept: Sequence[Kept] = ()
    create_results()  # a consumer does not wait for DuckDB before it begins
    try:
        with access.transaction("publishing analysis results") as query:
            access.lock(query, RESULTS)
            kept = store.unpublished(limit)
            if kept:
                write(query, [from_kept(each) for each in kept], datetime.now(UTC))
    except LoadError:
        return _written_singly(kept)
    return kept, ()


def _written_singly(kept: Sequence[Kept]) -> tuple[Sequence[Kept], Sequence[Kept]]:
    """The same one by one. Raises LoadError when too many are refused for it to be their own
    fault.
    """
    refused: list[Kept] = []
    for each in kept:
        try:
            with access.transaction(
                f"publishing the result of {each.tenant_id}/{each.job_id}"
            ) as query:
                write(query, [from_kept(each)], datetime.now(UTC))
        except LoadError:
            refused.append(each)
            if len(refused) > MOST_REFUSED:
                raise
    return [each for each in kept if each not in refused], refused


def _address(url: str) -> tuple[str | None, ...]:
    from psycopg2.extensions import parse_dsn

    parts = parse_dsn(url)
    return tuple(parts.get(name) for name in ("host", "port", "dbname"))
