"""The exports under one prefix of a bucket: what lies there, and one file made ready for the
database, as bytes, which is what makes it as fast as COPY.
"""

import logging
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.files import (
    BucketUnavailableError,
    ListedFile,
    TableColumns,
    TaggedFile,
)
from signalroom_dagster.sources.s3_exports.bucket import Bucket
from signalroom_dagster.sources.s3_exports.file_columns import FileColumns
from signalroom_dagster.sources.s3_exports.layouts import layout_of
from signalroom_dagster.sources.s3_exports.settings import Settings
from signalroom_dagster.sources.s3_exports.tagging import Tags, UnpacksTooFarError, tag_file

log = logging.getLogger(__name__)

READ_BYTES = 4 * 1024 * 1024
HEADER_BYTES = 64 * 1024


class IncompleteReadError(BucketUnavailableError):
    """The object ended before the size that the bucket lists: retried, never loaded in part."""


class ExportFiles:
    """The files under one prefix; safe to use from several threads. `client_id` stands in every
    row; the day of a file without a date is that of `zone`.
    """

    def __init__(
        self,
        settings: Settings,
        bucket: Bucket,
        prefix: str,
        zone: ZoneInfo,
        client_id: str = "",
        tables: Mapping[str, TableColumns] | None = None,
    ) -> None:
        self.prefix = prefix
        self._settings, self._bucket, self._zone = settings, bucket, zone
        self._client = client_id
        self._columns = FileColumns(settings, prefix, tables or {})

    def objects(self) -> list[ListedFile]:
        """Everything that lies there, by name. Raises as `Bucket.objects` does."""
        return self._bucket.objects(self.prefix)

    def columns(self, item: ListedFile) -> tuple[str, ...]:
        """The columns that a file's rows will have in the warehouse, from its first bytes; none if
        it is no export.

        What its table has no room for is not among them: see `file_columns`. Raises what opening
        and reading it raise.
        """
        with self._bucket.open(item, HEADER_BYTES) as stream:
            header = self._columns.header(stream)
        return () if header.fault else self._columns.admitted(header.columns.kept)

    def read(
        self,
        item: ListedFile,
        loaded_at: str,
        body: Path,
        rejects: Path,
        columns: tuple[str, ...] | None = None,
    ) -> TaggedFile:
        """Read one file and write its tagged rows; of `columns` alone, where they are given.

        Raises IncompleteReadError when the download ends early or the file is not the one whose
        columns were read, and what reading it raises.
        """
        started, version, settings = time.monotonic(), item.version, self._settings
        tags = Tags(
            client_id=self._client,
            file_name=version.file_name,
            file_date=item.file_date(self._zone).isoformat(),
            loaded_at=loaded_at,
        )
        try:
            with self._bucket.open(item, READ_BYTES) as stream:
                tagged = tag_file(
                    stream,
                    tags=tags,
                    plan=partial(self._columns.plan, admitted=columns),
                    layout=layout_of(self.prefix),
                    filter_column=settings.row_filter.column if settings.row_filter else None,
                    form=self._columns.form,
                    body=body,
                    rejects=rejects,
                    most_unpacked=settings.most_unpacked(version.size),
                )
        except UnpacksTooFarError as error:
            reason = f"{error}: max_unpacked_ratio and max_unpacked_bytes say how far one may"
            return TaggedFile(status="quarantined", reason=reason)
        is_another = columns is not None and tagged.columns != columns
        if tagged.bytes_read != version.size or is_another:
            raise IncompleteReadError(
                f"client {self._client}, s3_exports: read {tagged.bytes_read} of {version.size}"
                f" bytes of {version.file_name}, or it was overwritten meanwhile; it is read"
                " again on the next attempt"
            )
        seconds = time.monotonic() - started
        log.debug("%s: read %s in %.2f s", self._client, version.file_name, seconds)
        return tagged


def open_files(
    settings: Settings, client_id: str, zone: ZoneInfo, tables: Mapping[str, TableColumns]
) -> Mapping[str, ExportFiles]:
    """The exports of each table; `tables` are the tables' columns as they are now."""
    bucket = Bucket(settings, client_id)
    return {
        snake_case(prefix): ExportFiles(settings, bucket, prefix, zone, client_id, tables)
        for prefix in settings.prefixes
    }
