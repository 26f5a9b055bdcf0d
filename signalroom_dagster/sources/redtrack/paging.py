"""RedTrack's lists, page by page, and how to know that all of one has come. What they are lists of
is not known here.

A list comes bare or as `items` with a `total`. The longest page is documented for some lists only,
so a page of a round length may be a cut one, and no order is promised, so rows may move between
pages while they are read.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, TypeAlias, cast

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.sources.tables import Row

NameOf: TypeAlias = Callable[[Row], Hashable | None]
"""What tells a row from the others of its list; None where nothing does."""

ROUND = (10, 25)
"""What vendors' longest pages are multiples of."""


class Page(NamedTuple):
    """One page's rows, and how many rows the vendor counts in the whole list, where it says so."""

    rows: list[Row]
    counted: int | None


class NotAListError(SignalRoomError):
    """An answer that is no page of a list."""

    told = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as it was read, in so many pages with rows; `stuck` when the vendor gave one full page
    again and again.
    """

    rows: Sequence[Row]
    counted: int | None
    pages: int
    stuck: bool = False

    def distinct(self, name_of: NameOf) -> int:
        """How many rows there are, those with one name counted once."""
        names = [name_of(row) for row in self.rows]
        return len({name for name in names if name is not None}) + names.count(None)

    def is_whole(self, name_of: NameOf) -> bool:
        """Whether no row is missing: a row that comes on two pages has pushed another one out.

        Within one page nothing can move; what comes twice there is twice in the vendor's list.
        """
        expected = len(self.rows) if self.counted is None else self.counted
        found = len(self.rows) if self.pages <= 1 else self.distinct(name_of)
        return found >= expected and not self.stuck


def page_of(answer: Any) -> Page:
    """The rows of an answer in either shape; `null` is an empty list. Raises NotAListError."""
    counted = None
    if isinstance(answer, dict):
        wrapped = cast("dict[str, Any]", answer)
        if "items" not in wrapped:
            raise NotAListError
        total = wrapped.get("total")
        counted = total if type(total) is int else None
        answer = wrapped["items"]
    rows: Any = [] if answer is None else answer
    if not isinstance(rows, list) or (
        rows and not any(isinstance(row, dict) for row in cast("list[Any]", rows))
    ):
        raise NotAListError
    return Page([row if isinstance(row, dict) else {} for row in cast("list[Any]", rows)], counted)


def name_of(row: Row) -> Hashable | None:
    """A row's id, where it has one."""
    number = row.get("id")
    return number if isinstance(number, str | int) and number != "" else None


def each_once(rows: Sequence[Row]) -> list[Row]:
    """Rows that come twice once, as they came last; those without an id all, for the load to say
    so.
    """
    named = {name: row for row in rows if (name := name_of(row)) is not None}
    return [*named.values(), *(row for row in rows if name_of(row) is None)]


def read_list(page: Callable[[int, int], Page], size: int) -> Listing:
    """Ask for pages, by number from 1 and size, until the list's end."""
    rows: list[Row] = []
    counted, pages, before = None, 0, None
    for number in count(1):
        found = page(number, size)
        counted = counted if found.counted is None else found.counted
        if not found.rows:
            break
        if found.rows == before:  # there is no such page, or `page` is not heeded
            return Listing(rows, counted, pages, stuck=len(found.rows) >= size)
        before = found.rows
        rows += found.rows
        pages += 1
        if not _may_go_on(len(found.rows), size, len(rows), counted):
            break
    return Listing(rows, counted, pages)


def _may_go_on(length: int, size: int, read: int, counted: int | None) -> bool:
    """Whether there may be a page behind one of this length. A count that has been reached is
    believed after a shorter page only: it may be that of one page, and one that has been passed
    says nothing.
    """
    if counted is not None and read <= counted:
        return read < counted or length >= size
    return length >= size or any(length % step == 0 for step in ROUND)
