"""Lists from Mautic by their ids: each page asks for what comes after the last id, so that no row
shifts between pages.

With offsets they do: contacts come in the order of their last activity, and rows appear and vanish
meanwhile.

https://devdocs.mautic.org/en/5.x/rest_api/contacts.html
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from signalroom_dagster.kinds import UNREADABLE, as_integer
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.mautic.account import Account
from signalroom_dagster.sources.tables import Row

Condition: TypeAlias = tuple[str, str, str]
"""A column, an operator of Mautic's (gt, gte, eq), and the value as text."""


BY_ID: Mapping[str, str] = {"orderBy": "id", "orderByDir": "asc"}
"""How lists of entities are put in order. `id` is one of the few names that are the same as a
column (contacts want those) and as a property (e-mails and campaigns want those).
"""

STATS_BY_ID: Mapping[str, str] = {"order[0][col]": "id", "order[0][dir]": "asc"}


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a list is read, below which key its rows stand, how many are asked for at once, and how
    to order them.
    """

    account: Account
    path: str
    rows_key: str
    page_size: int
    order: Mapping[str, str] = field(default_factory=lambda: BY_ID)

    def rows(
        self,
        *conditions: Condition,
        above: int = 0,
        counted: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[int, Row]]:
        """Each row that meets the conditions, with its id, in the order of ids above `above`; one
        whose id cannot be read with that of the row before, for the load to leave it out.

        `counted` is told how many rows Mautic counts when reading begins. Raises VendorDataError
        for an answer that is no such list, and for one that does not heed what it was asked.
        """
        total, page = self._page(above, conditions)
        counted(total)
        while page:
            yield from page
            full = len(page) >= self.page_size or total > len(
                page
            )  # fewer than asked for, and yet not all
            advances, above = page[-1][0] > above, page[-1][0]
            total, page = self._page(above, conditions) if full and advances else (0, [])

    def count(self) -> int:
        """How many rows Mautic counts now."""
        return self._total(self.account.get(self.path, {"limit": 1}))

    def _page(
        self, last: int, conditions: Sequence[Condition]
    ) -> tuple[int, Sequence[tuple[int, Row]]]:
        """How many rows Mautic counts after the id `last`, and the first of them."""
        answer = self._asked((("id", "gt", str(last)), *conditions))
        rows = [(_id(row), row) for row in self._rows(answer)]
        ids = [last, *(number for number, _ in rows if number is not None)]
        if ids != sorted(set(ids)):
            raise self.wrong("does not keep to the order of ids that was asked for")
        page: list[tuple[int, Row]] = []
        for number, row in rows:
            last = last if number is None else number
            page.append((last, row))
        return self._total(answer), page

    def _asked(self, conditions: Sequence[Condition]) -> Mapping[str, Any]:
        params: dict[str, Any] = {"start": 0, "limit": self.page_size, **self.order}
        for number, (column, operator, value) in enumerate(conditions):
            where = f"where[{number}]"
            params |= {f"{where}[col]": column, f"{where}[expr]": operator, f"{where}[val]": value}
        return self.account.get(self.path, params)

    def _rows(self, answer: Mapping[str, Any]) -> list[Any]:
        """A list, or an object by id; an empty one comes as either. What is no row is an empty
        one.
        """
        rows: Any = answer.get(self.rows_key)
        if not isinstance(rows, Mapping | list):
            raise self.wrong(f"answered without {self.rows_key}", _keys(answer))
        listed: list[Any] = list(rows.values()) if isinstance(rows, Mapping) else rows
        return [row if isinstance(row, Mapping) else {} for row in listed]

    def _total(self, answer: Mapping[str, Any]) -> int:
        try:
            return int(answer["total"])
        except (KeyError, TypeError, ValueError):
            raise self.wrong("answered without a total", _keys(answer)) from None

    def wrong(self, what: str, words: str = "") -> VendorDataError:
        """The error to raise for an answer of this list that cannot be meant; `words` are Mautic's
        own.
        """
        return VendorDataError(
            self.account.api.about("GET", self.path, what + words), words=[words]
        )


def _keys(answer: Mapping[str, Any]) -> str:
    return f" ({', '.join(sorted(answer)[:5])})"


def _id(row: Any) -> int | None:
    try:
        return as_integer(row["id"])
    except (*UNREADABLE, LookupError):
        return None


def in_utc(moment: datetime) -> str:
    """A moment as Mautic's database writes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
