"""What every source is given when it is opened for one client and one run. No source-specific
knowledge here.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from signalroom_dagster.errors import WrongRequestError
from signalroom_dagster.files import LedgerEntry, TableColumns
from signalroom_dagster.slices import Window


@dataclass(frozen=True, slots=True)
class Span:
    """Which days a run was asked to read; what is None is the source's own choice. Days are the
    client's.
    """

    since: date | None = None
    until: date | None = None
    lookback_days: int | None = None

    def __post_init__(self) -> None:
        """Raises WrongRequestError for a span that ends before it begins, and for a look back of no
        day.
        """
        if self.lookback_days is not None and self.lookback_days < 1:
            raise WrongRequestError(
                f"lookback_days is {self.lookback_days}: 1 reads today again, 2 yesterday, too"
            )
        if self.since and self.until and self.since > self.until:
            raise WrongRequestError(
                f"the days from {self.since} to {self.until} are none: the first is after the last"
            )

    @property
    def is_asked(self) -> bool:
        """Whether anything was asked for."""
        return bool(self.since or self.until or self.lookback_days is not None)


def as_day(text: str | None) -> date | None:
    """A day as it is written in run configuration and on the command line. Raises WrongRequestError
    for others.
    """
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise WrongRequestError(f"{text!r} is not a day: write it as YYYY-MM-DD") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceContext:
    """One client's run of one source.

    `ledger` holds what the warehouse already has of the client's files, by name, `tables` the
    columns of the tables that they are loaded into, `windows` what it has of each resource, by day;
    `work_dir` is the run's own scratch folder; `started_at` is UTC, by the warehouse's clock, and
    stamps every row as `_loaded_at`. `start_date` is where the client's first loads begin. A source
    leaves what a person should know about a resource in `notes`, by resource name: they become
    metadata of its asset. `failures` holds, by resource, what went wrong with one resource alone:
    the others are loaded all the same, and the load fails at its end.
    """

    client_id: str
    source: str = ""
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
    opened: float = field(default_factory=time.monotonic)

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
