"""Whether what a described API answered is all there is: compared before anything is loaded.

Rows have to be as many as the vendor's own `total` or `count` says, a column has to add up to its
`sum`. What may still grow, a list or a day that goes on, may have more, never fewer. Without
either, what looks cut is taken for cut.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from signalroom_dagster.described.asking import Account, Answer
from signalroom_dagster.described.braces import as_sent, filled
from signalroom_dagster.described.files import HEADER, Complete, Resource, Sum
from signalroom_dagster.described.paging import Pages
from signalroom_dagster.described.selecting import selected
from signalroom_dagster.kinds import UNREADABLE, Convert, as_date, as_decimal
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.tables import Figure, Row, Table
from signalroom_dagster.sources.totals import is_another_sum


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one question brought: how many rows, what each day's add up to, and what the vendor says
    of it. `is_over` says that nothing can have been added meanwhile.
    """

    table: Table
    complete: Complete
    days: Sequence[date] = ()
    is_over: bool = True
    rows: int = 0
    sums: dict[date | None, Figure] = field(default_factory=dict[date | None, Figure])
    unread: int = 0
    totals: list[Figure] = field(default_factory=list[Figure])
    by_day: dict[date, Figure] = field(default_factory=dict[date, Figure])
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    _amount: Convert | None = field(init=False, default=None)
    _day: Convert | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Find the columns that are looked at in every row."""
        columns = {column.name: column.value for column in self.table.columns}
        self._amount = columns[self.complete.sum.column] if self.complete.sum else None
        self._day = columns[self.table.day] if self.table.day else None

    def take(self, row: Row) -> None:
        """Count a row as the vendor sent it."""
        self.rows += 1
        if self._amount is None:
            return
        try:
            day = date.fromisoformat(self._day(row)) if self._day else None
            self.sums[day] = self.sums.get(day, 0) + (self._amount(row) or 0)
        except UNREADABLE:
            self.unread += 1

    def hear(self, answer: Answer, account: Account) -> None:
        """What an answer with rows says of how much there is."""
        complete = self.complete
        if complete.total:
            self.totals.append(_number(complete.total, answer, account))
        elif complete.sum and not complete.sum.path:
            self._hear_sum(complete.sum, answer, account)

    def ask(self, resource: Resource, account: Account, values: Mapping[str, Any]) -> None:
        """Ask the vendor for its count or sum, where that is a request of its own."""
        own = self.complete.count or self.complete.sum
        if own is None or not own.path:
            return
        params = getattr(own, "params", None)
        asked = resource.endpoint.params if params is None else params
        request = account.request(
            "GET", filled(own.path, values, in_address=True), params=as_sent(filled(asked, values))
        )
        answer = account.send(request)
        if isinstance(own, Sum):
            self._hear_sum(own, answer, account)
        else:
            self.totals.append(_number(own.select, answer, account))

    def _hear_sum(self, described: Sum, answer: Answer, account: Account) -> None:
        if not described.day:
            self.totals.append(_number(described.select, answer, account))
            return
        entries = selected(described.select, answer.body)
        if not entries or not isinstance(entries[0], list):
            raise VendorDataError(
                f"source {account.api.source}: an answer without `{described.select}`"
            )
        self.by_day = {**dict.fromkeys(self.days, 0), **self.by_day}
        for entry in entries[0]:
            try:
                day = date.fromisoformat(as_date(entry[described.day]) or "")
                self.by_day[day] = as_decimal(entry[described.value]) or 0
            except (*UNREADABLE, LookupError):
                what = f"an entry of `{described.select}` without {described.day} or"
                raise VendorDataError(
                    f"source {account.api.source}: {what} {described.value}"
                ) from None

    def check(self, pages: Pages) -> None:
        """Raises VendorDataError where rows are missing, or may be: with what looked odd."""
        odd = f" ({'; '.join(pages.remarks)})" if pages.remarks else ""
        off = "; ".join(self._off())
        if off:
            raise VendorDataError(f"{self.table.name}: {self._what}{off}{odd}")
        self.notes = {"looks_cut": "; ".join(pages.remarks)} if odd else {}
        if odd and not self.complete.is_exact and pages.counts_rows:
            raise VendorDataError(f"{self.table.name}: {self._what}rows may be missing{odd}")

    @property
    def expected_rows(self) -> int | None:
        """How many rows there are by what the answers say; None where they say nothing of it."""
        return int(max(self.totals)) if self.totals and self.complete.total else None

    def is_capped(self) -> bool:
        """Whether there are so many rows that there may be more."""
        return bool(self.complete.cap and self.rows >= self.complete.cap)

    @property
    def totals_by_day(self) -> Mapping[date, Figure]:
        """What the vendor says of each day, as far as it says so."""
        if self.totals and len(self.days) == 1:
            return {self.days[0]: self.totals[-1]}
        return {day: figure for day, figure in self.by_day.items() if day in self.days}

    @property
    def _what(self) -> str:
        return f"{self.days[0]} to {self.days[-1]}: " if len(self.days) > 1 else ""

    def _off(self) -> Iterator[str]:
        if self.complete.sum is None:
            if self.totals and self.rows < min(self.totals):
                yield self._words(min(self.totals), "rows", self.rows)
            elif self.totals and self.days and self.is_over and self.rows > max(self.totals):
                yield self._words(max(self.totals), "rows", self.rows)
        elif self.is_over and not self.unread:
            yield from self._sums_off(self.complete.sum.column)

    def _sums_off(self, column: str) -> Iterator[str]:
        whole = sum(self.sums.values(), Decimal(0))
        if self.totals and is_another_sum(self.totals[-1], whole, self.rows):
            yield self._words(self.totals[-1], column, whole)
        for day, total in self.totals_by_day.items() if self.by_day else ():
            if is_another_sum(total, read := self.sums.get(day, 0), self.rows):
                yield f"{day}: {self._words(total, column, read)}"

    def _words(self, total: Figure, what: str, read: Figure) -> str:
        return f"the vendor's own total is {total} ({what}), and what it gives adds up to {read}"


def proof_of(complete: Complete) -> str:
    """How it is known that nothing is missing, in words."""
    cap = f"an answer of {complete.cap:,} rows is taken for a cut one" if complete.cap else ""
    if complete.unproven:
        return "Unproven: nothing the vendor says shows whether rows are missing."
    if complete.sum:
        exact = f"`{complete.sum.column}` adds up to the vendor's own sum"
    else:
        exact = "rows are as many as the vendor counts" if complete.is_exact else ""
    return f"Proven: {'; '.join(filter(None, (exact, cap)))}."


def _number(select: str, answer: Answer, account: Account) -> Figure:
    """A figure in an answer, or in its headers. Raises VendorDataError where it is missing: nothing
    would be proven then.
    """
    if select.startswith(HEADER):
        values: list[Any] = [answer.headers.get(select.removeprefix(HEADER))]
    else:
        values = selected(select, answer.body)
    try:
        number = as_decimal(values[0]) if values else None
        if number is not None:
            return int(number) if number == int(number) else number
    except UNREADABLE:
        pass
    raise VendorDataError(f"source {account.api.source}: an answer without its total, `{select}`")
