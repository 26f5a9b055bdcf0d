"""Sticky.io's CSV exports as they land in a client's bucket: orders created, orders updated, prospects.

Grain: one row per CSV record, keyed by (`_client_id`, `_file_name`, `_row_id`). All columns are text, as exported;
types come later, in SQL. No cursor: the ledger `s3_exports/files` decides by name, entity tag and size, so late,
out-of-order and overwritten files all load exactly once, and a changed file is replaced whole.

Quirks: the same order recurs in later update files; an export's day is not the calendar day of its orders;
DECLINED attempts are rows too. Sticky.io publishes no page about the S3 export; its admin help is at
https://support.sticky.io/
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dlt
from dlt.extract import DltResource, DltSource

from signalroom_dagster.files import TAGS, LedgerUpdate, LoadFile
from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.context import SourceContext
from signalroom_dagster.sources.s3_exports.export_files import ExportFiles
from signalroom_dagster.sources.s3_exports.layouts import layout_of
from signalroom_dagster.sources.s3_exports.listing import ListedFile
from signalroom_dagster.sources.s3_exports.settings import Settings


@dlt.source(name="s3_exports", max_table_nesting=0)
def s3_exports(
    prefixes: Sequence[str], dropped: Sequence[str] = (), exports: ExportFiles | None = None
) -> Iterable[DltResource]:
    """One resource per prefix, the ledger and the rejected rows; without `exports` an outline that loads nothing."""
    for prefix in prefixes:
        resource = dlt.resource(rows, name=snake_case(prefix), columns=_columns(prefix, dropped))
        yield resource.apply_hints(additional_table_hints={"x-load": "files"})(prefix, exports)
    yield files
    yield rejected_rows


def outline(configured: Iterable[Settings]) -> DltSource:
    """Every resource that any client has, from settings that were not validated and hold no secret."""
    prefixes = {prefix: None for settings in configured for prefix in getattr(settings, "prefixes", ())}
    return s3_exports(tuple(prefixes))


def open_source(settings: Settings, context: SourceContext) -> DltSource:
    """The client's own source: reads its bucket and leaves out what the ledger already holds."""
    dropped = [name for name, kind in settings.columns.items() if kind == "drop"]
    return s3_exports(settings.prefixes, dropped, ExportFiles(settings, context))


def rows(prefix: str, exports: ExportFiles | None) -> Iterator[Any]:
    """One row per CSV record of the files under one prefix, all columns as text."""
    if exports is None:
        return
    changes = exports.changes(prefix)
    for update in exports.ledger_updates(changes):  # also of no file at all, so that the table comes to be
        yield _imported(exports, update)
    for item in changes.to_load:
        yield _load(exports, prefix, item)


@dlt.resource
def files() -> Iterator[Any]:
    """The ledger: one row per file ever seen, with its version, counts, status and the reason for it."""
    yield from ()  # written by the load, in the transaction that loads the file


@dlt.resource
def rejected_rows() -> Iterator[Any]:
    """Records that could not be read, with the reason, the line in the file and, where allowed, the raw text."""
    yield from ()  # written by the load, in the transaction that loads the file


@dlt.defer
def _load(exports: ExportFiles, prefix: str, item: ListedFile) -> Any:
    return _imported(exports, exports.prepare(prefix, item))


def _imported(exports: ExportFiles, described: LoadFile | LedgerUpdate) -> Any:
    """Mark a description for import: the load job of that name does the rest."""
    path = described.write(exports.scratch_path("json"))
    if isinstance(described, LedgerUpdate):
        return dlt.mark.with_file_import(str(path), "csv", 0)
    hints = dlt.mark.make_hints(columns={name: _text(name) for name in described.columns})
    return dlt.mark.with_file_import(str(path), "csv", described.rows_loaded, hints=hints)


def _columns(prefix: str, dropped: Sequence[str]) -> Mapping[str, Any]:
    layout = layout_of(prefix)
    known = [name for name in (layout.columns if layout else ()) if name not in dropped]
    tags = {name: {"name": name, "data_type": kind} for name, kind in TAGS.items()}
    return tags | {name: _text(name) for name in known}


def _text(name: str) -> Mapping[str, str]:
    return {"name": name, "data_type": "text"}
