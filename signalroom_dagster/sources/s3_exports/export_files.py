"""One client's bucket during one run: what has to be loaded, and each file made ready for the load job."""

import itertools
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from signalroom_dagster.files import DeletedFiles, FileVersion, LoadFile
from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.context import SourceContext
from signalroom_dagster.sources.s3_exports.bucket import Bucket
from signalroom_dagster.sources.s3_exports.layouts import ColumnPlan, layout_of, plan_columns
from signalroom_dagster.sources.s3_exports.listing import Changes, ListedFile, digest, find_changes
from signalroom_dagster.sources.s3_exports.settings import Settings
from signalroom_dagster.sources.s3_exports.tagging import Tags, read_columns, tag_file

log = logging.getLogger(__name__)

READ_BYTES = 4 * 1024 * 1024
HEADER_BYTES = 64 * 1024


class IncompleteReadError(OSError):
    """The object ended before the size that the bucket lists: retried, never loaded in part."""


class ExportFiles:
    """Compares with the ledger and prepares the files of one client; safe to use from several threads."""

    def __init__(self, settings: Settings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._bucket = Bucket(settings)
        self._numbers = itertools.count(1)

    def changes(self, prefix: str) -> Changes:
        """What one prefix asks for: new and changed files, files that are gone."""
        base = f"{prefix}/"
        ledger = {name: entry for name, entry in self._context.ledger.items() if name.startswith(base)}
        listed = self._bucket.files(prefix)
        changes = find_changes(listed, ledger)
        self._context.notes[snake_case(prefix)] = {"listing_digest": digest(item.version for item in listed)}
        if changes.to_load:
            total = sum(item.version.size for item in changes.to_load)
            log.info("%s: %s files to load from %s (%.1f MB)", self._client, len(changes.to_load), base, total / 1e6)
        return changes

    def columns(self, prefix: str, item: ListedFile) -> tuple[str, ...]:
        """The columns that a file's rows will have in the warehouse, from its first bytes; none if it is unreadable."""
        with self._bucket.open(item, HEADER_BYTES) as stream:
            return read_columns(stream, self._plan, layout_of(prefix), self._filter_column)

    def prepare(self, prefix: str, item: ListedFile, columns: tuple[str, ...]) -> LoadFile:
        """Read one file and write its tagged rows into the run's folder.

        Raises IncompleteReadError when the download ends early or the file is not the one whose columns were read,
        and what the file system raises.
        """
        started = time.monotonic()
        version, context = item.version, self._context
        body, rejects = self._scratch("rows.csv"), self._scratch("rejects.csv")
        tags = Tags(
            client_id=self._client,
            file_name=version.file_name,
            file_date=item.file_date(context.zone).isoformat(),
            loaded_at=context.loaded_at,
        )
        with self._bucket.open(item, READ_BYTES) as stream:
            tagged = tag_file(
                stream,
                tags=tags,
                plan=self._plan,
                layout=layout_of(prefix),
                filter_column=self._filter_column,
                body=body,
                rejects=rejects,
            )
        if tagged.bytes_read != version.size or tagged.columns != columns:
            raise IncompleteReadError(
                f"client {self._client}, s3_exports: read {tagged.bytes_read} of {version.size} bytes of "
                f"{version.file_name}, or it was overwritten meanwhile; it is read again on the next attempt"
            )
        known = context.ledger.get(version.file_name)
        log.debug("%s: read %s in %.2f s", self._client, version.file_name, time.monotonic() - started)
        return LoadFile(
            client_id=self._client,
            table=snake_case(prefix),
            file_name=version.file_name,
            etag=version.etag,
            size=version.size,
            seen_etag=known.etag if known else None,
            file_date=tags.file_date,
            last_modified=item.modified.isoformat(),
            loaded_at=tags.loaded_at,
            run_id=context.run_id,
            status=tagged.status,
            reason=tagged.reason,
            columns=tagged.columns,
            rows_in_file=tagged.rows_in_file,
            rows_loaded=tagged.rows_loaded,
            rows_rejected=tagged.rows_rejected,
            rows_filtered=tagged.rows_filtered,
            body=str(body) if tagged.rows_loaded else None,
            rejects=str(rejects) if tagged.rows_rejected else None,
        )

    def _scratch(self, ending: str) -> Path:
        return self._context.work_dir / f"{next(self._numbers):06d}.{ending}"

    @property
    def folder(self) -> Path:
        """The run's own scratch folder."""
        return self._context.work_dir

    def deleted(self, changes: Changes) -> DeletedFiles:
        """What is gone, for the ledger."""
        ledger = self._context.ledger
        versions = (FileVersion(name, ledger[name].etag, ledger[name].size) for name in changes.gone)
        return DeletedFiles(client_id=self._client, versions=tuple(versions))

    @property
    def _client(self) -> str:
        return self._context.client_id

    @property
    def _filter_column(self) -> str | None:
        row_filter = self._settings.row_filter
        return row_filter.column if row_filter else None

    def _plan(self, header: Sequence[str]) -> ColumnPlan:
        settings = self._settings
        key, rows = settings.hash_key, settings.row_filter
        return plan_columns(
            header,
            settings.columns,
            key.get_secret_value() if key else None,
            (rows.column, rows.values) if rows else None,
        )
