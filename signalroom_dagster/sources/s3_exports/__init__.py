"""Sticky.io's CSV exports as they land in a client's bucket: orders created, orders updated,
prospects.

Grain: one row per CSV record, keyed by (`_client_id`, `_file_name`, `_row_id`). All columns are
text, as exported; types come later, in SQL. No cursor: the ledger `s3_exports/files` decides by
name, entity tag and size, so late, out-of-order and overwritten files all load exactly once, and a
changed file is replaced whole.

Quirks: the same order recurs in later update files; an export's day is not the calendar day of its
orders; DECLINED attempts are rows too. Sticky.io publishes no page about the S3 export; its admin
help is at https://support.sticky.io/
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dlt
from dlt.extract import DltResource, DltSource

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.files import TAGS
from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.context import Planned, SourceContext
from signalroom_dagster.sources.s3_exports.bucket import Bucket
from signalroom_dagster.sources.s3_exports.export_files import HEADER_BYTES, ExportFiles
from signalroom_dagster.sources.s3_exports.file_columns import FileColumns
from signalroom_dagster.sources.s3_exports.layouts import layout_of, layouts
from signalroom_dagster.sources.s3_exports.listing import NO_CHANGES, ListedFile, digest, in_short
from signalroom_dagster.sources.s3_exports.refusals import UnreadableObjectError
from signalroom_dagster.sources.s3_exports.rows import export_resource
from signalroom_dagster.sources.s3_exports.settings import (
    Settings,
    one_of_each_table,
    without_slashes,
)
from signalroom_dagster.tickets import offer

log = logging.getLogger(__name__)


@dlt.source(name="s3_exports", max_table_nesting=0)
def s3_exports(
    bucket_url: str = dlt.config.value,
    prefixes: Sequence[str] = dlt.config.value,
    timezone: str = "UTC",
    **storage_options: Any,
) -> Iterable[DltResource]:
    """The files under each prefix of a bucket (`s3://...`, `file:///...`), one table per prefix.

    `storage_options` are those of `Settings`: `aws_access_key_id`, `aws_secret_access_key`,
    `region_name`, `endpoint_url`, and what is to become of columns. A file without a date in its
    name has the day, in `timezone`, on which it was written.
    """
    settings = Settings(bucket_url=bucket_url, prefixes=list(prefixes), **storage_options)
    for prefix in settings.prefixes:
        yield export_resource(settings, prefix, ZoneInfo(timezone))


@dlt.source(name="s3_exports", max_table_nesting=0)
def loaded_tables(
    prefixes: Sequence[str], dropped: Sequence[str] = (), exports: ExportFiles | None = None
) -> Iterable[DltResource]:
    """One resource per prefix, the ledger and the rejected rows; without `exports` an outline that
    loads nothing.
    """
    for prefix in prefixes:
        resource = dlt.resource(rows, name=snake_case(prefix), columns=_columns(prefix, dropped))
        yield resource.apply_hints(additional_table_hints={"x-load": "files"})(prefix, exports)
    yield files
    yield rejected_rows


def outline(configured: Iterable[Settings]) -> DltSource:
    """Every resource that any client has, from settings that were not validated and hold no
    secret.
    """
    known = list(configured)
    prefixes = [prefix for settings in known for prefix in _prefixes(settings)]
    return loaded_tables(one_of_each_table(prefixes), _dropped_by_all(known))


def known_outline(configured: Iterable[Settings]) -> DltSource:
    """`outline`, and a table for each known layout: a client with one kind of export has its orders
    all the same.
    """
    known = list(configured)
    prefixes = [prefix for settings in known for prefix in _prefixes(settings)]
    return loaded_tables(one_of_each_table([*prefixes, *layouts()]), _dropped_by_all(known))


def open_source(settings: Settings, context: SourceContext) -> DltSource:
    """The client's own source: reads its bucket and leaves out what the ledger already holds."""
    return loaded_tables(
        settings.prefixes, sorted(_dropped(settings)), ExportFiles(settings, context)
    )


def listing_digests(settings: Settings, client_id: str) -> Mapping[str, str]:
    """What the client's bucket holds now, as one short text per resource; a prefix that is refused
    is left out.

    Raises what listing the last refused one raised when all are.
    """
    bucket = Bucket(settings, client_id, settings.listing_seconds)
    digests: dict[str, str] = {}
    for prefix in settings.prefixes:
        try:
            digests[snake_case(prefix)] = digest(item.version for item in bucket.files(prefix))
        except ConfigurationError as error:
            log.error("%s (%s/)", error, prefix)
            if prefix == settings.prefixes[-1] and not digests:
                raise
    return digests


def probe(settings: Settings, client_id: str) -> str:
    """List the client's prefixes and read the header of the newest file in each.

    Raises ConfigurationError that names the files that cannot be read or understood, and policies
    that meet no column.
    """
    bucket = Bucket(settings, client_id, settings.listing_seconds)
    answers: list[str] = []
    problems: list[str] = []
    unmet: list[Sequence[str]] = []
    for prefix in settings.prefixes:
        listed = bucket.objects(prefix)
        exports = [item for item in listed if not item.passed_over]
        others = in_short(item for item in listed if item.passed_over)
        answers.append(
            f"{snake_case(prefix)} (files:"
            f" {len(exports)}{f'; passed over: {others}' if others else ''})"
        )
        for newest in sorted(exports, key=lambda item: item.modified)[-1:]:
            try:
                with bucket.open(newest, HEADER_BYTES) as stream:
                    header = FileColumns({}, settings).header(prefix, stream)
            except UnreadableObjectError as error:
                problems.append(f"{newest.version.file_name} {error}")
                continue
            unmet.append(header.columns.unmet)
            problems += (
                [f"{newest.version.file_name} is set aside: {header.fault}"] if header.fault else []
            )
    if unmet and (nowhere := sorted(set.intersection(*map(set, unmet)))):
        problems.append(
            f"the column policy for {', '.join(nowhere)} meets no column of the newest files"
        )
    if problems:
        raise ConfigurationError(f"client {client_id}, s3_exports: {'; '.join(problems)}")
    return ", ".join(answers)


def preview(settings: Settings, context: SourceContext) -> Iterator[Planned]:
    """The files that a load would read, and why; and what it would pass over."""
    exports = ExportFiles(settings, context)
    for prefix in settings.prefixes:
        table, changes = snake_case(prefix), exports.changes(prefix)
        for item in changes.to_load:
            version = item.version
            yield Planned(table, version.file_name, changes.why[version.file_name], version.size)
        for name in changes.gone:
            yield Planned(table, name, "gone from the bucket: its rows stay, the ledger says so")
        for item in changes.passed_over:
            yield Planned(
                table,
                item.version.file_name,
                item.passed_over or "",
                item.version.size,
                is_loaded=False,
            )


def check_shared(client_id: str, configured: Mapping[str, Settings]) -> None:
    """Raises ConfigurationError when this client shares a prefix and no row filter says whose rows
    are whose.
    """
    own = _places(configured[client_id])
    for other_id, other in configured.items():
        shared = _shared(own, _places(other)) if other_id != client_id else ()
        if shared and not (
            getattr(configured[client_id], "row_filter", None)
            and getattr(other, "row_filter", None)
        ):
            raise ConfigurationError(
                f"clients {client_id} and {other_id} share {', '.join(shared)}: both need "
                "[sources.s3_exports.clients.<id>.row_filter] with column and values"
            )


def rows(prefix: str, exports: ExportFiles | None) -> Iterator[Any]:
    """One row per CSV record of the files under one prefix, all columns as text."""
    if exports is None:
        return
    try:
        changes = exports.changes(prefix)
    except ConfigurationError as error:  # says nothing of another prefix
        exports.fail(prefix, error)
        changes = NO_CHANGES
    # offered also when there is nothing to mark, so that the table comes to be
    yield _marked(offer(partial(exports.marks, prefix, changes), exports.folder), {})
    for item in changes.to_load:
        yield _load(exports, prefix, item)


@dlt.resource
def files() -> Iterator[Any]:
    """The ledger: one row per file ever seen, with its version, counts, status and the reason for
    it.
    """
    yield from ()  # written by the load, in the transaction that loads the file


@dlt.resource
def rejected_rows() -> Iterator[Any]:
    """Records that could not be read, with the reason, the line in the file and, where allowed, the
    raw text.
    """
    yield from ()  # written by the load, in the transaction that loads the file


@dlt.defer
def _load(exports: ExportFiles, prefix: str, item: ListedFile) -> Any:
    """Declare the file's columns now; read its rows in the load job, while the database takes other
    files.
    """
    if (planned := exports.job(prefix, item)) is None:
        return None
    job, columns = planned
    known = _columns(prefix, ())
    new_columns = {name: exports.described(prefix, name) for name in columns if name not in known}
    return _marked(offer(job, exports.folder), new_columns)


def _marked(ticket: Path, new_columns: Mapping[str, Any]) -> Any:
    """A ticket for dlt to import; hints only where they tell dlt something new, because it checks
    each of them.
    """
    hints = dlt.mark.make_hints(columns=dict(new_columns)) if new_columns else None
    return dlt.mark.with_file_import(str(ticket), "csv", 1, hints=hints)


def _places(settings: Settings) -> set[str]:
    """Where a client's files lie, from settings that may be incomplete."""
    base = str(getattr(settings, "bucket_url", "")).rstrip("/")
    return {f"{base}/{prefix}" for prefix in _prefixes(settings)} if base else set()


def _shared(own: set[str], others: set[str]) -> Sequence[str]:
    """The places of either that lie in one of the other's."""
    pairs = [pair for mine in own for other in others for pair in ((mine, other), (other, mine))]
    return sorted({inner for inner, outer in pairs if f"{inner}/".startswith(f"{outer}/")})


def _prefixes(settings: Settings) -> Sequence[str]:
    return without_slashes(getattr(settings, "prefixes", None))


def _dropped(settings: Settings) -> set[str]:
    policy: Any = settings.columns  # anything at all, in settings that were not validated
    return (
        {name for name, kind in policy.items() if kind == "drop"}
        if isinstance(policy, dict)
        else set()
    )


def _dropped_by_all(configured: Sequence[Settings]) -> Sequence[str]:
    dropped = [_dropped(settings) for settings in configured]
    return sorted(set.intersection(*dropped)) if dropped else ()


def _columns(prefix: str, dropped: Sequence[str]) -> Any:
    layout = layout_of(prefix)
    known = [name for name in (layout.columns if layout else ()) if name not in dropped]
    tags = {name: {"name": name, "data_type": kind} for name, kind in TAGS.items()}
    return tags | {name: _text(name) for name in known}


def _text(name: str) -> Any:
    return {"name": name, "data_type": "text"}
