"""Everflow's network API: what affiliates brought, conversion by conversion and click by click, and
who they are.

Columns and keys stand in `tables.toml`. Days are those of the account's reporting zone, the
client's own. Figures and conversions change long after their day (status, payout, back-dated and
removed conversions), and nothing says when: so whole days are read again and replaced. Clicks never
change but for `has_conversion`, and are merged.

Quirks: a table of 10,000 rows is a cut one, whatever its status; paging is unstable, and a count
may include rows that come twice; unknown filters are ignored without an error; the `date` of a
report is midnight in UTC, as text. Conversions are in the offer's own currency. The pace is an
account's, however many clients share its key.

https://developers.everflow.io/
"""

from collections.abc import Iterable, Sequence
from datetime import date
from functools import partial
from zoneinfo import ZoneInfo

import dlt
from dlt.extract import DltResource

from signalroom_dagster.sources.everflow.clicks import read_clicks
from signalroom_dagster.sources.everflow.conversions import read_conversions
from signalroom_dagster.sources.everflow.entities import read_entity
from signalroom_dagster.sources.everflow.network import Network, open_api
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.sources.everflow.stats import read_daily_stats
from signalroom_dagster.sources.resources import asked_days, days_resource, list_resource
from signalroom_dagster.sources.tables import read_tables

TITLE = "Everflow"
TABLES = read_tables(__name__)


@dlt.source(name="everflow", max_table_nesting=0)
def everflow(
    api_key: str = dlt.secrets.value,
    since: date | str | None = None,
    until: date | str | None = None,
    timezone: str = "UTC",
    currency: str = "USD",
    advertiser_ids: Sequence[int] = (),
    base_url: str = "https://api.eflow.team",
    requests_per_minute: int = 300,
) -> Iterable[DltResource]:
    """A network's days from `since` to `until`, both included (ISO dates; yesterday and today by
    default), and its lists.

    Days are those of `timezone`; amounts of reports are in `currency`. `advertiser_ids` narrows
    what is read to these.
    """
    zone, ids = ZoneInfo(timezone), tuple(advertiser_ids)
    network = Network(open_api(api_key, base_url, requests_per_minute), zone, currency, ids)
    first, last = asked_days(since, until, zone)
    readers = {
        "daily_stats": read_daily_stats,
        "conversions": read_conversions,
        "clicks": read_clicks,
    }
    for name, read in readers.items():
        yield days_resource(TABLES[name], partial(read, network), first, last)
    for name in ("affiliates", "offers", "advertisers"):
        yield list_resource(TABLES[name], partial(read_entity, network, name))


def probe(settings: Settings) -> str:
    """Ask for the network's name: the cheapest call that needs the key."""
    api = open_api(
        settings.api_key.get_secret_value(), settings.base_url, settings.requests_per_minute
    )
    answer = api.get("/v1/networks")
    return f"network {answer.get('name') or answer.get('network_id')}"
