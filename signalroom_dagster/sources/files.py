"""What a source that brings files says of one: its version in the bucket, what became of its rows,
and why it cannot be read.

The rows of a file are written as CSV without a header: the tags first, then its own columns.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo

from signalroom_dagster.errors import SignalRoomError

FileStatus: TypeAlias = Literal[
    "loaded", "quarantined", "empty", "deleted", "unreadable", "skipped"
]

TAGS: Mapping[str, str] = {
    "_client_id": "text",
    "_file_name": "text",
    "_row_id": "bigint",
    "_file_date": "date",
    "_loaded_at": "timestamp",
}
"""The columns that lead every row of a loaded file, with their dlt types."""

REJECT_COLUMNS: Mapping[str, str] = {**TAGS, "reason": "text", "line": "bigint", "raw": "text"}
"""The columns of a record that could not be read, with their dlt types."""

OTHER_COLUMNS = "_other_columns"
"""The JSON column of what has none of its own: more columns than a client may bring to a table, and
columns of one file that cannot be told apart.
"""

TO_LOOK_AT = "to look at: "
"""What a person should see of a file that was loaded stands in the ledger's reason behind these
words.
"""

_CSV_NAME = re.compile(r"\.csv(\.gz)?\Z", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})")


class UnreadableObjectError(SignalRoomError):
    """One object cannot be read while its bucket can: its message follows the file's name; tried by
    each load.
    """

    told = False


class AccessRefusedError(UnreadableObjectError):
    """The client's key may not read one object."""


class BucketUnavailableError(SignalRoomError, OSError):
    """A bucket, or one object in it, does not answer now, or not as it must: the step tries
    again.
    """


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One state of an object: name below the bucket URL, entity tag, size in bytes."""

    file_name: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One object as the bucket lists it now; `path` is what fsspec opens, `modified` is UTC."""

    version: FileVersion
    path: str
    modified: datetime
    is_file: bool = True

    @property
    def passed_over(self) -> str | None:
        """Why the object is not taken for an export, in words that follow its name; None for a CSV
        file.
        """
        if self.version.file_name.endswith("/"):
            return "is passed over: a folder's marker, no file"
        if not self.is_file:
            return "is passed over: no regular file, but a pipe, a socket, a device or a folder"
        if _CSV_NAME.search(self.version.file_name):
            return None
        return "is passed over: its name ends neither in .csv nor in .csv.gz"

    def file_date(self, zone: ZoneInfo) -> date:
        """The day in the file's name, else the day it was written, in the client's zone."""
        for text in _DATE.findall(self.version.file_name.rpartition("/")[2]):
            try:
                return date.fromisoformat(text)
            except ValueError:
                continue
        return self.modified.astimezone(zone).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumns:
    """A table's columns when a run begins: all of them, those that this client's files brought, and
    how many there ever were: a dropped one takes its place for good.
    """

    columns: frozenset[str] = frozenset()
    brought: frozenset[str] = frozenset()
    width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedFile:
    """What became of one file. `rows_in_file` is an independent count; the others are what was
    written. `columns` are those of its rows behind the tags.
    """

    status: FileStatus
    reason: str | None
    columns: tuple[str, ...] = ()
    rows_in_file: int = 0
    rows_loaded: int = 0
    rows_rejected: int = 0
    rows_filtered: int = 0
    bytes_read: int = 0


class Files(Protocol):
    """What a source offers of the files of one table: those under one prefix of a client's bucket.
    Safe to use from several threads.
    """

    @property
    def prefix(self) -> str:
        """Where they lie, without a slash at its end."""
        ...

    def objects(self) -> Sequence[ListedFile]:
        """Everything that lies there. Raises ConfigurationError for what is wrong with the bucket,
        BucketUnavailableError when it does not answer.
        """
        ...

    def columns(self, item: ListedFile) -> tuple[str, ...]:
        """The columns that a file's rows will have, from its first bytes. Raises as `read` does."""
        ...

    def read(
        self,
        item: ListedFile,
        loaded_at: str,
        body: Path,
        rejects: Path,
        columns: tuple[str, ...] | None = None,
    ) -> TaggedFile:
        """Read a file and write its rows, with these columns, and the records that could not be
        read.

        Raises UnreadableObjectError for what is wrong with the file, ConfigurationError for what is
        wrong with the bucket, BucketUnavailableError for what may pass.
        """
        ...


def in_short(passed_over: Iterable[ListedFile]) -> str:
    """What kinds of objects are passed over and how many of each, such as `2 .zip, 1 without an
    ending`.
    """
    kinds = Counter(map(_kind, passed_over))
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _kind(item: ListedFile) -> str:
    file_name = item.version.file_name
    if file_name.endswith("/"):
        return "folder marker"
    if not item.is_file:
        return "no regular file"
    return PurePosixPath(file_name).suffix or "without an ending"


def digest(versions: Iterable[FileVersion]) -> str:
    """One short text for a whole listing, the same in any order: what the sensor compares."""
    total = 0
    for version in versions:
        text = f"{version.file_name}|{version.etag}|{version.size}".encode()
        total ^= int.from_bytes(blake2b(text, digest_size=16).digest(), "big")
    return f"{total:032x}"
