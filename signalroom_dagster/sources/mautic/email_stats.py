"""E-mail statistics: one row per e-mail and recipient, which goes on changing after it was sent.

New rows have higher ids; openings show in `last_opened` and `date_read`; that a message bounced shows nowhere, so what
was sent of late is read again. A contact's merger or an e-mail's deletion changes old rows without a trace: those are
read again with all the others every `sweep_stats_every_days`.

Everything comes as text, times in UTC without saying so. A table that does not exist and a user without the right to
see it are both answered with 200.

https://devdocs.mautic.org/en/5.x/rest_api/stats.html
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from signalroom_dagster.sources.days import is_read, midnight
from signalroom_dagster.sources.mautic.instance import Instance, swept
from signalroom_dagster.sources.mautic.mark import Mark, changed_since, is_sweep_due, latest_mark
from signalroom_dagster.sources.mautic.pages import STATS_BY_ID, Listing, in_utc
from signalroom_dagster.sources.slicing import Answer, Slice
from signalroom_dagster.sources.tables import Row

RESOURCE = "email_stats"


def plan_email_stats(instance: Instance) -> Iterator[Slice]:
    """All rows, or those that are new, may have failed since, or were opened since the last reading began."""
    context, mark = instance.context, latest_mark(instance.context, RESOURCE)
    if is_read(context, RESOURCE):
        return
    if mark is None or is_sweep_due(context, RESOURCE, instance.settings.sweep_stats_every_days):
        yield Slice(days=(context.today,), read=partial(_sweep, instance), replaces="client", why="all statistics")
        return
    since = changed_since(context, mark, instance.settings)
    read = partial(_changes, instance, mark, since)
    why = f"sent since {_sent_since(instance, since)}, opened since {in_utc(since)} UTC, or new"
    yield Slice(days=(context.today,), read=read, replaces="keys", why=why)


def _sweep(instance: Instance) -> Answer:
    return swept(instance, _listing(instance), dict, Mark(instance.context.now()))


def _changes(instance: Instance, known: Mark, since: datetime) -> Answer:
    """Rows by each sign of change; of rows with one id the last one read stands."""
    began, listing = instance.context.now(), _listing(instance)
    answer = Answer(())

    def rows() -> Iterator[Row]:
        last_id = known.last_id
        passes = (
            listing.rows(("date_sent", "gte", _sent_since(instance, since))),
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


def _sent_since(instance: Instance, since: datetime) -> str:
    context = instance.context
    days = context.span.lookback_days or instance.settings.lookback_days
    return in_utc(min(since, midnight(context.today - timedelta(days=days - 1), context.zone)))


def _listing(instance: Instance) -> Listing:
    size = instance.settings.stats_page_size
    return Listing(instance.account, "/api/stats/email_stats", "stats", size, STATS_BY_ID)
