"""Exports as pages of rows by column name, for whoever runs the source alone: each file takes its
own place.

A load does without them: it hands files to the database as they are read, which is what makes it as
fast as COPY.
"""

import csv
import logging
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import dlt
from dlt.common.configuration.specs import BaseConfiguration
from dlt.extract import DltResource

from signalroom_dagster.files import TAGS
from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.s3_exports.bucket import Bucket
from signalroom_dagster.sources.s3_exports.file_columns import FileColumns
from signalroom_dagster.sources.s3_exports.layouts import layout_of
from signalroom_dagster.sources.s3_exports.listing import ListedFile
from signalroom_dagster.sources.s3_exports.settings import Settings
from signalroom_dagster.sources.s3_exports.tagging import TaggedFile, Tags, tag_file

log = logging.getLogger(__name__)

PAGE_ROWS = 5_000
READ_BYTES = 4 * 1024 * 1024
LONGEST_FIELD = 2 * 1024 * 1024  # characters: a record may be 1 MiB long
OF_A_LOAD = ("_client_id", "_loaded_at")
KEY = ("_file_name", "_row_id")


def export_resource(settings: Settings, prefix: str, zone: ZoneInfo) -> DltResource:
    """Every record of the files under a prefix, all columns as text, with the file's name and date
    and the record's number.
    """

    def rows() -> Iterator[list[dict[str, Any]]]:
        bucket, columns = Bucket(settings, ""), FileColumns({}, settings)
        for item in bucket.files(prefix):
            yield from _file_rows(settings, prefix, bucket, columns, item, zone)

    layout = layout_of(prefix)
    kinds = {name: kind for name, kind in TAGS.items() if name not in OF_A_LOAD}
    kinds |= dict.fromkeys(layout.columns if layout else (), "text")
    columns: Any = {name: {"name": name, "data_type": kind} for name, kind in kinds.items()}
    return dlt.resource(
        rows,
        name=snake_case(prefix),
        write_disposition="merge",
        merge_key="_file_name",
        primary_key=KEY,
        columns=columns,
        spec=BaseConfiguration,
    )


def _file_rows(
    settings: Settings,
    prefix: str,
    bucket: Bucket,
    columns: FileColumns,
    item: ListedFile,
    zone: ZoneInfo,
) -> Iterator[list[dict[str, Any]]]:
    with TemporaryDirectory(prefix="signalroom-") as folder:
        body = Path(folder) / "rows.csv"
        tagged = _tagged(settings, prefix, bucket, columns, item, zone, body)
        if tagged.reason:
            log.warning(
                "source s3_exports: %s is %s: %s",
                item.version.file_name,
                tagged.status,
                tagged.reason,
            )
        names = (*TAGS, *tagged.columns)
        csv.field_size_limit(LONGEST_FIELD)
        with body.open(encoding="utf-8", newline="") as file:
            records = csv.reader(file)
            while page := list(islice(records, PAGE_ROWS)):
                yield [_row(names, cells) for cells in page]


def _tagged(
    settings: Settings,
    prefix: str,
    bucket: Bucket,
    columns: FileColumns,
    item: ListedFile,
    zone: ZoneInfo,
    body: Path,
) -> TaggedFile:
    date = item.file_date(zone).isoformat()
    row_filter = settings.row_filter
    with bucket.open(item, READ_BYTES) as stream:
        return tag_file(
            stream,
            tags=Tags(client_id="", file_name=item.version.file_name, file_date=date, loaded_at=""),
            plan=partial(columns.plan, prefix),
            layout=layout_of(prefix),
            filter_column=row_filter.column if row_filter else None,
            form=columns.form(prefix),
            body=body,
            rejects=body.with_suffix(".rejects"),
            most_unpacked=settings.most_unpacked(item.version.size),
        )


def _row(names: tuple[str, ...], cells: list[str]) -> dict[str, Any]:
    return {
        name: cell or None for name, cell in zip(names, cells, strict=True) if name not in OF_A_LOAD
    }
