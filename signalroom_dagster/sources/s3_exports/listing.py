"""A bucket's listing against the ledger: which files have to be loaded, which are gone."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from zoneinfo import ZoneInfo

from signalroom_dagster.files import FileVersion, LedgerEntry

_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One CSV object as the bucket lists it now; `path` is what fsspec opens, `modified` is UTC."""

    version: FileVersion
    path: str
    modified: datetime

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
    """What a listing asks for, measured against the ledger."""

    to_load: tuple[ListedFile, ...]
    why: Mapping[str, str]
    gone: tuple[str, ...]


def find_changes(listed: Iterable[ListedFile], ledger: Mapping[str, LedgerEntry]) -> Changes:
    """New and changed files, files that are back, and files that are gone.

    Only names, entity tags and sizes decide: no date and no order, so late files are never missed.
    """
    to_load: list[ListedFile] = []
    why: dict[str, str] = {}
    present: set[str] = set()
    for item in listed:
        name = item.version.file_name
        present.add(name)
        entry = ledger.get(name)
        same = entry and (entry.etag, entry.size) == (item.version.etag, item.version.size)
        if same and entry and entry.status != "deleted":
            continue
        to_load.append(item)
        why[name] = "new" if not entry else "back in the bucket" if same else "changed since it was loaded"
    gone = tuple(name for name, entry in ledger.items() if name not in present and entry.status != "deleted")
    return Changes(tuple(to_load), why, gone)


def digest(versions: Iterable[FileVersion]) -> str:
    """One short text for a whole listing, the same in any order: what the sensor compares."""
    total = 0
    for version in versions:
        text = f"{version.file_name}|{version.etag}|{version.size}".encode()
        total ^= int.from_bytes(blake2b(text, digest_size=16).digest(), "big")
    return f"{total:032x}"
