"""PostHog runs alone: with dlt and a stock destination, twice without doubling, and gives what a
load gives.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.sandbox.posthog_data import (
    PosthogProject,
    event_row,
    experiment_row,
    flag_row,
)
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.posthog import TABLES, posthog
from signalroom_dagster_tests.loads import load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.alone import (
    expect_the_rows_of_the_load,
    rows_alone,
    run_alone,
)
from signalroom_dagster_tests.sources.posthog.projects import DAY, NEXT, add_project, noon


def asked(vendor: VendorServer, known: PosthogProject, **more: Any) -> dict[str, Any]:
    """The project and the days, as plain arguments."""
    given = {"api_key": known.key, "project_id": known.id, "host": f"{vendor.url}/posthog"}
    given |= {"since": DAY, "until": NEXT.isoformat(), "timezone": "America/New_York"}
    return {**given, "page_rows": 3, "queries_per_minute": 6_000, **more}


@pytest.mark.slow_on("postgres")
def test_posthog_alone_loads_twice_what_a_load_loads(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject, tmp_path: Path
) -> None:
    at.events += [
        event_row(f"e{number}", "x", noon(minutes=number), value=number) for number in range(4)
    ]
    at.events += [
        event_row("late", "x", noon(NEXT), timestamp=noon(days=-400)),
        event_row("e0", "again", noon(NEXT)),
    ]
    at.flags.append(flag_row(1, "one"))
    at.experiments += [experiment_row(1, "one"), experiment_row(2, "two", archived=True)]
    add_project(any_warehouse, vendor, at)
    load("posthog", "713")
    for _ in range(2):
        run_alone(tmp_path, posthog(**asked(vendor, at)))
    expect_the_rows_of_the_load(tmp_path, "posthog", TABLES)


def test_a_deleted_flag_vanishes_also_alone_and_events_stay(
    vendor: VendorServer, at: PosthogProject, tmp_path: Path
) -> None:
    at.events += [event_row("stays", "x", noon()), event_row("goes", "x", noon())]
    at.flags += [flag_row(1, "one"), flag_row(2, "two")]
    run_alone(tmp_path, posthog(**asked(vendor, at)))
    del at.events[1], at.flags[0]
    run_alone(tmp_path, posthog(**asked(vendor, at)))
    assert rows_alone(tmp_path, "posthog", "feature_flags", ["id"]) == [(2,)]
    assert len(rows_alone(tmp_path, "posthog", "events", ["uuid"])) == 2


def test_alone_days_are_read_up_to_some_minutes_before_now_and_later_ones_are_not_asked_for(
    vendor: VendorServer, at: PosthogProject, tmp_path: Path
) -> None:
    now = datetime(2026, 3, 3, 5, 2, tzinfo=UTC)  # two minutes into the second day in New York
    at.events += [
        event_row("settled", "x", now - timedelta(minutes=4)),
        event_row("fresh", "y", now),
    ]
    run_alone(tmp_path, posthog(**asked(vendor, at, now=now, days_at_once=1, read_older=False)))
    assert rows_alone(tmp_path, "posthog", "events", ["event"]) == [("x",)]
    assert len(vendor.asked("/query/")) == 2  # a count and a page of the first day
