"""One client's bucket during one run: what has to be loaded, and each file made ready for the load
job.
"""

import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.files import (
    HANDLED,
    FileMark,
    FileStatus,
    FileVersion,
    LoadFile,
    MarkedFiles,
)
from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.context import SourceContext
from signalroom_dagster.sources.s3_exports.bucket import Bucket
from signalroom_dagster.sources.s3_exports.file_columns import FileColumns
from signalroom_dagster.sources.s3_exports.layouts import layout_of
from signalroom_dagster.sources.s3_exports.listing import (
    Changes,
    ListedFile,
    digest,
    find_changes,
    in_short,
)
from signalroom_dagster.sources.s3_exports.refusals import (
    AccessRefusedError,
    BucketUnavailableError,
    UnreadableObjectError,
)
from signalroom_dagster.sources.s3_exports.settings import Settings
from signalroom_dagster.sources.s3_exports.tagging import (
    TaggedFile,
    Tags,
    UnpacksTooFarError,
    quarantined,
    tag_file,
)

log = logging.getLogger(__name__)

READ_BYTES = 4 * 1024 * 1024
HEADER_BYTES = 64 * 1024
MOST_LEFT = (
    3  # files that wait for the next attempt; when there are more, it is the bucket that has to
)

Job: TypeAlias = Callable[[], LoadFile | MarkedFiles | None]


class IncompleteReadError(BucketUnavailableError):
    """The object ended before the size that the bucket lists: retried, never loaded in part."""


class ExportFiles:
    """Compares with the ledger and prepares the files of one client; safe to use from several
    threads.
    """

    def __init__(self, settings: Settings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._bucket = Bucket(settings, context.client_id)
        self._columns = FileColumns(context.tables, settings)
        self._numbers = itertools.count(1)
        self._left = itertools.count(1)
        self._readable: set[str] = set()
        self._unread: dict[str, ConfigurationError] = {}
        self._failing = Lock()

    def changes(self, prefix: str) -> Changes:
        """What one prefix asks for: new and changed files, files that are gone. Raises what listing
        it raises.
        """
        base = f"{prefix}/"
        ledger = {
            name: entry for name, entry in self._context.ledger.items() if name.startswith(base)
        }
        listed = self._bucket.objects(prefix)
        changes = find_changes(listed, ledger)
        notes = {"listing_digest": digest(item.version for item in listed if not item.passed_over)}
        if changes.passed_over:
            notes["passed_over"] = in_short(changes.passed_over)
        self._context.notes[snake_case(prefix)] = notes
        if any(entry.status in HANDLED for entry in ledger.values()):
            self._readable.add(prefix)
        if changes.to_load:
            total = sum(item.version.size for item in changes.to_load)
            log.info(
                "%s: %s files to load from %s (%.1f MB)",
                self._client,
                len(changes.to_load),
                base,
                total / 1e6,
            )
        return changes

    def job(self, prefix: str, item: ListedFile) -> tuple[Job, Sequence[str]] | None:
        """What loads one file, and the columns that its rows will have; None for one that nothing
        is to be done about.

        A file that cannot be read is set aside, and so are up to MOST_LEFT that cannot be read now:
        the others load. Raises ConfigurationError for what is wrong with the bucket,
        BucketUnavailableError for more than these.
        """
        try:
            columns = self.columns(prefix, item)
        except (UnreadableObjectError, BucketUnavailableError) as error:
            marked = self._set_aside(prefix, item, error)
            return (lambda: marked, ()) if marked else None
        self._was_read(prefix)
        return partial(self._prepared_or_set_aside, prefix, item, columns), columns

    def columns(self, prefix: str, item: ListedFile) -> tuple[str, ...]:
        """The columns that a file's rows will have in the warehouse, from its first bytes; none if
        it is no export.

        What its table has no room for is not among them: see `file_columns`. Raises what opening
        and reading it raise.
        """
        with self._bucket.open(item, HEADER_BYTES) as stream:
            header = self._columns.header(prefix, stream)
        return () if header.fault else self._columns.admitted(prefix, header.columns.kept)

    def described(self, prefix: str, column: str) -> Mapping[str, str]:
        """A column that the layout does not know, as dlt describes one; a new one says which client
        brings it.
        """
        return self._columns.described(prefix, column, self._client)

    def prepare(self, prefix: str, item: ListedFile, columns: tuple[str, ...]) -> LoadFile:
        """Read one file and write its tagged rows into the run's folder.

        Raises IncompleteReadError when the download ends early or the file is not the one whose
        columns were read, and what reading it raises.
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
        try:
            with self._bucket.open(item, READ_BYTES) as stream:
                tagged = tag_file(
                    stream,
                    tags=tags,
                    plan=partial(self._columns.plan, prefix, admitted=columns),
                    layout=layout_of(prefix),
                    filter_column=self._filter_column,
                    form=self._columns.form(prefix),
                    body=body,
                    rejects=rejects,
                    most_unpacked=self._settings.most_unpacked(version.size),
                )
        except UnpacksTooFarError as error:
            for written in (body, rejects):
                written.unlink(missing_ok=True)
            tagged = quarantined(
                f"{error}: max_unpacked_ratio and max_unpacked_bytes say how far one may"
            )
        else:
            if tagged.bytes_read != version.size or tagged.columns != columns:
                raise IncompleteReadError(
                    f"client {self._client}, s3_exports: read {tagged.bytes_read} of {version.size}"
                    f" bytes of {version.file_name}, or it was overwritten meanwhile; it is read"
                    " again on the next attempt"
                )
        log.debug(
            "%s: read %s in %.2f s", self._client, version.file_name, time.monotonic() - started
        )
        return self._described(prefix, item, tags, tagged, body, rejects)

    def marks(self, prefix: str, changes: Changes) -> MarkedFiles:
        """What is gone and what is passed over, for the ledger, where it does not say so yet."""
        ledger = self._context.ledger
        gone = [
            FileMark(
                version=FileVersion(name, ledger[name].etag, ledger[name].size),
                seen_etag=ledger[name].etag,
                file_date=None,
                last_modified=None,
                status="deleted",
                reason="is gone from the bucket: its rows stay",
            )
            for name in changes.gone
        ]
        skipped = [
            self._mark(item, "skipped", item.passed_over or "")
            for item in changes.passed_over
            if (known := ledger.get(item.version.file_name)) is None or known.status != "skipped"
        ]
        return self._marked(prefix, *gone, *skipped)

    def fail(self, prefix: str, error: Exception) -> None:
        """Leave one prefix as it is: the others are loaded, and the load fails at its end."""
        self._context.failures.setdefault(snake_case(prefix), error)

    def _prepared_or_set_aside(
        self, prefix: str, item: ListedFile, columns: tuple[str, ...]
    ) -> LoadFile | MarkedFiles | None:
        try:
            return self.prepare(prefix, item, columns)
        except (UnreadableObjectError, BucketUnavailableError) as error:
            return self._set_aside(prefix, item, error)

    def _set_aside(
        self, prefix: str, item: ListedFile, error: UnreadableObjectError | BucketUnavailableError
    ) -> MarkedFiles | None:
        """What the ledger is to say of a file that cannot be read, if anything new; of one that
        cannot be read now nothing, and the attempt fails once the others are loaded.
        """
        if isinstance(error, BucketUnavailableError):
            if next(self._left) > MOST_LEFT:
                raise error
            log.warning("%s; the other files are loaded all the same", error)
            self.fail(prefix, error)
            return None
        if isinstance(error, AccessRefusedError):
            self._was_refused(prefix, item, error)
        known = self._context.ledger.get(item.version.file_name)
        if known and (known.status, known.reason) == ("unreadable", str(error)):
            return None
        return self._marked(prefix, self._mark(item, "unreadable", str(error)))

    def _was_read(self, prefix: str) -> None:
        table, failures = snake_case(prefix), self._context.failures
        with self._failing:
            self._readable.add(prefix)
            if prefix in self._unread and failures.get(table) is self._unread.pop(prefix):
                del failures[table]

    def _was_refused(self, prefix: str, item: ListedFile, error: AccessRefusedError) -> None:
        """A single file is a matter of that file; where no file of a prefix could ever be read, it
        is the key's.
        """
        with self._failing:
            if prefix not in self._readable and prefix not in self._unread:
                where = f"client {self._client}, s3_exports: no file under {prefix}/ can be read"
                self._unread[prefix] = ConfigurationError(
                    f"{where}: {item.version.file_name} {error}"
                )
                self.fail(prefix, self._unread[prefix])

    def _mark(self, item: ListedFile, status: FileStatus, reason: str) -> FileMark:
        known = self._context.ledger.get(item.version.file_name)
        return FileMark(
            version=item.version,
            seen_etag=known.etag if known else None,
            file_date=item.file_date(self._context.zone).isoformat(),
            last_modified=item.modified.isoformat(),
            status=status,
            reason=reason,
        )

    def _marked(self, prefix: str, *marks: FileMark) -> MarkedFiles:
        return MarkedFiles(
            client_id=self._client,
            table=snake_case(prefix),
            run_id=self._context.run_id,
            marks=tuple(marks),
        )

    def _described(
        self,
        prefix: str,
        item: ListedFile,
        tags: Tags,
        tagged: TaggedFile,
        body: Path,
        rejects: Path,
    ) -> LoadFile:
        version, known = item.version, self._context.ledger.get(item.version.file_name)
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
            run_id=self._context.run_id,
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

    @property
    def _client(self) -> str:
        return self._context.client_id

    @property
    def _filter_column(self) -> str | None:
        row_filter = self._settings.row_filter
        return row_filter.column if row_filter else None
