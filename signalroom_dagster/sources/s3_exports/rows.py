"""Exports as pages of rows by column name, for whoever runs the source alone: each file takes its
own place.

A load does without them: it hands files to the database as they are read, which is what makes it as
fast as COPY.
"""

import csv
import logging
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dlt
from dlt.common.configuration.specs import BaseConfiguration
from dlt.extract import DltResource

from signalroom_dagster.sources.files import TAGS, ListedFile
from signalroom_dagster.sources.s3_exports.export_files import ExportFiles

log = logging.getLogger(__name__)

PAGE_ROWS = 5_000
LONGEST_FIELD = 2 * 1024 * 1024  # characters: a record may be 1 MiB long
OF_A_LOAD = ("_client_id", "_loaded_at")


def export_resource(name: str, files: ExportFiles, columns: Mapping[str, str]) -> DltResource:
    """Every record of some files, all columns as text, with the file's name and date and the
    record's number. `columns` are those that are known, with their dlt types.
    """

    def rows() -> Iterator[list[dict[str, Any]]]:
        for item in files.objects():
            if not item.passed_over:
                yield from _file_rows(files, item)

    hints: Any = {
        column: {"name": column, "data_type": kind}
        for column, kind in columns.items()
        if column not in OF_A_LOAD
    }
    return dlt.resource(
        rows,
        name=name,
        write_disposition="merge",
        merge_key="_file_name",
        primary_key=("_file_name", "_row_id"),
        columns=hints,
        spec=BaseConfiguration,
    )


def _file_rows(files: ExportFiles, item: ListedFile) -> Iterator[list[dict[str, Any]]]:
    with TemporaryDirectory(prefix="signalroom-") as folder:
        body = Path(folder) / "rows.csv"
        tagged = files.read(item, "", body, body.with_suffix(".rejects"))
        if tagged.reason:
            what = f"{item.version.file_name} is {tagged.status}: {tagged.reason}"
            log.warning("source s3_exports: %s", what)
        if not tagged.rows_loaded:
            return
        names = (*TAGS, *tagged.columns)
        csv.field_size_limit(LONGEST_FIELD)
        with body.open(encoding="utf-8", newline="") as file:
            records = csv.reader(file)
            while page := list(islice(records, PAGE_ROWS)):
                yield [_row(names, cells) for cells in page]


def _row(names: tuple[str, ...], cells: list[str]) -> dict[str, Any]:
    return {
        name: cell or None for name, cell in zip(names, cells, strict=True) if name not in OF_A_LOAD
    }
