"""A bucket's listing against the ledger: which files have to be loaded, which are gone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from signalroom_dagster.sources.files import FileVersion, ListedFile
from signalroom_dagster.warehouse.ledger import HANDLED, LedgerEntry


@dataclass(frozen=True, slots=True)
class Changes:
    """What a listing asks for, measured against the ledger, and what it holds beside exports."""

    to_load: tuple[ListedFile, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict[str, str])
    gone: tuple[str, ...] = ()
    passed_over: tuple[ListedFile, ...] = ()


def find_changes(listed: Iterable[ListedFile], ledger: Mapping[str, LedgerEntry]) -> Changes:
    """New and changed files, files that are back or could not be read before, and files that are
    gone.

    Only names, entity tags and sizes decide: no date and no order, so late files are never missed.
    """
    objects = {item.version.file_name: item for item in listed}
    exports = {name: item for name, item in objects.items() if not item.passed_over}
    reasons = {name: _why(item.version, ledger.get(name)) for name, item in exports.items()}
    why = {name: reason for name, reason in reasons.items() if reason}
    there = {name for name, entry in ledger.items() if entry.status != "deleted"}
    return Changes(
        to_load=tuple(exports[name] for name in why),
        why=why,
        gone=tuple(sorted(there - objects.keys())),
        passed_over=tuple(item for item in objects.values() if item.passed_over),
    )


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
