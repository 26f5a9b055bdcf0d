"""Events, by the day on which PostHog took them in: so a late one is found, however old its own
time is.

Read page by page behind the last place, never by OFFSET, up to an instant that is fixed for the
attempt. What is read is held against PostHog's own count of the same condition. Memory holds one
page.

https://posthog.com/docs/api/queries
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from signalroom_dagster.kinds import UNREADABLE
from signalroom_dagster.sources.days import ONE_DAY, day_of, midnight
from signalroom_dagster.sources.http import VendorDataError, VendorError
from signalroom_dagster.sources.posthog.hogql import COLUMNS, Part, Place, count_of, page_of
from signalroom_dagster.sources.posthog.project import Found, Project
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.set_aside import LeftOut, key_of
from signalroom_dagster.sources.tables import Figure, Row


@dataclass(frozen=True, slots=True)
class Scope:
    """Which events are read: of days in a zone, taken in up to an instant, in pages of so many
    rows; and from how long before its arrival an event is looked for apart, if at all.
    """

    zone: ZoneInfo
    until: datetime
    page_rows: int
    lateness: timedelta
    older: bool


def read_events(project: Project, scope: Scope, days: Sequence[date]) -> Answer:
    """Some days' events, with PostHog's own count of them; nothing of days that begin when the
    scope has ended.
    """
    bounds = [(midnight(day, scope.zone), midnight(day + ONE_DAY, scope.zone)) for day in days]
    start, end = bounds[0][0], min(bounds[-1][1], scope.until)
    if start >= end:
        return Answer(())
    recent = Part(start, end, bound=start - scope.lateness)
    parts = [recent, recent._replace(older=True)] if scope.older else [recent]
    counts = [_count(project, part, bounds) for part in parts]
    totals: dict[date, Figure] = {
        day: sum(count[f"day_{number}"] for count in counts) for number, day in enumerate(days)
    }
    rows = (
        (
            row
            if isinstance(row, LeftOut)
            else {**row, "ingested_on": day_of(row["created_at"], scope.zone)}
        )
        for part, count in zip(parts, counts, strict=True)
        for row in _events(project, part, count["places"], scope.page_rows)
    )
    return Answer(rows, totals=totals, cursor=end.isoformat())


def _count(
    project: Project, part: Part, days: Sequence[tuple[datetime, datetime]]
) -> Mapping[str, int]:
    columns = ("places", *(f"day_{number}" for number in range(len(days))))
    with _hint(part):
        found = list(project.query("count", count_of(part, days), columns).rows)
    if (
        len(found) != 1
    ):  # a count has a row also of nothing; without one, days would pass for days without events
        raise VendorDataError(_about(project, f"answers a count with {len(found)} rows"))
    return {column: int(found[0][column] or 0) for column in columns}


def _events(project: Project, part: Part, counted: int, page_rows: int) -> Iterator[Row | LeftOut]:
    """Every event of a part. Raises VendorDataError when they are not as many as PostHog counts."""
    last, read, more = None, 0, counted > 0
    while more:
        last, fresh, full = yield from _page(project, part, last, page_rows)
        read += fresh
        more = full or (
            fresh > 0 and read < counted
        )  # a page that PostHog shortened is not the last one
    if read != counted:
        raise VendorDataError(
            _about(
                project, f"gives {read} events of {part.start} to {part.end}, and counts {counted}"
            )
        )


def _page(
    project: Project, part: Part, after: Place | None, page_rows: int
) -> Generator[Row | LeftOut, None, tuple[Place | None, int, bool]]:
    """One page's events, each place once; the last place, how many there were, and whether the page
    was full.
    """
    with _hint(part):
        found = project.query("events", page_of(part, after, page_rows), COLUMNS)
    last, fresh = after, 0
    for row in found.rows:
        event = _typed(found, row)
        if event is None:
            fresh += 1
            yield LeftOut(
                "without a uuid or a time of arrival that can be read",
                key_of(("uuid",), (row["uuid"],)),
            )
            continue
        place = Place(event["created_at"], UUID(event["uuid"]))
        if place == last and last != after:
            continue  # PostHog has not yet merged an event that was sent twice
        if last and place <= last or not part.start <= place.created_at < part.end:
            raise VendorDataError(
                _about(project, "gives events that were not asked for: the cursor does not advance")
            )
        last, fresh = place, fresh + 1
        yield event
    if found.cells and last == after:
        raise VendorDataError(
            _about(project, "gives no event with a uuid and a time that can be read")
        )
    return last, fresh, len(found.cells) >= page_rows


def _typed(found: Found, row: dict[str, Any]) -> dict[str, Any] | None:
    """A row with its times as instants and its UUID in the usual spelling; None where its place
    cannot be read.

    Its own time stays as it is where it cannot be read: the cell says so.
    """
    try:
        row |= {"uuid": str(UUID(row["uuid"])), "created_at": found.moment(row, "created_at")}
    except UNREADABLE:
        return None
    with suppress(*UNREADABLE):
        row["timestamp"] = found.moment(row, "timestamp") if row["timestamp"] else None
    return row


@contextmanager
def _hint(part: Part) -> Generator[None]:
    """Say how to do without, when the scan for old events is too much for the project."""
    try:
        yield
    except VendorError as error:
        if not part.older or error.status in (401, 403, 429):
            raise
        said = (
            f"{error} (looking for events older than {part.bound:%Y-%m-%d}: read_older = false does"
            " without)"
        )
        raise VendorError(said, error.status, error.retry_after) from None


def _about(project: Project, what: str) -> str:
    return project.api.about("POST", f"{project.path}/query/", what)
