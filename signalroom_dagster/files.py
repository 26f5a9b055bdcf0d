"""What a source says of one file, and what the loader needs to know to load it in one transaction.

The hand-over between `sources` and `loading`; neither side knows the other. See `tickets` for how
it travels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

FileStatus: TypeAlias = Literal[
    "loaded", "quarantined", "empty", "deleted", "unreadable", "skipped"
]

HANDLED = frozenset({"loaded", "quarantined", "empty"})
"""What the ledger says of a version that was read to its end: that version is never loaded again.
"""

TAGS: Mapping[str, str] = {
    "_client_id": "text",
    "_file_name": "text",
    "_row_id": "bigint",
    "_file_date": "date",
    "_loaded_at": "timestamp",
}
"""The columns that lead every row of a loaded file, with their dlt types."""

OTHER_COLUMNS = "_other_columns"
"""The JSON column of what has none of its own: more columns than a client may bring to a table, and
columns of one file that cannot be told apart.
"""

BROUGHT_BY = "x-brought-by"
"""The hint on a column that says which client's file brings it."""

TO_LOOK_AT = "to look at: "
"""What a person should see of a file that was loaded stands in the ledger's reason behind these
words.
"""

REJECT_COLUMNS: Mapping[str, str] = {**TAGS, "reason": "text", "line": "bigint", "raw": "text"}


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One state of an object: name below the bucket URL, entity tag, size in bytes."""

    file_name: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What the ledger says of a file: the version that is in the warehouse, and how it got
    there.
    """

    etag: str
    size: int
    status: FileStatus
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumns:
    """A table's columns when a run begins: all of them, those that this client's files brought, and
    how many there ever were: a dropped one takes its place for good.
    """

    columns: frozenset[str] = frozenset()
    brought: frozenset[str] = frozenset()
    width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFile:
    """One version of one file, ready to load.

    `body` and `rejects` are CSV files without a header: the rows under `columns`, and the records
    that could not be read under REJECT_COLUMNS. `seen_etag` is what the ledger held when the file
    was chosen: a load job that finds this version there lets the other load stand, one that finds a
    third has to compare anew.
    """

    client_id: str
    table: str
    file_name: str
    etag: str
    size: int
    seen_etag: str | None
    file_date: str
    last_modified: str
    loaded_at: str
    run_id: str
    status: FileStatus
    reason: str | None
    columns: tuple[str, ...]
    rows_in_file: int
    rows_loaded: int
    rows_rejected: int
    rows_filtered: int
    body: str | None
    rejects: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMark:
    """What the ledger is to say of one file that is not loaded now; `seen_etag` is what it held
    when that was found.
    """

    version: FileVersion
    seen_etag: str | None
    file_date: str | None
    last_modified: str | None
    status: FileStatus
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedFiles:
    """Files of one table that are gone, cannot be read or are passed over: rows that are there
    stay.
    """

    client_id: str
    table: str
    run_id: str
    marks: tuple[FileMark, ...]
