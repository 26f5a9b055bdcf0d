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

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from signalroom_dagster.slices import Figure, LoadSlice
from signalroom_dagster.sources.days import day_of
from signalroom_dagster.sources.set_aside import SetAside
from signalroom_dagster.sources.tables import Counts, Table

CENT = Decimal("0.01")
HALF = Decimal("0.5")
SHOWN_DAYS = 3


def disagreement(
    table: Table,
    loaded: LoadSlice,
    measured: Mapping[date, Figure],
    aside: SetAside,
    zone: ZoneInfo,
) -> str:
    """What keeps a slice from being loaded, for a person; empty when nothing does. `measured` is
    what was read.
    """
    if loaded.replaces == "keys":
        return ""
    off = list(_off(table, loaded, measured, aside, zone))
    more = f" and {len(off) - SHOWN_DAYS} more days" if len(off) > SHOWN_DAYS else ""
    return "; ".join(off[:SHOWN_DAYS]) + more


def missing(
    counts: Counts, tallies: Counts, loaded: LoadSlice, aside: SetAside, zone: ZoneInfo
) -> str:
    """What the vendor counts beyond what was read, as `disagreement` tells it: a page that was cut
    may hold no money.

    What was read beyond a count came in between the two requests.
    """
    off = [
        f"the vendor's own total of {day} is {total} ({name}), and what it gives adds up to"
        f" {tallies[name].get(day, 0)}"
        for name, by_day in counts.items()
        for day, total in by_day.items()
        if total > tallies[name].get(day, 0)
        and day_of(loaded.read_at, zone) > day
        and not aside.rows_of(day)
        and not aside.has(name, day)
    ]
    more = f" and {len(off) - SHOWN_DAYS} more" if len(off) > SHOWN_DAYS else ""
    return "; ".join(off[:SHOWN_DAYS]) + more


def _off(
    table: Table,
    loaded: LoadSlice,
    measured: Mapping[date, Figure],
    aside: SetAside,
    zone: ZoneInfo,
) -> Iterator[str]:
    for day in loaded.days:
        total, read = loaded.totals.get(day), measured.get(day, 0)
        if total is None:
            continue
        difference = total - read
        if table.total != "rows":
            if aside.rows_of(day) or aside.has(table.total, day):
                continue
            is_off = is_another_sum(total, read, loaded.rows_by_day.get(day, 0))
        else:
            is_off = not 0 <= difference <= aside.rows_of(day)
        is_over = day_of(loaded.read_at, zone) > day if table.day else difference > 0
        if is_off and is_over:
            what = table.total if table.total != "rows" else "rows"
            yield (
                f"the vendor's own total of {day} is {total} ({what}), and what it gives adds up to"
                f" {read}"
            )


def is_another_sum(total: Figure, read: Figure, rows: int) -> bool:
    """Whether two sums of so many rows differ by more than a cent and what rounding each row may
    cost.
    """
    return abs(total - read) >= CENT + _rounding(read, rows)


def _rounding(read: Figure, rows: int) -> Decimal:
    """What a sum may differ by because each row is rounded: half of its last place. Whole numbers
    are exact.
    """
    exponent = read.as_tuple().exponent if isinstance(read, Decimal) else 0
    return (
        HALF.scaleb(min(exponent, -2)) * rows
        if isinstance(exponent, int) and exponent
        else Decimal(0)
    )
