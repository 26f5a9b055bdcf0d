"""How far a client's data reach: the one reader of windows and ledger for that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from signalroom_dagster.warehouse.access import Query, now, table_exists
from signalroom_dagster.warehouse.bookkeeping import LEDGER
from signalroom_dagster.warehouse.windows import read_windows


@dataclass(frozen=True, slots=True)
class Reach:
    """What one table has of a client, all moments in UTC and none from the future.

    `days` says when each day was read (of what is not read by day: each day of a load). Of files
    there is instead how many were loaded, and the newest one's own time: of all but deleted ones,
    and of those that were read.
    """

    rows: int
    loaded_at: datetime | None
    days: Mapping[date, datetime] = field(default_factory=dict[date, datetime])
    files: int = 0
    newest_file: datetime | None = None
    newest_read_file: datetime | None = None


def reach(query: Query, source: str, client_id: str) -> Mapping[str, Reach]:
    """What a source's tables have of a client, by table; nothing before the first load."""
    found = _of_files(query, source, client_id)
    for table, windows in read_windows(query, source, client_id).items():
        days = {day: window.loaded_at for day, window in windows.items()}
        rows = sum(window.rows for window in windows.values())
        found[table] = Reach(rows, max(days.values()), days)
    return found


def _of_files(query: Query, source: str, client_id: str) -> dict[str, Reach]:
    if not table_exists(query, source, LEDGER):
        return {}
    read = "_loaded_at IS NOT NULL AND last_modified <= %s AND status"
    rows = query(
        "SELECT table_name, coalesce(sum(rows_loaded), 0), max(_loaded_at), count(_loaded_at),"
        f" max(CASE WHEN {read} <> 'deleted' THEN last_modified END),"
        f" max(CASE WHEN {read} IN ('loaded', 'empty', 'unreadable') THEN last_modified END)"
        f" FROM {source}.{LEDGER} WHERE _client_id = %s GROUP BY 1",
        *[now(query)] * 2,
        client_id,
    )
    return {
        table: Reach(int(loaded), at, {}, files, newest, newest_read)
        for table, loaded, at, files, newest, newest_read in rows
    }
