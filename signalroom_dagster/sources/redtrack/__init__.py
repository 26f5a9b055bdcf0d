"""RedTrack: what the client's own traffic cost, by source and day, and what it brought, conversion by conversion.

Columns and keys stand in `tables.toml`. Spend is counted in the client's days, whatever zone the account is in. Cost
is refreshed by the ad networks for days afterwards, and conversions are edited and come late, so days are read again
and replaced whole.

Quirks: the key travels in the address. `group_by` and other unknown parameters are ignored without an error, a wrong
path answers with a page of documentation and 200. `conversions` are those of the default type, as RedTrack's own pages
count them, `total_conversions` those of every type: 0 is a figure in both. Titles may end in spaces; ids join.

https://api.redtrack.io/docs/index.html
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import dlt
from dlt.extract import DltResource, DltSource

from signalroom_dagster.limits import Limit, account_name
from signalroom_dagster.sources.context import Planned, SourceContext
from signalroom_dagster.sources.http import Api
from signalroom_dagster.sources.redtrack.account import Account
from signalroom_dagster.sources.redtrack.conversions import plan_conversions
from signalroom_dagster.sources.redtrack.lists import LISTS, plan_list
from signalroom_dagster.sources.redtrack.settings import Settings
from signalroom_dagster.sources.redtrack.spend import plan_daily_spend
from signalroom_dagster.sources.slicing import Plan, planned, table_resources
from signalroom_dagster.sources.tables import read_tables

TITLE = "RedTrack"
TABLES = read_tables(__name__)
AMOUNTS = [column.path[0] for column in TABLES["daily_spend"].columns if column.kind in ("bigint", "decimal")]


@dlt.source(name="redtrack", max_table_nesting=0)
def redtrack(plans: Mapping[str, Plan] | None = None, context: SourceContext | None = None) -> Iterable[DltResource]:
    """Every table of `tables.toml`; without plans an outline that asks nothing."""
    yield from table_resources(TABLES, plans, context)


def outline(configured: Iterable[Settings]) -> DltSource:
    """Every resource, whoever uses it."""
    return redtrack()


def open_source(settings: Settings, context: SourceContext) -> DltSource:
    """The client's own source; asks nothing until its slices are loaded."""
    return redtrack(_plans(settings, context), context)


def preview(settings: Settings, context: SourceContext) -> Iterator[Planned]:
    """The days that a load would read, and the lists."""
    return planned(_plans(settings, context), context)


def probe(settings: Settings, client_id: str) -> str:
    """Ask for the settings of the account's pages: the cheapest call that needs the key."""
    api(settings, client_id).get("/me/settings")
    return "the account answers"


def api(settings: Settings, client_id: str) -> Api:
    """The client's account at RedTrack."""
    key = settings.api_key.get_secret_value()
    per_minute = settings.requests_per_minute
    return Api(
        source="redtrack",
        client_id=client_id,
        base_url=settings.base_url,
        key_name=f"SOURCES__REDTRACK__CLIENTS__{client_id.upper()}__API_KEY",
        limit=Limit(_account(settings), per_minute, burst=min(10, per_minute), at_once=2),
        secrets=(key,),
        params={"api_key": key},
    )


def _account(settings: Settings) -> str:
    """The name that the pace is kept under, for every client of the account."""
    return account_name("redtrack", settings.base_url, settings.api_key.get_secret_value())


def _plans(settings: Settings, context: SourceContext) -> Mapping[str, Plan]:
    per_minute = settings.reports_per_minute
    reports = Limit(f"{_account(settings)}__reports", per_minute, burst=min(5, per_minute))
    account = Account(api(settings, context.client_id), reports, settings, context)
    return {
        "daily_spend": partial(plan_daily_spend, account, AMOUNTS),
        "conversions": partial(plan_conversions, account),
        **{name: partial(plan_list, account, name) for name in LISTS},
    }
