"""What a load has to read of a table now: which days are due, in which stretches, a list whole, or
what changed.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from signalroom_dagster.slices import Window
from signalroom_dagster.sources.context import SourceContext
from signalroom_dagster.sources.days import (
    ONE_DAY,
    day_of,
    days_to_read,
    is_read,
    midnight,
    stretches,
)
from signalroom_dagster.sources.slicing import Slice
from signalroom_dagster.sources.tables import Row, Table

Read: TypeAlias = Callable[..., Iterable[Row]]
"""Reads a table: takes a `Reading`, and `since` and `until` of one that is read by day."""


def slices_due(table: Table, read: Read, settings: Any, context: SourceContext) -> Iterator[Slice]:
    """The pieces that a load reads of a table, each to be loaded in a transaction of its own."""
    if table.day:
        yield from _stretches_due(table, read, settings, context)
    elif not is_read(context, table.name):
        yield (
            _changes_due(table, read, settings, context)
            if table.sweep
            else _list_due(table, read, context)
        )


def _list_due(table: Table, read: Read, context: SourceContext) -> Slice:
    windows = context.windows.get(table.name, {}).values() if table.is_compared else ()
    last = max(windows, key=_loaded_at, default=None)
    rows = partial(read, rows_before=last.rows, cursor=last.cursor) if last else read
    return Slice(days=(context.today,), rows=rows, replaces="client", requests=table.requests)


def _changes_due(table: Table, read: Read, settings: Any, context: SourceContext) -> Slice:
    """All rows, where they were never read whole or long ago; or those that changed since the last
    reading began.
    """
    windows = context.windows.get(table.name, {}).values()
    last = max((window for window in windows if window.cursor), key=_loaded_at, default=None)
    swept = max((window.swept_at for window in windows if window.swept_at), default=None)
    every, today = timedelta(days=getattr(settings, table.sweep)), (context.today,)
    if last is None or swept is None or context.started_at - swept >= every:
        return Slice(
            days=today,
            rows=read,
            replaces="client",
            why=f"all {table.name}",
            requests=table.requests,
        )
    since = last.loaded_at - timedelta(minutes=getattr(settings, "overlap_minutes", 0))
    if context.span.since:
        since = min(since, midnight(context.span.since, context.zone))
    asked = {"lookback_days": context.span.lookback_days} if context.span.lookback_days else {}
    why = table.changes.format(
        **{**dict(settings), **asked, "since": f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"}
    )
    rows = partial(read, cursor=last.cursor)
    return Slice(days=today, rows=rows, replaces="keys", why=why, requests=table.requests)


def _loaded_at(window: Window) -> datetime:
    return window.loaded_at


def _stretches_due(
    table: Table, read: Read, settings: Any, context: SourceContext
) -> Iterator[Slice]:
    oldest = _oldest_kept(getattr(settings, f"{table.name}_kept_days", None), context)
    days = days_to_read(context, table.name, settings, oldest=oldest, deepens=table.deepens)
    if table.settles:
        until = context.started_at - timedelta(minutes=getattr(settings, "settle_minutes", 0))
        wanted = {*days, *_broken_off(table, context)}
        days = sorted(day for day in wanted if midnight(day, context.zone) < until)
    for stretch in stretches(days, getattr(settings, "days_at_once", table.longest)):
        rows = partial(read, since=stretch[0], until=stretch[-1])
        yield Slice(days=stretch, rows=rows, replaces=table.replaces, requests=table.requests)


def _broken_off(table: Table, context: SourceContext) -> set[date]:
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


def _oldest_kept(kept_days: int | None, context: SourceContext) -> date | None:
    """The first day that the vendor surely has whole, whether it counts its days in UTC or in the
    account's zone.
    """
    if kept_days is None:
        return None
    return max(context.today, day_of(context.started_at, UTC)) - timedelta(days=kept_days - 1)
