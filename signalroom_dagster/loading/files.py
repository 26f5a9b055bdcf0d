"""The file lane: every new or changed file of a client's bucket, each loaded once and whole.

A source lists a prefix and reads one file into two CSV files, its rows and what could not be read;
see `sources.files.Files`. Around it stand the ledger (`listing`), what becomes of a file or a
prefix that cannot be read while others can, and the transaction (`file_load`). While dlt extracts,
only the first bytes of a file are read, so that the table has its columns; its rows are read in the
load step, while the database takes other files (see `courier`).
"""

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import dlt
from dlt.extract import DltSource
from pydantic import BaseModel

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.loading.context import LoadContext, Planned
from signalroom_dagster.loading.courier import LoadClient
from signalroom_dagster.loading.file_load import FileMark, ReadFile, load_file, mark_files
from signalroom_dagster.loading.listing import Changes, find_changes
from signalroom_dagster.registry.outlines import files_resource, outline
from signalroom_dagster.sources.files import (
    OTHER_COLUMNS,
    AccessRefusedError,
    BucketUnavailableError,
    Files,
    FileStatus,
    FileVersion,
    ListedFile,
    UnreadableObjectError,
    digest,
    in_short,
)
from signalroom_dagster.warehouse.ledger import HANDLED
from signalroom_dagster.warehouse.table_columns import BROUGHT_BY

log = logging.getLogger(__name__)

MOST_LEFT = 3
"""Files that wait for the next attempt; when there are more, it is the bucket that has to."""


def open_source(module: Any, settings: BaseModel, context: LoadContext) -> DltSource:
    """The client's files that the ledger does not hold, to be run in a pipeline."""
    lane = FileLane(module, settings, context)
    resources = [
        files_resource(table, columns, partial(lane.tickets, table, columns))
        for table, columns in module.file_tables([settings]).items()
    ]
    return outline(context.source, "files", resources)


def preview(module: Any, settings: BaseModel, context: LoadContext) -> Iterator[Planned]:
    """The files that a load would read, and why; and what it would pass over."""
    lane = FileLane(module, settings, context)
    for table in lane.tables:
        changes = lane.changes(table)
        for item in changes.to_load:
            version = item.version
            yield Planned(table, version.file_name, changes.why[version.file_name], version.size)
        for name in changes.gone:
            yield Planned(table, name, "gone from the bucket: its rows stay, the ledger says so")
        for item in changes.passed_over:
            name, size = item.version.file_name, item.version.size
            yield Planned(table, name, item.passed_over or "", size, is_loaded=False)


class FileLane:
    """One client's files during one load; safe to use from several threads."""

    def __init__(self, module: Any, settings: BaseModel, context: LoadContext) -> None:
        self._context = context
        self.tables: Mapping[str, Files] = module.open_files(
            settings, context.client_id, context.zone, context.tables
        )
        self._numbers = itertools.count(1)
        self._left = itertools.count(1)
        self._readable: set[str] = set()
        self._unread: dict[str, ConfigurationError] = {}
        self._failing = Lock()

    def tickets(self, table: str, declared: Mapping[str, str]) -> Iterator[Any]:
        """One ticket for what the ledger is to say, also when that is nothing, so that the table
        comes to be; and one for each file to load.
        """
        try:
            changes = self.changes(table)
        except ConfigurationError as error:  # says nothing of another prefix
            self._fail(table, error)
            changes = Changes()
        marks = self._marks(changes)
        yield self._context.offered(lambda client: self._mark(table, marks, client))
        for item in changes.to_load:
            yield dlt.defer(self._offered)(table, item, declared)

    def changes(self, table: str) -> Changes:
        """What one table's prefix asks for: new and changed files, files that are gone. Raises what
        listing it raises.
        """
        files, context = self.tables[table], self._context
        base = f"{files.prefix}/"
        ledger = {name: entry for name, entry in context.ledger.items() if name.startswith(base)}
        listed = files.objects()
        changes = find_changes(listed, ledger)
        notes = {"listing_digest": digest(item.version for item in listed if not item.passed_over)}
        if changes.passed_over:
            notes["passed_over"] = in_short(changes.passed_over)
        context.notes[table] = notes
        if any(entry.status in HANDLED for entry in ledger.values()):
            self._readable.add(table)
        if changes.to_load:
            megabytes = sum(item.version.size for item in changes.to_load) / 1e6
            what = f"{len(changes.to_load)} files to load from {base} ({megabytes:.1f} MB)"
            log.info("%s: %s", context.client_id, what)
        return changes

    def _offered(self, table: str, item: ListedFile, declared: Mapping[str, str]) -> Any:
        """A ticket for one file, which declares its columns; None where nothing is to be done.

        A file that cannot be read is set aside, and so are up to MOST_LEFT that cannot be read now:
        the others load. Raises ConfigurationError for what is wrong with the bucket,
        BucketUnavailableError for more than these.
        """
        try:
            columns = self.tables[table].columns(item)
        except (UnreadableObjectError, BucketUnavailableError) as error:
            marks = self._set_aside(table, item, error)
            if not marks:
                return None
            return self._context.offered(lambda client: self._mark(table, marks, client))
        self._was_read(table)
        new = {name: self._described(table, name) for name in columns if name not in declared}
        work = partial(self._read_and_load, table, item, columns)
        return self._context.offered(work, new)

    def _described(self, table: str, column: str) -> Mapping[str, str]:
        """A column that the layout does not know, as dlt describes one; a new one says which client
        brings it.
        """
        if column == OTHER_COLUMNS:
            return {"name": column, "data_type": "json"}
        there = self._context.tables.get(table)
        is_new = there is None or column not in there.columns
        brought = {BROUGHT_BY: self._context.client_id} if is_new else {}
        return {"name": column, "data_type": "text", **brought}

    def _read_and_load(
        self, table: str, item: ListedFile, columns: tuple[str, ...], client: LoadClient
    ) -> None:
        context, number = self._context, next(self._numbers)
        body, rejects = self._scratch(number, "rows"), self._scratch(number, "rejects")
        try:
            tagged = self.tables[table].read(item, context.loaded_at, body, rejects, columns)
        except (UnreadableObjectError, BucketUnavailableError) as error:
            self._mark(table, self._set_aside(table, item, error), client)
            return
        file = ReadFile(table=table, listed=item, tagged=tagged, body=body, rejects=rejects)
        load_file(client, context, file)

    def _scratch(self, number: int, what: str) -> Path:
        return self._context.work_dir / f"{number:06d}.{what}.csv"

    def _mark(self, table: str, marks: Sequence[FileMark], client: LoadClient) -> None:
        if marks:
            mark_files(client, self._context, table, marks)

    def _marks(self, changes: Changes) -> list[FileMark]:
        """What is gone and what is passed over, for the ledger, where it does not say so yet."""
        marks: list[FileMark] = []
        for name in changes.gone:
            entry = self._context.ledger[name]
            version = FileVersion(name, entry.etag, entry.size)
            reason = "is gone from the bucket: its rows stay"
            marks.append(FileMark(version=version, status="deleted", reason=reason))
        for item in changes.passed_over:
            marks += self._unless_noted(item, "skipped", item.passed_over or "")
        return marks

    def _unless_noted(self, item: ListedFile, status: FileStatus, reason: str) -> list[FileMark]:
        """A mark, where the ledger does not say the same already."""
        entry = self._context.ledger.get(item.version.file_name)
        if entry and (entry.status, entry.reason) == (status, reason):
            return []
        return [FileMark(version=item.version, status=status, reason=reason, listed=item)]

    def _set_aside(
        self, table: str, item: ListedFile, error: UnreadableObjectError | BucketUnavailableError
    ) -> list[FileMark]:
        """What the ledger is to say of a file that cannot be read, if anything new; of one that
        cannot be read now nothing, and the attempt fails once the others are loaded.
        """
        if isinstance(error, BucketUnavailableError):
            if next(self._left) > MOST_LEFT:
                raise error
            log.warning("%s; the other files are loaded all the same", error)
            self._fail(table, error)
            return []
        if isinstance(error, AccessRefusedError):
            self._was_refused(table, item, error)
        return self._unless_noted(item, "unreadable", str(error))

    def _fail(self, table: str, error: Exception) -> None:
        """Leave one table as it is: the others are loaded, and the load fails at its end."""
        self._context.failures.setdefault(table, error)

    def _was_read(self, table: str) -> None:
        failures = self._context.failures
        with self._failing:
            self._readable.add(table)
            if table in self._unread and failures.get(table) is self._unread.pop(table):
                del failures[table]

    def _was_refused(self, table: str, item: ListedFile, error: AccessRefusedError) -> None:
        """A single file is a matter of that file; where no file of a prefix could ever be read, it
        is the key's.
        """
        with self._failing:
            if table in self._readable or table in self._unread:
                return
            where = f"client {self._context.client_id}, {self._context.source}"
            self._unread[table] = ConfigurationError(
                f"{where}: no file under {self.tables[table].prefix}/ can be read:"
                f" {item.version.file_name} {error}"
            )
            self._fail(table, self._unread[table])
