"""PostHog's private API: what people did on the client's pages, and the flags and experiments that
they met.

Columns and keys stand in `tables.toml`. Events are asked for in HogQL, by the day on which PostHog
took them in. They hardly ever change; what PostHog deletes leaves no trace, and stays in the
warehouse. Lists are read whole.

Quirks: without `force_blocking` an answer may come from a cache; a LIMIT above 50,000 is shortened
without a word and none means 100; OFFSET is refused; `properties` is JSON as text; times are in the
project's zone unless the query says otherwise; the list of experiments hides the archived ones and
what each of them measures; `next` may name another host.

https://posthog.com/docs/api
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import dlt
from dlt.extract import DltResource

from signalroom_dagster.sources.posthog.events import Scope, read_events
from signalroom_dagster.sources.posthog.lists import read_experiments, read_feature_flags
from signalroom_dagster.sources.posthog.project import open_project
from signalroom_dagster.sources.posthog.settings import Settings
from signalroom_dagster.sources.resources import asked_days, days_resource, list_resource
from signalroom_dagster.sources.tables import read_tables

TITLE = "PostHog"
TABLES = read_tables(__name__)


@dlt.source(name="posthog", max_table_nesting=0)
def posthog(
    api_key: str = dlt.secrets.value,
    project_id: int = dlt.config.value,
    since: date | str | None = None,
    until: date | str | None = None,
    timezone: str = "UTC",
    host: str = "https://us.posthog.com",
    lateness_days: int = 30,
    read_older: bool = True,
    settle_minutes: int = 3,
    days_at_once: int = 7,
    page_rows: int = 10_000,
    queries_per_minute: int = 100,
    now: datetime | None = None,
) -> Iterable[DltResource]:
    """A project's events of the days from `since` to `until`, both included (ISO dates; yesterday
    and today by default), and its lists.

    Days are those of `timezone` on which PostHog took the events in; what came in during the last
    `settle_minutes` before `now`, an instant (by this machine's clock by default), is not read yet.
    See `Settings` for the others.
    """
    project, zone = open_project(api_key, project_id, host, queries_per_minute), ZoneInfo(timezone)
    settled = (now or datetime.now(UTC)) - timedelta(minutes=settle_minutes)
    scope = Scope(zone, settled, page_rows, timedelta(days=lateness_days), read_older)
    first, last = asked_days(since, until, zone)
    events = replace(TABLES["events"], longest=days_at_once)
    yield days_resource(events, partial(read_events, project, scope), first, last)
    yield list_resource(TABLES["feature_flags"], partial(read_feature_flags, project))
    yield list_resource(TABLES["experiments"], partial(read_experiments, project))


def probe(settings: Settings) -> str:
    """Ask the cheapest of queries: reading the project instead would not show that the key may ask
    any.
    """
    key, number = settings.api_key.get_secret_value(), settings.project_id
    project = open_project(key, number, settings.host, settings.queries_per_minute)
    project.query("probe", "SELECT 1 AS one LIMIT 1", ("one",))
    return f"project {number} answers queries"
