"""What a load of one source for one client knows: whose it is, which days were asked for, and what
the warehouse already has.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dlt

from signalroom_dagster.loading.courier import Courier, Work
from signalroom_dagster.loading.spans import Span
from signalroom_dagster.sources.files import TableColumns
from signalroom_dagster.warehouse.ledger import LedgerEntry
from signalroom_dagster.warehouse.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadContext:
    """One client's run of one source.

    `ledger` holds what the warehouse already has of the client's files, by name, `tables` the
    columns of the tables that they are loaded into, `windows` what it has of each resource, by day;
    `work_dir` is the run's own scratch folder; `started_at` is UTC, by the warehouse's clock, and
    stamps every row as `_loaded_at`. `start_date` is where the client's first loads begin. What a
    person should know about a resource stands in `notes`, by resource name, and becomes metadata of
    its asset. `failures` holds, by resource, what went wrong with one resource alone: the others
    are loaded all the same, and the load fails at its end. `on_commit` is told the table of each
    slice that is in the warehouse for good, from whichever thread.
    """

    client_id: str
    source: str
    zone: ZoneInfo
    currency: str
    start_date: date
    run_id: str
    work_dir: Path
    ledger: Mapping[str, LedgerEntry]
    windows: Mapping[str, Mapping[date, Window]]
    tables: Mapping[str, TableColumns] = field(default_factory=dict[str, TableColumns])
    started_at: datetime
    span: Span = Span()
    notes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    failures: dict[str, Exception] = field(default_factory=dict[str, Exception])
    courier: Courier = field(default_factory=Courier)
    on_commit: Callable[[str], None] = lambda table: None
    opened: float = field(default_factory=time.monotonic)

    def offered(self, work: Work, new_columns: Mapping[str, Any] | None = None) -> Any:
        """A ticket for work, as a resource yields it; hints only where they tell dlt something new,
        because it checks each of them.
        """
        hints = dlt.mark.make_hints(columns=dict(new_columns)) if new_columns else None
        ticket = self.courier.offer(work, self.work_dir)
        return dlt.mark.with_file_import(str(ticket), "csv", 1, hints=hints)

    def now(self) -> datetime:
        """The time by the warehouse's clock, in UTC: this machine's own may be wrong."""
        return self.started_at + timedelta(seconds=time.monotonic() - self.opened)

    @property
    def today(self) -> date:
        """The day it is for the client."""
        return self.started_at.astimezone(self.zone).date()

    @property
    def loaded_at(self) -> str:
        """The load's time stamp, to the second in UTC: it stands in every row, and databases read
        this form fastest.
        """
        return f"{self.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing that a load would do: to which resource, with what (a file, a window), why, and how
    many bytes; and how many requests that takes at least. What is not loaded stands there only to
    be told.
    """

    resource: str
    what: str
    why: str
    size: int | None = None
    requests: int = 0
    is_loaded: bool = True
