"""Everflow's network API: what affiliates brought, conversion by conversion and click by click, and who they are.

Columns and keys stand in `tables.toml`. Days are those of the account's reporting zone, the client's own. Figures and
conversions change long after their day (status, payout, back-dated and removed conversions), and nothing says when: so
whole days are read again and replaced. Clicks never change but for `has_conversion`, and are merged.

Quirks: a table of 10,000 rows is a cut one, whatever its status; paging is unstable, and a count may include rows
that come twice; unknown filters are ignored without an error; the `date` of a report is midnight in UTC, as text.
Conversions are in the offer's own currency. The pace is an account's, however many clients share its key.

https://developers.everflow.io/
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from zoneinfo import ZoneInfo

import dlt
from dlt.extract import DltResource, DltSource

from signalroom_dagster.limits import Limit, account_name
from signalroom_dagster.sources.context import Planned, SourceContext
from signalroom_dagster.sources.everflow.clicks import plan_clicks
from signalroom_dagster.sources.everflow.conversions import plan_conversions
from signalroom_dagster.sources.everflow.entities import plan_entity
from signalroom_dagster.sources.everflow.network import AT_ONCE, Network
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.sources.everflow.stats import plan_daily_stats
from signalroom_dagster.sources.http import Api
from signalroom_dagster.sources.slicing import Plan, planned, table_resources
from signalroom_dagster.sources.tables import read_tables

TABLES = read_tables(__name__)


@dlt.source(name="everflow", max_table_nesting=0)
def everflow(plans: Mapping[str, Plan] | None = None, context: SourceContext | None = None) -> Iterable[DltResource]:
    """Every table of `tables.toml`; without plans an outline that asks nothing."""
    yield from table_resources(TABLES, plans, context)


def outline(configured: Iterable[Settings]) -> DltSource:
    """Every resource, whoever uses it."""
    return everflow()


def open_source(settings: Settings, context: SourceContext) -> DltSource:
    """The client's own source; asks nothing until its slices are loaded."""
    context = _in_zone(settings, context)
    return everflow(_plans(settings, context), context)


def preview(settings: Settings, context: SourceContext) -> Iterator[Planned]:
    """The days that a load would read, and the lists."""
    now = _in_zone(settings, context)
    return planned(_plans(settings, now), now)


def probe(settings: Settings, client_id: str) -> str:
    """Ask for the network's name: the cheapest call that needs the key."""
    answer = api(settings, client_id).get("/v1/networks")
    return f"network {answer.get('name') or answer.get('network_id')}"


def api(settings: Settings, client_id: str) -> Api:
    """The client's account at Everflow."""
    key = settings.api_key.get_secret_value()
    account = account_name("everflow", settings.base_url, key)
    return Api(
        source="everflow",
        client_id=client_id,
        base_url=settings.base_url,
        key_name=f"SOURCES__EVERFLOW__CLIENTS__{client_id.upper()}__API_KEY",
        limit=Limit(account, settings.requests_per_minute, burst=20, at_once=AT_ONCE),
        secrets=(key,),
        headers={"X-Eflow-API-Key": key},
    )


def _in_zone(settings: Settings, context: SourceContext) -> SourceContext:
    """The context with the days of the zone that the account's reports are read in."""
    return replace(context, zone=ZoneInfo(settings.timezone)) if settings.timezone else context


def _plans(settings: Settings, context: SourceContext) -> Mapping[str, Plan]:
    network = Network(api(settings, context.client_id), settings, context)
    return {
        "daily_stats": partial(plan_daily_stats, network),
        "conversions": partial(plan_conversions, network),
        "clicks": partial(plan_clicks, network),
        **{name: partial(plan_entity, network, name) for name in ("affiliates", "offers", "advertisers")},
    }
