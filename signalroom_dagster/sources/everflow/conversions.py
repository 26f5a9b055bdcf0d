"""Conversions, a day at a time, as long as Everflow keeps them in this report.

https://developers.everflow.io/docs/network/reporting/raw_conversions/
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from signalroom_dagster.sources.everflow.lists import whole_list
from signalroom_dagster.sources.everflow.network import Network
from signalroom_dagster.sources.resources import Answer

PATH = "/v1/networks/reporting/conversions"


def read_conversions(network: Network, days: Sequence[date]) -> Answer:
    """One day's conversions: Everflow's paging shifts, the less the shorter the list."""
    (day,) = days
    body = {
        "from": f"{day} 00:00:00",
        "to": f"{day} 23:59:59",
        "timezone_id": network.zone_id(),
        "currency_id": network.currency,
        "show_conversions": True,
        "show_events": True,
        "query": {"filters": network.filters(), "search_terms": []},
    }

    def page(number: int, size: int) -> Any:
        return network.api.post(PATH, body, page=number, page_size=size)

    found = whole_list(f"conversions of {day}", "conversions", "conversion_id", page)
    ours = list(network.ours(found.rows, "conversion_unix_timestamp", "conversion_id"))
    return Answer(ours, totals={day: found.counted - (len(found.rows) - len(ours))})
