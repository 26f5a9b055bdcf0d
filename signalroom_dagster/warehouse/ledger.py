"""What the ledger of files says about a client's loads: for metadata, checks and the CLI."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from signalroom_dagster.sources.files import FileStatus
from signalroom_dagster.warehouse.access import Query, table_exists
from signalroom_dagster.warehouse.bookkeeping import LEDGER

HANDLED = frozenset({"loaded", "quarantined", "empty"})
"""What the ledger says of a version that was read to its end: that version is never loaded again.
"""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What the ledger says of a file: the version that is in the warehouse, and how it got
    there.
    """

    etag: str
    size: int
    status: FileStatus
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """One ledger row; `loaded_at` is UTC (None: no version was ever loaded), `size` in bytes."""

    file_name: str
    size: int
    rows_in_file: int
    rows_loaded: int
    rows_rejected: int
    rows_filtered: int
    status: str
    reason: str | None
    loaded_at: datetime | None


def read_ledger(query: Query, dataset: str, client_id: str) -> Mapping[str, LedgerEntry]:
    """A client's part of a schema's ledger, by file name; empty before the first load."""
    if not table_exists(query, dataset, LEDGER):
        return {}
    columns = "_file_name, etag, size, status, reason"
    rows = query(f"SELECT {columns} FROM {dataset}.{LEDGER} WHERE _client_id = %s", client_id)
    return {
        name: LedgerEntry(etag, size, status, reason) for name, etag, size, status, reason in rows
    }


def files_of_run(
    query: Query, dataset: str, table: str, client_id: str, run_id: str
) -> list[LoadedFile]:
    """The files that one run loaded into a table, by name, its earlier attempts included."""
    return _files(query, dataset, table, client_id, "run_id", run_id)


def unreadable_files(query: Query, dataset: str, table: str, client_id: str) -> list[LoadedFile]:
    """The files of a table that the latest load to try them could not read, by name."""
    return _files(query, dataset, table, client_id, "status", "unreadable")


def _files(
    query: Query, dataset: str, table: str, client_id: str, column: str, value: str
) -> list[LoadedFile]:
    if not table_exists(query, dataset, LEDGER):
        return []
    rows = query(
        "SELECT _file_name, size, rows_in_file, rows_loaded, rows_rejected, rows_filtered, status,"
        f" reason, _loaded_at FROM {dataset}.{LEDGER} WHERE _client_id = %s AND table_name = %s AND"
        f" {column} = %s ORDER BY _file_name",
        client_id,
        table,
        value,
    )
    return [LoadedFile(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class LeftOutFiles:
    """A client's files that are not whole in the warehouse, by status; and rejected rows."""

    client: str
    source: str
    quarantined: int
    unreadable: int
    skipped: int
    rows_rejected: int

    @property
    def words(self) -> str:
        """What they are, and where they are shown."""
        counts = {
            "quarantined": self.quarantined,
            "unreadable": self.unreadable,
            "skipped": self.skipped,
        }
        files = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)
        parts = [f"files {files}"] if files else []
        parts += [f"rows rejected {self.rows_rejected:,}"] if self.rows_rejected else []
        return (
            f"client {self.client}, {self.source}: {'; '.join(parts)}: SELECT _file_name, status,"
            f" rows_rejected, reason FROM {self.source}.{LEDGER} WHERE _client_id = '{self.client}'"
            " AND (status IN ('quarantined', 'unreadable', 'skipped') OR rows_rejected > 0)"
        )


def left_out_files(query: Query, source: str, client_id: str | None = None) -> list[LeftOutFiles]:
    """What is left out of the files of a source: of each client with any such, or of one."""
    if not table_exists(query, source, LEDGER):
        return []
    counts = ", ".join(
        f"sum(CASE WHEN status = '{status}' THEN 1 ELSE 0 END)"
        for status in ("quarantined", "unreadable", "skipped")
    )
    rows = query(
        f"SELECT _client_id, {counts}, coalesce(sum(rows_rejected), 0) FROM {source}.{LEDGER} "
        "WHERE _client_id = coalesce(%s, _client_id) GROUP BY 1 ORDER BY 1",
        client_id,
    )
    found = [LeftOutFiles(str(client), source, *map(int, numbers)) for client, *numbers in rows]
    return [
        each
        for each in found
        if each.quarantined + each.unreadable + each.skipped + each.rows_rejected
    ]


def rows_of_client(query: Query, dataset: str, table: str, client_id: str) -> int:
    """How many rows the ledger vouches for in one table; no scan of the table itself."""
    found = query(
        f"SELECT coalesce(sum(rows_loaded), 0) FROM {dataset}.{LEDGER} WHERE _client_id = %s AND"
        " table_name = %s",
        client_id,
        table,
    )
    return int(found[0][0])
