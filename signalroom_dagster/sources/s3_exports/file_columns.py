"""What a client's settings and the warehouse's tables say of the columns of its files, and how many
a file may bring to its table, so that no client's files fill the table that all clients share.

Postgres ends at 1,600 columns, those that were dropped counted. A row ends at 8 KB, of which each
text takes up to 24 bytes before it is stored elsewhere: so a file never brings so many columns that
its rows could be longer.
"""

import threading
from collections.abc import Container, Mapping, Sequence
from functools import partial
from typing import BinaryIO

from signalroom_dagster.files import BROUGHT_BY, OTHER_COLUMNS, TAGS, TableColumns
from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.s3_exports.headers import Form, Header
from signalroom_dagster.sources.s3_exports.layouts import ColumnPlan, Known, layout_of, plan_columns
from signalroom_dagster.sources.s3_exports.settings import Settings
from signalroom_dagster.sources.s3_exports.tagging import read_header

WIDEST_TABLE = 1_500  # the rest is for known columns that the table does not have yet
WIDEST_ROW = 300
NO_TABLE = TableColumns()


class FileColumns:
    """The tables' columns as they were when a run began, and what its files bring; safe to use from
    several threads.
    """

    def __init__(self, tables: Mapping[str, TableColumns], settings: Settings) -> None:
        self._tables = tables
        self._settings = settings
        self._brought: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def table(self, prefix: str) -> TableColumns:
        """What the table of a prefix had when the run began."""
        return self._tables.get(snake_case(prefix), NO_TABLE)

    def plan(
        self, prefix: str, header: Sequence[str], admitted: Container[str] | None = None
    ) -> ColumnPlan:
        """What becomes of the columns of a file under a prefix; see `plan_columns`."""
        settings, layout = self._settings, layout_of(prefix)
        key, rows = settings.hash_key, settings.row_filter
        return plan_columns(
            header,
            settings.policy_of(prefix),
            key.get_secret_value() if key else None,
            (rows.column, rows.values) if rows else None,
            known=Known(
                written=layout.written if layout else frozenset(),
                columns=self.table(prefix).columns,
                renamed=settings.format_of(prefix).names,
                watched=settings.watched(prefix, own_alone=bool(layout) and self._has_others),
            ),
            admitted=admitted,
        )

    def form(self, prefix: str) -> Form:
        """What a file under a prefix is expected to look like."""
        written, table = self._settings.format_of(prefix), self.table(prefix)
        return Form(
            delimiter=written.delimiter,
            header=written.header,
            columns=table.columns,
            own=table.brought,
        )

    @property
    def _has_others(self) -> bool:
        """Whether files of a prefix without a layout have been loaded: a policy may be meant for a
        column of theirs.
        """
        others = [
            self.table(prefix).columns
            for prefix in self._settings.prefixes
            if not layout_of(prefix)
        ]
        return any(columns - TAGS.keys() for columns in others)

    def header(self, prefix: str, stream: BinaryIO) -> Header:
        """What the first record of a file tells of it."""
        rows = self._settings.row_filter
        of_filter = rows.column if rows else None
        return read_header(
            stream, partial(self.plan, prefix), layout_of(prefix), of_filter, self.form(prefix)
        )

    def described(self, prefix: str, column: str, client_id: str) -> Mapping[str, str]:
        """A column that the layout does not know, as dlt describes one; a new one says which client
        brings it.
        """
        if column == OTHER_COLUMNS:
            return {"name": column, "data_type": "json"}
        is_new = column not in self.table(prefix).columns
        return {"name": column, "data_type": "text"} | ({BROUGHT_BY: client_id} if is_new else {})

    def admitted(self, prefix: str, columns: Sequence[str]) -> tuple[str, ...]:
        """Those of a file's columns that are stored as columns, in the file's order, and the one of
        all others if there are any: the known ones, and new ones as long as there is room.
        """
        layout, table = layout_of(prefix), self.table(prefix)
        with self._lock:
            brought = self._brought.setdefault(prefix, set())
            known = {OTHER_COLUMNS, *(layout.columns if layout else ()), *table.columns, *brought}
            new = [name for name in columns if name not in known]
            width = max(table.width, len(TAGS) + len(layout.columns if layout else ()))
            room = min(
                self._settings.new_columns - len(table.brought) - len(brought),
                WIDEST_TABLE - width - len(brought),
                WIDEST_ROW - (len(columns) - len(new)),
            )
            brought.update(new[: max(room, 0)])
            set_aside = set(new) - brought
        own = [name for name in columns if name not in set_aside and name != OTHER_COLUMNS]
        return (*own, OTHER_COLUMNS) if set_aside or OTHER_COLUMNS in columns else tuple(own)
