"""Reading a described table: what is asked for a stretch of days or for a list, and which rows are
answered.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from signalroom_dagster.described.asking import Account
from signalroom_dagster.described.braces import as_sent, filled
from signalroom_dagster.described.files import Complete, Resource, Window
from signalroom_dagster.described.paging import Pages, paginator_from
from signalroom_dagster.described.proofs import Tally
from signalroom_dagster.described.selecting import at
from signalroom_dagster.kinds import UNREADABLE, as_decimal
from signalroom_dagster.sources.days import ONE_DAY, day_of, midnight
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.tables import Row, Table

MILLISECONDS_FROM = 100_000_000_000
"""Numbers from here on are milliseconds since 1970: as seconds they would lie in the year 5138."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One table of an account: what its file says, how its pages follow each other, what stands in
    braces, and the zone of its days.
    """

    table: Table
    resource: Resource
    paginator: Mapping[str, Any]
    account: Account
    values: Mapping[str, Any]
    zone: ZoneInfo

    def read_list(self) -> Answer:
        """The whole list."""
        answer = Answer(())
        answer.rows = self._rows((), answer)
        return answer

    def read_days(self, days: Sequence[date]) -> Answer:
        """Days that follow each other; what is cut is asked for again in halves."""
        answer = Answer(())
        answer.rows = self._rows(days, answer)
        return answer

    def first_page(self, days: Sequence[date] = ()) -> list[Any]:
        """The rows of a first page: whether the account answers at all."""
        return next(iter(self.pages(days))).rows

    def pages(self, days: Sequence[date]) -> Pages:
        """The pages that answer one question."""
        endpoint, values = self.resource.endpoint, self._values(days)
        request = self.account.request(
            endpoint.method,
            filled(endpoint.path, values, in_address=True),
            params=as_sent(filled(endpoint.params, values)),
            json=filled(endpoint.body, values),
            headers=filled(endpoint.headers, values),
        )
        complete = self.resource.complete or Complete(unproven=True)
        return Pages(
            self.account,
            request,
            paginator_from(self.paginator),
            endpoint.data_selector,
            proves_nothing=not complete.is_exact,
        )

    def _rows(self, days: Sequence[date], answer: Answer) -> Iterator[Row]:
        complete = self.resource.complete or Complete(unproven=True)
        tally = Tally(table=self.table, complete=complete, days=days, is_over=self._is_over(days))
        rows = self._asked(days, tally)
        kept = list(rows) if complete.cap else rows
        if tally.is_capped():
            yield from self._halves(days, tally, answer)
            return
        yield from kept
        answer.notes = {**answer.notes, **tally.notes}
        answer.totals |= tally.totals_by_day
        if not days and complete.sum is None and tally.totals:
            answer.counted = int(min(tally.totals))

    def _asked(self, days: Sequence[date], tally: Tally) -> Iterator[Row]:
        """The rows of one question, each once, and counted. Raises VendorDataError for one that
        comes twice.
        """
        seen = set[int]()
        keys = [column for column in self.table.columns if column.name in self.table.key]
        pages = self.pages(days)
        for page in pages:
            tally.hear(page.answer, self.account)
            pages.expected = tally.expected_rows
            for row in map(self._with_day, page.rows):
                tally.take(row)
                key = _key(keys, row)
                if key is not None and hash(key) in seen:
                    raise VendorDataError(
                        f"{self.table.name}: a key came twice: rows moved between the pages while"
                        " they were read, or tie at a page's edge; name an order that is unique"
                    )
                seen.add(hash(key))
                yield row
            if tally.is_capped():
                return
        tally.ask(self.resource, self.account, self._values(days))
        tally.check(pages)

    def _halves(self, days: Sequence[date], tally: Tally, answer: Answer) -> Iterator[Row]:
        if len(days) < 2:
            where = f"{days[0]}" if days else "the list"
            raise VendorDataError(
                f"{self.table.name}: {where} has {tally.rows:,} rows, and the vendor never gives"
                f" more than {tally.complete.cap:,}: the rest would be missing"
            )
        middle = len(days) // 2
        yield from self._rows(days[:middle], answer)
        yield from self._rows(days[middle:], answer)

    def _with_day(self, row: Any) -> Row:
        """A row with its day, where that is the day of an instant."""
        window = self.resource.window
        if window is None or not window.moment:
            return row
        return {**row, window.day: _day(at(row, window.moment), self.zone)}

    def _values(self, days: Sequence[date]) -> Mapping[str, Any]:
        window = self.resource.window
        if window is None or not days:
            return self.values
        since, until = asked_span(window, days, self.zone)
        return {**self.values, "since": since, "until": until}

    def _is_over(self, days: Sequence[date]) -> bool:
        return not days or day_of(datetime.now(UTC), self.zone) > days[-1]


def asked_span(window: Window, days: Sequence[date], zone: ZoneInfo) -> tuple[Any, Any]:
    """What stands for the first and the last of some days in a request."""
    first, last, form = days[0], days[-1], window.format
    is_whole = window.until == "excluded"
    if not _names_a_time(form):
        return f"{first:{form}}", f"{last + ONE_DAY if is_whole else last:{form}}"
    end = midnight(last + ONE_DAY, zone)
    until = end if is_whole else end - _finest(form)
    return _instant(midnight(first, zone), form, zone), _instant(until, form, zone)


def _names_a_time(form: str) -> bool:
    return form in ("epoch", "epoch_ms") or any(f"%{sign}" in form for sign in "HIMSTXcs")


def _finest(form: str) -> timedelta:
    if form == "epoch_ms":
        return timedelta(milliseconds=1)
    return timedelta(microseconds=1) if "%f" in form else timedelta(seconds=1)


def _instant(moment: datetime, form: str, zone: ZoneInfo) -> Any:
    if form in ("epoch", "epoch_ms"):
        return int(moment.timestamp() * (1000 if form == "epoch_ms" else 1))
    return f"{moment.astimezone(UTC if form.endswith('Z') else zone):{form}}"


def _day(value: Any, zone: ZoneInfo) -> date | None:
    """The day of an instant: ISO text, or a number of seconds or milliseconds since 1970."""
    try:
        if isinstance(value, str) and not value.strip().isdigit():
            moment = datetime.fromisoformat(value.strip())
            return day_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC), zone)
        number = as_decimal(value)
        if number is None:
            return None
        seconds = float(number / 1000 if abs(number) >= MILLISECONDS_FROM else number)
        return day_of(datetime.fromtimestamp(seconds, UTC), zone)
    except (*UNREADABLE, OSError):
        return None


def _key(keys: Sequence[Any], row: Row) -> tuple[Any, ...] | None:
    """What names a row; None for one that cannot be told from others."""
    try:
        values = tuple(str(column.value(row)) for column in keys)
    except UNREADABLE:
        return None
    return None if "None" in values else values
