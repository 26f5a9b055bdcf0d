"""What a load has to read of a table now: which days are due, in which stretches, a list whole, or
what changed.

Days are the client's own, in its time zone.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from signalroom_dagster.loading.context import LoadContext, Planned
from signalroom_dagster.sources.days import ONE_DAY, DaySettings, day_of, each_day, midnight
from signalroom_dagster.sources.resources import Reading
from signalroom_dagster.sources.tables import Replaces, Row, Table
from signalroom_dagster.warehouse.windows import Window

log = logging.getLogger(__name__)

Read: TypeAlias = Callable[..., Iterable[Row]]
"""Reads a table: takes a `Reading`, and `since` and `until` of one that is read by day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One piece of a table, which is loaded in a transaction of its own: the days it covers, which
    follow each other, what it replaces, and the fewest requests that it takes; how many pages there
    are, only the vendor knows.

    `rows` reads it by column name, and fills a `Reading` on the way.
    """

    days: tuple[date, ...]
    rows: Callable[[Reading], Iterable[Row]]
    replaces: Replaces = "days"
    why: str = ""
    requests: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for days with a gap: everything from the first to the last is
        replaced.
        """
        if self.days != tuple(each_day(self.days[0], self.days[-1])):
            raise ValueError(f"{self.what} is not one stretch of days")

    @property
    def what(self) -> str:
        """The days, for a person."""
        first, last = self.days[0], self.days[-1]
        return f"{first}" if first == last else f"{first} to {last}"


Plan: TypeAlias = Callable[[], Iterable[Slice]]


def slices_due(table: Table, read: Read, settings: Any, context: LoadContext) -> Iterator[Slice]:
    """The slices that a load reads of a table."""
    if table.day:
        yield from _stretches_due(table, read, settings, context)
    elif not is_read(context, table.name):
        due = _changes_due(table, read, settings, context) if table.sweep else None
        yield due or _list_due(table, read, context)


def planned(plans: Mapping[str, Plan], context: LoadContext) -> Iterator[Planned]:
    """What a load would read, and why, for a preview."""
    for resource, plan in plans.items():
        for piece in plan():
            why = piece.why or _why(resource, piece, context)
            yield Planned(resource, piece.what, why, requests=piece.requests)


def _why(resource: str, piece: Slice, context: LoadContext) -> str:
    if piece.replaces == "client":
        return "the whole list"
    if context.span.since or context.span.until:
        return "asked for"
    if not context.windows.get(resource, {}).keys() >= {*piece.days}:
        return "never read"
    if finished(piece.days, context, resource) >= {*piece.days}:
        return "within the look-back"
    return "not over when it was read"


def _list_due(table: Table, read: Read, context: LoadContext) -> Slice:
    windows = context.windows.get(table.name, {}).values() if table.is_compared else ()
    last = max(windows, key=_loaded_at, default=None)
    rows = partial(read, rows_before=last.rows, cursor=last.cursor) if last else read
    why = f"all {table.name}" if table.sweep else ""
    return Slice(
        days=(context.today,), rows=rows, replaces="client", why=why, requests=table.requests
    )


def _changes_due(table: Table, read: Read, settings: Any, context: LoadContext) -> Slice | None:
    """What changed since the last reading began; None where the table was never read whole, or long
    ago.
    """
    windows = context.windows.get(table.name, {}).values()
    last = max((window for window in windows if window.cursor), key=_loaded_at, default=None)
    swept = max((window.swept_at for window in windows if window.swept_at), default=None)
    every = timedelta(days=getattr(settings, table.sweep))
    if last is None or swept is None or context.started_at - swept >= every:
        return None
    since = last.loaded_at - timedelta(minutes=getattr(settings, "overlap_minutes", 0))
    if context.span.since:
        since = min(since, midnight(context.span.since, context.zone))
    words = {**dict(settings), "since": f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"}
    if context.span.lookback_days:
        words["lookback_days"] = context.span.lookback_days
    return Slice(
        days=(context.today,),
        rows=partial(read, cursor=last.cursor),
        replaces="keys",
        why=table.changes.format(**words),
        requests=table.requests,
    )


def _loaded_at(window: Window) -> datetime:
    return window.loaded_at


def _stretches_due(
    table: Table, read: Read, settings: Any, context: LoadContext
) -> Iterator[Slice]:
    oldest = _oldest_kept(getattr(settings, f"{table.name}_kept_days", None), context)
    days = days_to_read(context, table.name, settings, oldest=oldest, deepens=table.deepens)
    if table.settles:
        until = context.started_at - timedelta(minutes=getattr(settings, "settle_minutes", 0))
        unsettled = {*days, *_broken_off(table, context)}
        days = sorted(day for day in unsettled if midnight(day, context.zone) < until)
    for stretch in stretches(days, getattr(settings, "days_at_once", table.longest)):
        rows = partial(read, since=stretch[0], until=stretch[-1])
        yield Slice(days=stretch, rows=rows, replaces=table.replaces, requests=table.requests)


def _broken_off(table: Table, context: LoadContext) -> set[date]:
    """Days that were last read up to an instant before their end, though that may have been on the
    day after; none where a run was asked for certain days, and none that this run has read.
    """
    if context.span.since or context.span.until:
        return set()
    return {
        day
        for day, window in context.windows.get(table.name, {}).items()
        if window.cursor
        and datetime.fromisoformat(window.cursor) < midnight(day + ONE_DAY, context.zone)
        and window.run_id != context.run_id
    }


def _oldest_kept(kept_days: int | None, context: LoadContext) -> date | None:
    """The first day that the vendor surely has whole, whether it counts its days in UTC or in the
    account's zone.
    """
    if kept_days is None:
        return None
    return max(context.today, day_of(context.started_at, UTC)) - timedelta(days=kept_days - 1)


def days_to_read(
    context: LoadContext,
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
        note = f"the vendor keeps nothing from before {oldest}"
        context.notes.setdefault(resource, {})["not_kept"] = note
        log.warning(
            "client %s, %s: %s; what is loaded of those days stays",
            context.client_id,
            resource,
            note,
        )
    if since or until:
        days = set(each_day(max(since or first, oldest or date.min), min(until or last, last)))
    else:
        whole = finished(known, context, resource)
        days = {day for day in each_day(first, last) if day not in whole or day >= again}
    return sorted(day for day in days if day not in known or known[day].run_id != context.run_id)


def is_read(context: LoadContext, resource: str) -> bool:
    """Whether this run has committed something of a resource already: a list that is read whole is
    then done.
    """
    return any(
        window.run_id == context.run_id for window in context.windows.get(resource, {}).values()
    )


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


def finished(days: Iterable[date], context: LoadContext, resource: str) -> frozenset[date]:
    """Those of the days that were over when the warehouse last read them: a change to one of them
    restates it.
    """
    windows = context.windows.get(resource, {})
    return frozenset(
        day for day in days if day in windows and day_of(windows[day].loaded_at, context.zone) > day
    )
