"""E-mail statistics: one row per e-mail and recipient, which goes on changing after it was sent.

New rows have higher ids; openings show in `last_opened` and `date_read`; that a message bounced
shows nowhere, so what was sent of late is read again. A contact's merger or an e-mail's deletion
changes old rows without a trace: those are read again with all the others every
`sweep_stats_every_days`.

Everything comes as text, times in UTC without saying so. A table that does not exist and a user
without the right to see it are both answered with 200.

https://devdocs.mautic.org/en/5.x/rest_api/stats.html
"""

from collections.abc import Iterator
from datetime import datetime

from signalroom_dagster.sources.mautic.instance import Instance, whole_list
from signalroom_dagster.sources.mautic.mark import Mark, mark_of
from signalroom_dagster.sources.mautic.pages import STATS_BY_ID, Listing, in_utc
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.tables import Row


def read_email_stats(
    instance: Instance, page_size: int, cursor: str | None, began: datetime
) -> Answer:
    """All rows; or those that are new, may have failed since, or were opened since the reading that
    left the cursor began.
    """
    listing = Listing(instance.account, "/api/stats/email_stats", "stats", page_size, STATS_BY_ID)
    return (
        whole_list(listing, dict, began)
        if cursor is None
        else _changes(instance, listing, mark_of(cursor), began)
    )


def _changes(instance: Instance, listing: Listing, known: Mark, began: datetime) -> Answer:
    """Rows by each sign of change; of rows with one id the last one read stands."""
    answer, since = Answer(()), instance.changed_since(known)
    sent_since = min(since, instance.looked_back_to(began))

    def rows() -> Iterator[Row]:
        last_id = known.last_id
        passes = (
            listing.rows(("date_sent", "gte", in_utc(sent_since))),
            listing.rows(("last_opened", "gte", in_utc(since))),
            listing.rows(("date_read", "gte", in_utc(since))),
            listing.rows(above=known.last_id),
        )
        for found in passes:
            for number, row in found:
                last_id = max(last_id, number)
                yield row
        answer.cursor = str(Mark(began, last_id))

    answer.rows = rows()
    return answer
