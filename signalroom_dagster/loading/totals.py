"""Whether what was read of a slice adds up to what the vendor itself counts: asked before anything
is replaced.

One rule for every vendor. A day that was over when it was read has to agree: rows to the row, sums
to a cent and to what rounding each row may cost. A whole list may have more rows than were counted,
which came meanwhile, and never fewer. A day that still goes on is loaded as it was read: its total
is a moment younger. Rows that were left out, and cells of the summed column that could not be read,
explain a difference. Whatever is loaded with one, a check tells. Where money is summed, clicks and
conversions must not be fewer than the vendor counts: a cut page may hold no money.

What is merged by key replaces nothing that was not read, and is not compared here: PostHog's events
are counted while they are read, of Everflow's clicks and Mautic's changes there is no total.
"""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from signalroom_dagster.sources.days import day_of
from signalroom_dagster.sources.tables import Figure
from signalroom_dagster.sources.totals import is_another_sum

if TYPE_CHECKING:
    from signalroom_dagster.loading.slice_read import ReadSlice

SHOWN_DAYS = 3


def disagreement(read: "ReadSlice") -> str:
    """What keeps a slice from being loaded, for a person; empty when nothing does."""
    off = [] if read.piece.replaces == "keys" else [*_off(read)]
    off = off or [*_missing(read)]
    more = f" and {len(off) - SHOWN_DAYS} more" if len(off) > SHOWN_DAYS else ""
    return "; ".join(off[:SHOWN_DAYS]) + more


def _off(read: "ReadSlice") -> Iterator[str]:
    """The days whose total is another one than that of the rows."""
    column, aside = read.table.total, read.reading.aside
    for day in read.piece.days:
        if (total := read.totals.get(day)) is None:
            continue
        if column == "rows":
            measured: Figure = read.rows_by_day[day]
            is_off = not 0 <= total - measured <= aside.rows_of(day)
        elif aside.rows_of(day) or aside.has(column, day):
            continue
        else:
            measured = read.measured.get(day, 0)
            is_off = is_another_sum(total, measured, read.rows_by_day[day])
        is_final = _was_over(read, day) if read.table.day else total > measured
        if is_off and is_final:
            yield _told(day, total, column, measured)


def _missing(read: "ReadSlice") -> Iterator[str]:
    """The days of which the vendor counts more than was read. What was read beyond a count came in
    between the two requests.
    """
    aside = read.reading.aside
    for column, by_day in read.reading.counts.items():
        for day, total in by_day.items():
            measured = read.tallies.get(column, {}).get(day, 0)
            is_explained = aside.rows_of(day) or aside.has(column, day)
            if total > measured and _was_over(read, day) and not is_explained:
                yield _told(day, total, column, measured)


def _was_over(read: "ReadSlice", day: date) -> bool:
    return day_of(read.reading.began, read.context.zone) > day


def _told(day: date, total: Figure, column: str, measured: Figure) -> str:
    return (
        f"the vendor's own total of {day} is {total} ({column}), and what it gives adds up to"
        f" {measured}"
    )
