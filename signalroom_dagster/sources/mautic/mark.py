"""How far a table has been read: what its windows hold of earlier runs, and from when on to read changes.

A mark is the moment (UTC) at which a reading began, and for statistics the highest id that was there.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from signalroom_dagster.sources.context import SourceContext
from signalroom_dagster.sources.days import midnight
from signalroom_dagster.sources.mautic.settings import Settings


@dataclass(frozen=True, slots=True)
class Mark:
    """When a committed reading began, and the highest id of a table until then."""

    began: datetime
    last_id: int = 0

    def __str__(self) -> str:
        """As it stands in `windows.read_cursor`."""
        return f"{self.began.isoformat()} {self.last_id}"


def latest_mark(context: SourceContext, resource: str) -> Mark | None:
    """The newest mark that a load of a resource has committed."""
    marks = [_mark(window.cursor) for window in context.windows.get(resource, {}).values() if window.cursor]
    return max(marks, key=lambda mark: mark.began, default=None)


def is_sweep_due(context: SourceContext, resource: str, every_days: int) -> bool:
    """Whether all of a resource was never read, or not within so many days."""
    swept = [window.swept_at for window in context.windows.get(resource, {}).values() if window.swept_at]
    return not swept or context.started_at - max(swept) >= timedelta(days=every_days)


def changed_since(context: SourceContext, mark: Mark, settings: Settings) -> datetime:
    """From when on to ask for changes: some minutes before the mark, because clocks differ and transactions take
    their time; earlier when the run was asked for earlier days."""
    overlapped = mark.began - timedelta(minutes=settings.overlap_minutes)
    return min(overlapped, midnight(context.span.since, context.zone)) if context.span.since else overlapped


def _mark(text: str) -> Mark:
    began, _, last_id = text.partition(" ")
    return Mark(datetime.fromisoformat(began), int(last_id or 0))
