"""PostHog's private API: what people did on the client's pages, and the flags and experiments that they met.

Columns and keys stand in `tables.toml`. Events are asked for in HogQL, by the day on which PostHog took them in. They
hardly ever change; what PostHog deletes leaves no trace, and stays in the warehouse. Lists are read whole.

Quirks: without `force_blocking` an answer may come from a cache; a LIMIT above 50,000 is shortened without a word and
none means 100; OFFSET is refused; `properties` is JSON as text; times are in the project's zone unless the query says
otherwise; the list of experiments hides the archived ones and what each of them measures; `next` may name another host.

https://posthog.com/docs/api
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import dlt
from dlt.extract import DltResource, DltSource

from signalroom_dagster.limits import Limit, account_name
from signalroom_dagster.sources.context import Planned, SourceContext
from signalroom_dagster.sources.http import Api
from signalroom_dagster.sources.posthog.events import plan_events
from signalroom_dagster.sources.posthog.lists import AT_ONCE, plan_experiments, plan_feature_flags
from signalroom_dagster.sources.posthog.project import Project, said_by
from signalroom_dagster.sources.posthog.settings import Settings
from signalroom_dagster.sources.slicing import Plan, planned, table_resources
from signalroom_dagster.sources.tables import read_tables

TITLE = "PostHog"
TABLES = read_tables(__name__)
LISTS_PER_MINUTE = 240


@dlt.source(name="posthog", max_table_nesting=0)
def posthog(plans: Mapping[str, Plan] | None = None, context: SourceContext | None = None) -> Iterable[DltResource]:
    """Every table of `tables.toml`; without plans an outline that asks nothing."""
    yield from table_resources(TABLES, plans, context)


def outline(configured: Iterable[Settings]) -> DltSource:
    """Every resource, whoever uses it."""
    return posthog()


def open_source(settings: Settings, context: SourceContext) -> DltSource:
    """The client's own source; asks nothing until its slices are loaded."""
    return posthog(_plans(settings, context), context)


def preview(settings: Settings, context: SourceContext) -> Iterator[Planned]:
    """The days that a load would read, and the lists."""
    return planned(_plans(settings, context), context)


def probe(settings: Settings, client_id: str) -> str:
    """Ask the cheapest of queries: reading the project instead would not show that the key may ask any."""
    open_project(settings, client_id).query("probe", "SELECT 1 AS one LIMIT 1", ("one",))
    return f"project {settings.project_id} answers queries"


def open_project(settings: Settings, client_id: str) -> Project:
    """The client's project at PostHog."""
    key = settings.api_key.get_secret_value()
    api = Api(
        source="posthog",
        client_id=client_id,
        base_url=settings.host,
        key_name=f"SOURCES__POSTHOG__CLIENTS__{client_id.upper()}__API_KEY",
        limit=Limit(f"{_account(settings)}__lists", LISTS_PER_MINUTE, burst=20, at_once=AT_ONCE),
        secrets=(key,),
        headers={"Authorization": f"Bearer {key}"},
        words=said_by,
    )
    pace = settings.queries_per_minute
    return Project(api, Limit(f"{_account(settings)}__queries", pace, burst=max(1, pace // 10)), settings)


def _account(settings: Settings) -> str:
    """The name that the pace is kept under: PostHog counts by project."""
    return account_name("posthog", settings.host, str(settings.project_id))


def _plans(settings: Settings, context: SourceContext) -> Mapping[str, Plan]:
    asked = open_project(settings, context.client_id)
    return {
        "events": partial(plan_events, asked, context),
        "feature_flags": partial(plan_feature_flags, asked, context),
        "experiments": partial(plan_experiments, asked, context),
    }
