"""What lies under a prefix, on any file system that fsspec knows, and which of it has to be loaded.

https://s3fs.readthedocs.io/  https://filesystem-spec.readthedocs.io/
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import Any, cast
from zoneinfo import ZoneInfo

from fsspec import AbstractFileSystem

from signalroom_dagster.files import FileVersion, LedgerEntry

_CSV_NAME = re.compile(r"\.csv(\.gz)?$", re.IGNORECASE)
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
    back: tuple[str, ...]


def list_files(fs: AbstractFileSystem, root: str, prefix: str) -> list[ListedFile]:
    """Every CSV object under a prefix, by name. A prefix that holds nothing is an empty list."""
    fs.invalidate_cache()
    base = root.rstrip("/")
    found = cast("Mapping[str, Mapping[str, Any]]", fs.find(f"{base}/{prefix.strip('/')}/", detail=True))
    listed = [_listed(base, path, info) for path, info in found.items() if _CSV_NAME.search(path)]
    return sorted(listed, key=lambda item: item.version.file_name)


def find_changes(listed: Iterable[ListedFile], ledger: Mapping[str, LedgerEntry]) -> Changes:
    """New and changed files, files that are gone, and files that are back as they were loaded.

    Only names, entity tags and sizes decide: no date and no order, so late files are never missed.
    """
    to_load: list[ListedFile] = []
    why: dict[str, str] = {}
    back: list[str] = []
    present: set[str] = set()
    for item in listed:
        name = item.version.file_name
        present.add(name)
        entry = ledger.get(name)
        if entry and (entry.etag, entry.size) == (item.version.etag, item.version.size):
            if entry.status == "deleted":
                back.append(name)
            continue
        to_load.append(item)
        why[name] = "changed since it was loaded" if entry else "new"
    gone = tuple(name for name, entry in ledger.items() if name not in present and entry.status != "deleted")
    return Changes(tuple(to_load), why, gone, tuple(back))


def digest(versions: Iterable[FileVersion]) -> str:
    """One short text for a whole listing, the same in any order: what the sensor compares."""
    total = 0
    for version in versions:
        text = f"{version.file_name}|{version.etag}|{version.size}".encode()
        total ^= int.from_bytes(blake2b(text, digest_size=16).digest(), "big")
    return f"{total:032x}"


def _listed(base: str, path: str, info: Mapping[str, Any]) -> ListedFile:
    modified = info.get("LastModified") or info.get("mtime") or info.get("created") or 0
    if not isinstance(modified, datetime):
        modified = datetime.fromtimestamp(float(modified), UTC)
    size = int(info.get("size") or 0)
    etag = str(info.get("ETag") or info.get("etag") or f"{modified.timestamp():.6f}").strip('"')
    name = path[path.index(base) + len(base) :].lstrip("/")
    return ListedFile(FileVersion(name, etag, size), path, modified)
