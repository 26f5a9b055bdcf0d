"""Clocks that are wrong: the warehouse's is the one that counts, and what was read in the future
was not read.
"""

import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.freshness.ages import oldest_age
from signalroom_dagster.freshness.coverage import coverage
from signalroom_dagster.freshness.reach import reach
from signalroom_dagster.loading import context as contexts
from signalroom_dagster.loading.pipelines import complete_own_tables
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.windows import read_windows
from signalroom_dagster_tests.loading.slices import LISTS, SPEND, put, row
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project, orders, write_export
from signalroom_dagster_tests.sources.contexts import context, march

MON, TUE = march([2, 3])
AHEAD = timedelta(days=3)


def read_ahead(**moved: timedelta) -> None:
    """As if the days had been read by a machine whose clock was ahead."""
    for column, by in moved.items():
        with access.exclusive(), access.connected() as query:
            query(f"UPDATE shop.windows SET {column} = %s", access.now(query) + by)


@pytest.mark.usefixtures("any_warehouse")
def test_days_that_were_read_in_the_future_are_read_again_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, SPEND, [MON, TUE], [row(MON, "a", 1), row(TUE, "a", 1)])
    read_ahead(loaded_at=AHEAD)
    with access.exclusive(), access.connected() as query, caplog.at_level(logging.WARNING):
        assert read_windows(query, "shop", "713") == {}
    assert (
        "client 713, shop: 2 days were read by a machine whose clock was ahead (spend of 2026-03-0"
        in caplog.text
    )
    put(tmp_path, SPEND, [MON, TUE], [row(MON, "a", 2), row(TUE, "a", 2)])
    assert ask("SELECT DISTINCT cost FROM shop.spend") == [(2,)]
    assert ask("SELECT max(loaded_at) FROM shop.windows")[0][0] <= datetime.now(UTC) + timedelta(
        seconds=1
    )


@pytest.mark.usefixtures("any_warehouse")
def test_a_list_that_was_swept_in_the_future_is_merged_into_and_replaced_all_the_same(
    tmp_path: Path,
) -> None:
    put(tmp_path, LISTS, [MON], [row(MON, "a")], replaces="client")
    read_ahead(loaded_at=AHEAD, swept_at=AHEAD)
    put(tmp_path, LISTS, [MON], [row(MON, "b")], replaces="keys")
    assert ask("SELECT id FROM shop.lists ORDER BY 1") == [("a",), ("b",)]
    with access.exclusive(), access.connected() as query:
        assert read_windows(query, "shop", "713")["lists"][MON].swept_at is None
    put(tmp_path, LISTS, [MON], [row(MON, "c")], replaces="client")
    assert ask("SELECT id FROM shop.lists") == [("c",)]


def test_a_day_that_was_read_in_the_future_is_neither_whole_nor_fresh(
    any_warehouse: Project,
) -> None:
    any_warehouse.add_api_client("713", "everflow", api_key="x")
    client, today = get_client("713"), datetime.now(UTC).date()
    window = (
        "INSERT INTO everflow.windows (_client_id, resource, day, rows, loaded_at, run_id) "
        "VALUES ('713', 'daily_stats', %s, 1, %s, 'run')"
    )
    with access.exclusive(), access.connected() as query:
        complete_own_tables("everflow")
        query(window, MON, datetime(2026, 3, 5, tzinfo=UTC))
        query(window, today, access.now(query) + AHEAD)
        (everflow,) = coverage(query, client, [("everflow", "daily_stats")], today)
        assert (everflow.whole, everflow.begun) == ({MON}, frozenset[date]())
        age = oldest_age("everflow", client, reach(query, "everflow", client.id))
    assert age and age.covered.date() == TUE


def test_the_time_of_reading_is_postgress_and_not_this_machines(
    project: Project, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = datetime

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return real.now(tz) + AHEAD

    for module in (
        "loading.pipelines",
        "warehouse.access",
        "loading.slice_read",
        "loading.context",
    ):
        monkeypatch.setattr(f"signalroom_dagster.{module}.datetime", Ahead, raising=False)
    project.use_postgres(postgres_url)
    write_export(project.add_client("713") / "orders-create/one.csv", orders([1]))
    load("s3_exports")
    (loaded_at,) = ask("SELECT max(_loaded_at) FROM s3_exports.files")[0]
    assert abs(loaded_at - real.now(UTC)) < timedelta(minutes=5)


def test_a_runs_clock_goes_on_from_the_warehouses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts.time, "monotonic", lambda: 50.0)
    run = context(tmp_path, opened=20.0)
    assert run.now() == run.started_at + timedelta(seconds=30)
