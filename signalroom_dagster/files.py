"""What a source says of one file, and what the loader needs to know to load it in one transaction.

The hand-over between `sources` and `loading`; neither side knows the other. A source offers a job and marks the ticket
it gets for import; dlt carries the ticket through its package to a load job, which redeems it in the same process.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

FileStatus: TypeAlias = Literal["loaded", "quarantined", "empty", "deleted"]

TAGS: Mapping[str, str] = {
    "_client_id": "text",
    "_file_name": "text",
    "_row_id": "bigint",
    "_file_date": "date",
    "_loaded_at": "timestamp",
}
"""The columns that lead every row of a loaded file, with their dlt types."""

REJECT_COLUMNS: Mapping[str, str] = {**TAGS, "reason": "text", "line": "bigint", "raw": "text"}


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One state of an object: name below the bucket URL, entity tag, size in bytes."""

    file_name: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What the ledger says of a file: the version that is in the warehouse, and how it got there."""

    etag: str
    size: int
    status: FileStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFile:
    """One version of one file, ready to load.

    `body` and `rejects` are CSV files without a header: the rows under `columns`, and the records that could not
    be read under REJECT_COLUMNS. `seen_etag` is what the ledger held when the file was chosen: a load job that
    finds something else there lets the other load stand.
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
class DeletedFiles:
    """Files that are gone from the bucket: their rows stay, the ledger says so."""

    client_id: str
    file_names: tuple[str, ...]


Job: TypeAlias = Callable[[], LoadFile | DeletedFiles]
"""What a load job calls first: reads and tags one file, or says which are gone. It runs in a load worker, so that
the next file is read while the database takes this one."""

_offered: dict[str, Job] = {}


def offer(job: Job, folder: Path) -> Path:
    """Leave a job to be redeemed; the ticket for it is a file, as dlt wants to import one."""
    ticket = uuid.uuid4().hex
    _offered[ticket] = job
    path = folder / f"{ticket}.csv"
    path.write_text(ticket)
    return path


def redeem(path: Path) -> LoadFile | DeletedFiles:
    """Do what was offered for a ticket. Raises what the job raises; it can then be asked again."""
    ticket = path.read_text()
    done = _offered[ticket]()
    del _offered[ticket]
    return done
