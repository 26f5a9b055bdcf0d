"""Clicks: at most 10,000 in an answer, and no word about the rest; so windows that come back full
are halved.

Windows are asked for in UTC, where no hour comes twice.

https://developers.everflow.io/docs/network/reporting/raw_clicks/
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any

from signalroom_dagster.sources.days import ONE_DAY, midnight
from signalroom_dagster.sources.everflow.network import AT_ONCE, UTC_NAMES, Network, rows_of
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.parallel import read_ahead
from signalroom_dagster.sources.resources import Answer

CUT = 10_000
WINDOW = timedelta(hours=6)
SECOND = timedelta(seconds=1)
PATH = "/v1/networks/reporting/clicks/stream"


def read_clicks(network: Network, days: Sequence[date]) -> Answer:
    """Some days' clicks."""
    start, end = midnight(days[0], network.zone), midnight(days[-1] + ONE_DAY, network.zone)
    parts = read_ahead(partial(_clicks, network), _windows(start, end), AT_ONCE)
    return Answer(network.ours(chain.from_iterable(parts), "unix_timestamp", "transaction_id"))


def _windows(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + WINDOW, end)
        start += WINDOW


def _clicks(network: Network, window: tuple[datetime, datetime]) -> Sequence[Mapping[str, Any]]:
    """The clicks from the first moment up to the second, without it; asked in halves when there are
    too many.
    """
    start, end = window
    body = {
        "from": f"{start:%Y-%m-%d %H:%M:%S}",
        "to": f"{end - SECOND:%Y-%m-%d %H:%M:%S}",
        "timezone_id": network.zone_id(*UTC_NAMES),
        "query": {"filters": network.filters(), "search_terms": []},
    }
    rows = rows_of(network.api.post(PATH, body), "clicks", "table")
    moments = [moment for row in rows if isinstance(moment := row.get("unix_timestamp"), int)]
    if not all(start.timestamp() <= moment < end.timestamp() for moment in moments):
        raise VendorDataError(
            network.api.about("POST", PATH, f"gives clicks that are not of {start} to {end}")
        )
    if len(rows) < CUT:
        return rows
    seconds = int((end - start).total_seconds())
    if seconds <= 1:
        raise VendorDataError(
            network.api.about(
                "POST", PATH, f"gives {len(rows)} clicks for one second: it cuts there"
            )
        )
    middle = start + timedelta(seconds=seconds // 2)
    return [*_clicks(network, (start, middle)), *_clicks(network, (middle, end))]
