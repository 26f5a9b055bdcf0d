"""A bucket's listing against the ledger: which files have to be loaded, which are gone."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

from signalroom_dagster.files import HANDLED, FileVersion, LedgerEntry

_CSV_NAME = re.compile(r"\.csv(\.gz)?\Z", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})")


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


@dataclass(frozen=True, slots=True)
class Changes:
    """What a listing asks for, measured against the ledger; and what it holds beside exports."""

    to_load: tuple[ListedFile, ...]
    why: Mapping[str, str]
    gone: tuple[str, ...]
    passed_over: tuple[ListedFile, ...] = ()


NO_CHANGES = Changes((), {}, ())


def find_changes(listed: Iterable[ListedFile], ledger: Mapping[str, LedgerEntry]) -> Changes:
    """New and changed files, files that are back or could not be read before, and files that are
    gone.

    Only names, entity tags and sizes decide: no date and no order, so late files are never missed.
    """
    to_load: list[ListedFile] = []
    why: dict[str, str] = {}
    passed_over: list[ListedFile] = []
    present: set[str] = set()
    for item in listed:
        name = item.version.file_name
        present.add(name)
        if item.passed_over:
            passed_over.append(item)
        elif reason := _why(item.version, ledger.get(name)):
            to_load.append(item)
            why[name] = reason
    gone = tuple(
        name for name, entry in ledger.items() if name not in present and entry.status != "deleted"
    )
    return Changes(tuple(to_load), why, gone, tuple(passed_over))


def _why(version: FileVersion, entry: LedgerEntry | None) -> str | None:
    """Why a file is to be loaded, or None where the ledger's version is this one and was
    handled.
    """
    if entry is None or entry.status == "skipped":
        return "new"
    if entry.status == "unreadable":
        return f"could not be read before: {entry.reason}"
    if (entry.etag, entry.size) != (version.etag, version.size):
        return "changed since it was loaded"
    return None if entry.status in HANDLED else "back in the bucket"


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
