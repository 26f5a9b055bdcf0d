"""A Mautic as the tables need it, and what reading a table whole has in common."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from signalroom_dagster.sources.days import day_of, midnight
from signalroom_dagster.sources.mautic.account import Account
from signalroom_dagster.sources.mautic.mark import Mark
from signalroom_dagster.sources.mautic.pages import Listing
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.tables import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An account, and from when on its changes are read: some minutes before a mark, because clocks
    differ and transactions take their time; from an earlier day where one is asked for. Days are
    those of the zone.
    """

    account: Account
    zone: ZoneInfo
    since: date | None
    overlap: timedelta
    lookback_days: int

    def changed_since(self, mark: Mark) -> datetime:
        """From when on to ask for changes."""
        overlapped = mark.began - self.overlap
        return min(overlapped, midnight(self.since, self.zone)) if self.since else overlapped

    def looked_back_to(self, moment: datetime) -> datetime:
        """When the days begin that are read again each time."""
        return midnight(
            day_of(moment, self.zone) - timedelta(days=self.lookback_days - 1), self.zone
        )


def whole_list(
    listing: Listing, stored: Callable[[Row], Row], began: datetime | None = None
) -> Answer:
    """Every row of a list, with Mautic's own count, and a mark where it is said when reading began.

    When rows came or went while the list was read, the count is the one after it: what was added
    has been read too. Reading raises VendorDataError for a list of fewer rows than are counted: it
    must not take the place of a whole one.
    """
    answer = Answer(())

    def rows() -> Iterator[Row]:
        counts: list[int] = []
        read, last_id = 0, 0
        for number, row in listing.rows(counted=counts.append):
            read, last_id = read + 1, number
            yield stored(row)
        count = counts[0] if counts[0] == read else listing.count()
        for number, row in (
            listing.rows(above=last_id) if read < count else ()
        ):  # came after the last page
            read, last_id = read + 1, number
            yield stored(row)
        if read < count:
            raise listing.wrong(f"shows {read} rows and counts {count}")
        answer.counted = count
        answer.cursor = str(Mark(began, last_id)) if began else None

    answer.rows = rows()
    return answer
