"""Conversions, a day at a time, as long as Everflow keeps them in this report.

https://developers.everflow.io/docs/network/reporting/raw_conversions/
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any

from signalroom_dagster.sources.days import days_to_read
from signalroom_dagster.sources.everflow.lists import whole_list
from signalroom_dagster.sources.everflow.network import Network
from signalroom_dagster.sources.slicing import Answer, Slice

PATH = "/v1/networks/reporting/conversions"


def plan_conversions(network: Network) -> Iterator[Slice]:
    """One slice a day: Everflow's paging shifts, the less the shorter the list."""
    oldest = network.context.today - timedelta(days=network.settings.conversions_kept_days - 1)
    for day in days_to_read(network.context, "conversions", network.settings, oldest=oldest):
        yield Slice(days=(day,), read=partial(_read, network, day))


def _read(network: Network, day: date) -> Answer:
    body = {
        "from": f"{day} 00:00:00",
        "to": f"{day} 23:59:59",
        "timezone_id": network.zone_id(),
        "currency_id": network.context.currency,
        "show_conversions": True,
        "show_events": True,
        "query": {"filters": network.filters(), "search_terms": []},
    }

    def page(number: int, size: int) -> Any:
        return network.api.post(PATH, body, page=number, page_size=size)

    found = whole_list(network, f"conversions of {day}", "conversions", "conversion_id", page)
    ours = list(network.ours(found.rows, "conversion_unix_timestamp", "conversion_id"))
    return Answer(ours, totals={day: found.counted - (len(found.rows) - len(ours))})
