"""Which days of a resource to read: those never read, those that may have changed, and nothing
twice in one run.

Days are the client's own, in its time zone.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from pydantic import BaseModel, PositiveInt

from signalroom_dagster.sources.context import SourceContext

log = logging.getLogger(__name__)

ONE_DAY = timedelta(days=1)
LOOKBACK_DAYS = 2


class DaySettings(BaseModel):
    """What every source that is read by day lets its configuration say.

    `lookback_days` are read again each time, today included: one number, or one by resource.
    `start_date` is where a first load begins (the client's own by default), `end_date` the last day
    there is, for an account that was closed.
    """

    lookback_days: PositiveInt | dict[str, PositiveInt] = 2
    start_date: date | None = None
    end_date: date | None = None

    def lookback_of(self, resource: str) -> int:
        """How many days of a resource are read again each time."""
        days = self.lookback_days
        return days.get(resource, LOOKBACK_DAYS) if isinstance(days, dict) else days


def days_to_read(
    context: SourceContext,
    resource: str,
    settings: DaySettings,
    *,
    oldest: date | None = None,
    deepens: bool = True,
) -> list[date]:
    """The days to read now, in order.

    Without a span in the run's configuration: every day from the start that the warehouse does not
    have yet or read before it was over, and the last `lookback_days`. Days that this run has
    committed already are left out; so is what the vendor no longer keeps, before `oldest`; who
    asked for such days finds a note on the asset and in the log. A run that looks back deeper than
    configured does so only where a resource `deepens`: where old rows change.
    """
    known = context.windows.get(resource, {})
    last = min(context.today, settings.end_date or context.today)
    first = max(settings.start_date or context.start_date, oldest or date.min)
    asked = context.span.lookback_days if deepens else None
    again = last - timedelta(days=(settings.lookback_of(resource) if asked is None else asked) - 1)
    since, until = context.span.since, context.span.until
    if since and oldest and since < oldest:
        said = f"the vendor keeps nothing from before {oldest}"
        context.notes.setdefault(resource, {})["not_kept"] = said
        log.warning(
            "client %s, %s: %s; what is loaded of those days stays",
            context.client_id,
            resource,
            said,
        )
    if since or until:
        wanted = set(each_day(max(since or first, oldest or date.min), min(until or last, last)))
    else:
        whole = finished(known, context, resource)
        wanted = {day for day in each_day(first, last) if day not in whole or day >= again}
    return sorted(day for day in wanted if day not in known or known[day].run_id != context.run_id)


def is_read(context: SourceContext, resource: str) -> bool:
    """Whether this run has committed something of a resource already: a list that is read whole is
    then done.
    """
    return any(
        window.run_id == context.run_id for window in context.windows.get(resource, {}).values()
    )


def each_day(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included; none when they are the wrong way round."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def stretches(days: Sequence[date], longest: int) -> Iterator[tuple[date, ...]]:
    """Days that follow each other, together, at most `longest` of them at a time."""
    stretch: list[date] = []
    for day in days:
        if stretch and (day - stretch[-1] != ONE_DAY or len(stretch) == longest):
            yield tuple(stretch)
            stretch = []
        stretch.append(day)
    if stretch:
        yield tuple(stretch)


def day_of(moment: datetime, zone: tzinfo) -> date:
    """The day of an instant in a time zone."""
    return moment.astimezone(zone).date()


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins in a time zone, as an instant in UTC; days of a clock change have 23 or 25
    hours.
    """
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def finished(days: Iterable[date], context: SourceContext, resource: str) -> frozenset[date]:
    """Those of the days that were over when the warehouse last read them: a change to one of them
    restates it.
    """
    windows = context.windows.get(resource, {})
    return frozenset(
        day for day in days if day in windows and day_of(windows[day].loaded_at, context.zone) > day
    )
