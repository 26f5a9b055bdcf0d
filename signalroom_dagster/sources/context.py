"""What every source is given when it is opened for one client and one run. No source-specific knowledge here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from signalroom_dagster.files import LedgerEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceContext:
    """One client's run of one source.

    `ledger` holds what the warehouse already has of the client's files, by name; `work_dir` is the run's own scratch
    folder; `started_at` is UTC and stamps every row as `_loaded_at`.
    """

    client_id: str
    zone: ZoneInfo
    run_id: str
    work_dir: Path
    ledger: Mapping[str, LedgerEntry]
    started_at: datetime

    @property
    def loaded_at(self) -> str:
        """The load's time stamp as ISO 8601 in UTC."""
        return self.started_at.astimezone(UTC).isoformat()
