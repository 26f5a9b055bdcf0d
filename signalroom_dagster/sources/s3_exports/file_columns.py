"""What a client's settings and the warehouse's tables say of the columns of its files, and how many
a file may bring to its table, so that no client's files fill the table that all clients share.

Postgres ends at 1,600 columns, those that were dropped counted. A row ends at 8 KB, of which each
text takes up to 24 bytes before it is stored elsewhere: so a file never brings so many columns that
its rows could be longer.
"""

import threading
from collections.abc import Container, Mapping, Sequence
from typing import BinaryIO

from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.files import OTHER_COLUMNS, TAGS, TableColumns
from signalroom_dagster.sources.s3_exports.headers import Form, Header
from signalroom_dagster.sources.s3_exports.layouts import ColumnPlan, Known, layout_of, plan_columns
from signalroom_dagster.sources.s3_exports.settings import Settings
from signalroom_dagster.sources.s3_exports.tagging import read_header

WIDEST_TABLE = 1_500  # the rest is for known columns that the table does not have yet
WIDEST_ROW = 300
NO_TABLE = TableColumns()


class FileColumns:
    """The columns of the tables as they were when a run began, and what the files under one prefix
    bring; safe to use from several threads.
    """

    def __init__(self, settings: Settings, prefix: str, tables: Mapping[str, TableColumns]) -> None:
        self._settings, self._prefix, self._layout = settings, prefix, layout_of(prefix)
        self._table = tables.get(snake_case(prefix), NO_TABLE)
        self._has_others = _has_others(settings, tables)
        self._brought: set[str] = set()
        self._lock = threading.Lock()

    @property
    def form(self) -> Form:
        """What a file is expected to look like."""
        written, table = self._settings.format_of(self._prefix), self._table
        return Form(
            delimiter=written.delimiter,
            header=written.header,
            columns=table.columns,
            own=table.brought,
        )

    def plan(self, header: Sequence[str], admitted: Container[str] | None = None) -> ColumnPlan:
        """What becomes of the columns of a file; see `plan_columns`."""
        settings, prefix, layout = self._settings, self._prefix, self._layout
        key, rows = settings.hash_key, settings.row_filter
        return plan_columns(
            header,
            settings.policy_of(prefix),
            key.get_secret_value() if key else None,
            (rows.column, rows.values) if rows else None,
            known=Known(
                written=layout.written if layout else frozenset(),
                columns=self._table.columns,
                renamed=settings.format_of(prefix).names,
                watched=settings.watched(prefix, own_alone=bool(layout) and self._has_others),
            ),
            admitted=admitted,
        )

    def header(self, stream: BinaryIO) -> Header:
        """What the first record of a file tells of it."""
        rows = self._settings.row_filter
        of_filter = rows.column if rows else None
        return read_header(stream, self.plan, self._layout, of_filter, self.form)

    def admitted(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Those of a file's columns that are stored as columns, in the file's order, and the one of
        all others if there are any: the known ones, and new ones as long as there is room.
        """
        of_layout = self._layout.columns if self._layout else ()
        table, brought = self._table, self._brought
        with self._lock:
            known = {OTHER_COLUMNS, *of_layout, *table.columns, *brought}
            new = [name for name in columns if name not in known]
            width = max(table.width, len(TAGS) + len(of_layout))
            room = min(
                self._settings.new_columns - len(table.brought) - len(brought),
                WIDEST_TABLE - width - len(brought),
                WIDEST_ROW - (len(columns) - len(new)),
            )
            brought.update(new[: max(room, 0)])
            set_aside = set(new) - brought
        own = [name for name in columns if name not in set_aside and name != OTHER_COLUMNS]
        return (*own, OTHER_COLUMNS) if set_aside or OTHER_COLUMNS in columns else tuple(own)


def _has_others(settings: Settings, tables: Mapping[str, TableColumns]) -> bool:
    """Whether files of a prefix without a layout have been loaded: a policy may be meant for a
    column of theirs.
    """
    others = [snake_case(prefix) for prefix in settings.prefixes if not layout_of(prefix)]
    return any(tables.get(table, NO_TABLE).columns - TAGS.keys() for table in others)
