"""RedTrack: what the client's own traffic cost, by source and day, and what it brought, conversion
by conversion.

Columns and keys stand in `tables.toml`. Spend is counted in days of `timezone`, whatever zone the
account is in. Cost is refreshed by the ad networks for days afterwards, and conversions are edited
and come late, so days are read again and replaced whole.

Quirks: the key travels in the address. `group_by` and other unknown parameters are ignored without
an error, a wrong path answers with a page of documentation and 200. `conversions` are those of the
default type, as RedTrack's own pages count them, `total_conversions` those of every type: 0 is a
figure in both. Titles may end in spaces; ids join.

https://api.redtrack.io/docs/index.html
"""

from collections.abc import Iterable
from datetime import date
from functools import partial
from zoneinfo import ZoneInfo

import dlt
from dlt.extract import DltResource

from signalroom_dagster.limits import Limit
from signalroom_dagster.sources.redtrack.account import Account, open_api
from signalroom_dagster.sources.redtrack.conversions import read_conversions
from signalroom_dagster.sources.redtrack.lists import LISTS, read_entity
from signalroom_dagster.sources.redtrack.settings import Settings
from signalroom_dagster.sources.redtrack.spend import read_daily_spend
from signalroom_dagster.sources.resources import asked_days, days_resource, list_resource
from signalroom_dagster.sources.tables import read_tables

TITLE = "RedTrack"
TABLES = read_tables(__name__)
AMOUNTS = [
    column.path[0]
    for column in TABLES["daily_spend"].columns
    if column.kind in ("bigint", "decimal")
]


@dlt.source(name="redtrack", max_table_nesting=0)
def redtrack(
    api_key: str = dlt.secrets.value,
    since: date | str | None = None,
    until: date | str | None = None,
    timezone: str = "UTC",
    account_timezone: str = "",
    base_url: str = "https://api.redtrack.io",
    reports_per_minute: int = 19,
    requests_per_minute: int = 60,
) -> Iterable[DltResource]:
    """An account's days from `since` to `until`, both included (ISO dates; yesterday and today by
    default), and its lists.

    Days are those of `timezone`; `account_timezone` is the zone that the account itself is set to,
    where it is known.
    """
    api = open_api(api_key, base_url, requests_per_minute)
    reports = Limit(
        f"{api.limit.account}__reports", reports_per_minute, burst=min(5, reports_per_minute)
    )
    zone = ZoneInfo(timezone)
    account = Account(api, reports, zone, ZoneInfo(account_timezone) if account_timezone else None)
    first, last = asked_days(since, until, zone)
    yield days_resource(
        TABLES["daily_spend"], partial(read_daily_spend, account, AMOUNTS), first, last
    )
    yield days_resource(TABLES["conversions"], partial(read_conversions, account), first, last)
    for name in LISTS:
        yield list_resource(TABLES[name], partial(read_entity, account, name))


def probe(settings: Settings) -> str:
    """Ask for the settings of the account's pages: the cheapest call that needs the key."""
    api = open_api(
        settings.api_key.get_secret_value(), settings.base_url, settings.requests_per_minute
    )
    api.get("/me/settings")
    return "the account answers"
