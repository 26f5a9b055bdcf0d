"""The queries, as text. Instants are UTC with microseconds: without a zone PostHog reads them in
the project's own.

UUIDs are compared as text: ClickHouse orders them by their second half.
https://posthog.com/docs/sql
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

COLUMNS = (
    "uuid",
    "event",
    "timestamp",
    "created_at",
    "distinct_id",
    "person_id",
    "session_id",
    "properties",
)
_SELECTED = ", ".join(
    "properties.$session_id AS session_id" if name == "session_id" else name for name in COLUMNS
)


class Place(NamedTuple):
    """Where an event stands in the order that pages are read in; `UUID`s are in the order of their
    text.
    """

    created_at: datetime
    uuid: UUID


class Part(NamedTuple):
    """Events that came in from `start` up to `end`, without it, whose own time is from `bound` on,
    or `older`.
    """

    start: datetime
    end: datetime
    bound: datetime
    older: bool = False

    @property
    def where(self) -> str:
        """The condition. The event's own time is in it because PostHog stores events by that, and
        by nothing else.
        """
        own = f"timestamp {'<' if self.older else '>='} {literal(self.bound)}"
        return f"{_between('created_at', self.start, self.end)} AND {own}"


def page_of(part: Part, after: Place | None, rows: int) -> str:
    """The first events behind a place."""
    behind = (
        f" AND (created_at, toString(uuid)) > ({literal(after.created_at)}, '{after.uuid}')"
        if after
        else ""
    )
    return (
        f"SELECT {_SELECTED} FROM events WHERE {part.where}{behind} ORDER BY created_at,"
        f" toString(uuid) LIMIT {rows}"
    )


def count_of(part: Part, days: Sequence[tuple[datetime, datetime]]) -> str:
    """How many places there are (`places`), and how many UUIDs on each day (`day_0`, …), a UUID on
    its last one.

    Days are told by instants, so that PostHog's idea of a time zone does not matter.
    """
    counts = [
        f"countIf({_between('latest', *day)}) AS day_{number}" for number, day in enumerate(days)
    ]
    return (
        f"SELECT sum(times) AS places, {', '.join(counts)} FROM "
        "(SELECT uuid, max(created_at) AS latest, uniqExact(created_at) AS times FROM events "
        f"WHERE {part.where} GROUP BY uuid) LIMIT 1"
    )


def literal(moment: datetime) -> str:
    """An instant, given in UTC."""
    return f"toDateTime64('{moment:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"


def _between(column: str, start: datetime, end: datetime) -> str:
    return f"{column} >= {literal(start)} AND {column} < {literal(end)}"
