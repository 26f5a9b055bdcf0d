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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import dlt
from dlt.extract import DltResource

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.files import TAGS, UnreadableObjectError, digest, in_short
from signalroom_dagster.sources.s3_exports.bucket import Bucket
from signalroom_dagster.sources.s3_exports.export_files import HEADER_BYTES, ExportFiles, open_files
from signalroom_dagster.sources.s3_exports.file_columns import FileColumns
from signalroom_dagster.sources.s3_exports.layouts import layout_of, layouts
from signalroom_dagster.sources.s3_exports.rows import export_resource
from signalroom_dagster.sources.s3_exports.settings import (
    Settings,
    one_of_each_table,
    without_slashes,
)

__all__ = ["Settings", "check_shared", "file_tables", "listing_digests", "open_files", "probe"]

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
    bucket, zone = Bucket(settings, ""), ZoneInfo(timezone)
    for prefix in settings.prefixes:
        files = ExportFiles(settings, bucket, prefix, zone)
        yield export_resource(snake_case(prefix), files, _columns(prefix))


def file_tables(
    configured: Iterable[Settings], *, with_known: bool = False
) -> Mapping[str, Mapping[str, str]]:
    """The columns that are known of every table that any client has, with their dlt types, from
    settings that were not validated and hold no secret.

    With the known layouts, also where no client has their files: a client with one kind of export
    has its orders all the same.
    """
    clients = list(configured)
    dropped = [_dropped(settings) for settings in clients]
    by_all = set[str].intersection(*dropped) if dropped else set[str]()
    prefixes = [prefix for settings in clients for prefix in _prefixes(settings)]
    prefixes += layouts() if with_known else ()
    return {snake_case(prefix): _columns(prefix, by_all) for prefix in one_of_each_table(prefixes)}


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
                    header = FileColumns(settings, prefix, {}).header(stream)
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
    if not isinstance(policy, dict):
        return set()
    return {name for name, kind in policy.items() if kind == "drop"}


def _columns(prefix: str, dropped: Iterable[str] = ()) -> Mapping[str, str]:
    layout = layout_of(prefix)
    columns = dict.fromkeys(layout.columns if layout else (), "text")
    return {**TAGS, **{name: kind for name, kind in columns.items() if name not in {*dropped}}}
