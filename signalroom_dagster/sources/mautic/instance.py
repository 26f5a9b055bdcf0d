"""One client's Mautic as the tables need it, and what reading a table whole has in common."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from signalroom_dagster.sources.context import SourceContext
from signalroom_dagster.sources.mautic.account import Account
from signalroom_dagster.sources.mautic.mark import Mark
from signalroom_dagster.sources.mautic.pages import Listing
from signalroom_dagster.sources.mautic.settings import Settings
from signalroom_dagster.sources.slicing import Answer
from signalroom_dagster.sources.tables import Row


@dataclass(frozen=True, slots=True)
class Instance:
    """A client's account and how it is configured."""

    account: Account
    settings: Settings
    context: SourceContext


def swept(instance: Instance, listing: Listing, stored: Callable[[Row], Row], mark: Mark) -> Answer:
    """Every row of a list, with Mautic's own count.

    When rows came or went while the list was read, the count is the one after it: what was added has been read too.
    Reading raises VendorDataError for a list of fewer rows than are counted: it must not take the place of a whole one.
    """
    answer, today = Answer((), cursor=str(mark)), instance.context.today

    def rows() -> Iterator[Row]:
        counts: list[int] = []
        read, last_id = 0, mark.last_id
        for number, row in listing.rows(counted=counts.append):
            read, last_id = read + 1, number
            yield stored(row)
        count = counts[0] if counts[0] == read else listing.count()
        for number, row in listing.rows(above=last_id) if read < count else ():  # came after the last page
            read, last_id = read + 1, number
            yield stored(row)
        if read < count:
            raise listing.wrong(f"shows {read} rows and counts {count}")
        answer.totals[today] = count
        answer.cursor = str(Mark(mark.began, last_id))

    answer.rows = rows()
    return answer
