"""From the store's outbox to the warehouse and to files: once, whatever is killed when, and never
in anybody's way.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from signalroom_dagster.analysis.drain import drain_once
from signalroom_dagster.analysis.publishing import (
    create_table_of_results,
    publish_all,
    publish_once,
)
from signalroom_dagster.analysis.results import as_kept, from_kept
from signalroom_dagster.events.stores.store import Kept
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.errors import LoadError, WarehouseBusyError
from signalroom_dagster_tests.analysis.events import event, whole
from signalroom_dagster_tests.events.memory import MemoryStore
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project

ROWS = "SELECT job_id, hash FROM analysis.results WHERE _client_id = '713' ORDER BY job_id"


@pytest.fixture
def store() -> MemoryStore:
    """Three jobs that are analysed and not published."""
    made = MemoryStore()
    made.append(whole(["j1", "j2", "j3"]))
    drain_once(made)
    return made


def test_a_result_is_a_typed_row_on_both_engines(
    any_warehouse: Project, store: MemoryStore
) -> None:
    create_table_of_results()
    assert publish_once(store) == 3
    assert publish_once(store) == 0
    columns = (
        "conversions, revenue, cost, cpa, roas, people, click_rate, late, campaigns, _client_id"
    )
    (row,) = ask(f"SELECT {columns} FROM analysis.results WHERE job_id = 'j2'")
    *figures, campaigns, client = row
    assert figures == [
        Decimal("2.0000"),
        Decimal("2.5000"),
        Decimal("2.0000"),
        Decimal("1.0000"),
        Decimal("1.2500"),
        102,
        Decimal("0.0020"),
        False,
    ]
    found = json.loads(campaigns) if isinstance(campaigns, str) else campaigns
    assert (found[0]["campaign"], found[0]["people"], client) == ("spring", 102, "713")


def test_a_kill_between_the_warehouse_and_the_mark_publishes_the_same_rows_once(
    any_warehouse: Project, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_table_of_results()
    with monkeypatch.context() as patch:
        patch.setattr(store, "published", killed)
        with pytest.raises(KeyboardInterrupt):
            publish_once(store)
    before = ask(ROWS)
    assert len(before) == 3
    assert store.stats()["713"].unpublished == 3
    assert publish_all(store) == 3
    assert ask(ROWS) == before
    assert store.stats()["713"].unpublished == 0


def killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_result_that_is_made_anew_replaces_its_row(
    any_warehouse: Project, store: MemoryStore
) -> None:
    create_table_of_results()
    publish_all(store)
    before = ask(ROWS)
    store.replay("713", ["j1"])
    drain_once(store)
    assert publish_all(store) == 1
    assert ask(ROWS) == before


def test_whatever_is_valid_fits_both_engines(any_warehouse: Project) -> None:
    most = {"campaign": "Frühling 🌱 \x7f", "conversions": 10**9, "revenue": 10**9, "cost": 10**9}
    least = {
        "campaign": "o'Neill \\ %s ?",
        "conversions": "0.00004",
        "revenue": "1e-30",
        "cost": 10**9,
    }
    many = {"campaign": "x" * 200, "people": 10**12, "reached": 10**12}
    store = MemoryStore()
    for job, money in {"j1": [most] * 1_000, "j2": [least]}.items():
        store.append(
            [
                event(job, "attribution", json.dumps({"campaigns": money}).encode()),
                event(job, "audience", json.dumps({"campaigns": [many] * 1_000}).encode()),
                event(job, "creative"),
            ]
        )
    create_table_of_results()
    assert drain_once(store)["713"].jobs == 2
    assert publish_all(store) == 2
    assert ask("SELECT job_id, cost, people, cpa FROM analysis.results ORDER BY job_id") == [
        ("j1", Decimal("1000000000000.0000"), 10**15, Decimal("1.0000")),
        ("j2", Decimal("1000000000.0000"), 10**15, None),
    ]


def test_a_row_that_the_warehouse_refuses_keeps_no_other_from_it(
    project: Project, postgres_url: str, store: MemoryStore
) -> None:
    project.use_postgres(postgres_url)
    create_table_of_results()
    good = from_kept(store.unpublished(1)[0])
    summary = msgspec.structs.replace(good.summary, score=Decimal("1e15"))
    bad = as_kept(msgspec.structs.replace(good, job_id="j0", summary=summary))
    store._kept[("713", "j0")] = Kept("713", "j0", bad.body, 1)  # pyright: ignore[reportArgumentType, reportPrivateUsage]
    with pytest.raises(LoadError, match="refuses 1 results, which stay in the store: 713/j0"):
        publish_once(store)
    assert [job for job, _ in ask(ROWS)] == ["j1", "j2", "j3"]
    assert [kept.job_id for kept in store.unpublished(9)] == ["j0"]


def test_a_warehouse_in_use_is_not_waited_for_and_nothing_is_lost(
    project: Project, store: MemoryStore
) -> None:
    create_table_of_results()
    with somebody_writing():
        with pytest.raises(WarehouseBusyError):
            publish_once(store, wait_seconds=0.05)
        store.append(whole(["j4"]))
        assert drain_once(store)["713"].jobs == 1
    assert publish_all(store) == 4


@contextmanager
def somebody_writing() -> Iterator[None]:
    """Another thread that holds DuckDB's lock for the length of the block."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with access.exclusive():
            held.set()
            over.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_results_are_also_files_where_a_folder_is_configured(
    kind: str, project: Project, store: MemoryStore
) -> None:
    project.set(EVENTS__EXPORT__FOLDER="exported", EVENTS__EXPORT__FORMAT=kind)
    create_table_of_results()
    publish_all(store)
    files = sorted((project.root / "exported" / "713").iterdir())
    assert [file.name for file in files] == [f"j1.{kind}", f"j2.{kind}", f"j3.{kind}"]
    before = [file.read_bytes() for file in files]
    found = fields(files[1], kind)
    assert (found["job_id"], found["people"], Decimal(found["roas"])) == (
        "j2",
        102,
        Decimal("1.25"),
    )
    assert found["campaigns"][0]["campaign"] == "spring"
    assert datetime.fromisoformat(str(found["last_event_at"])) <= datetime.now(UTC)
    store.replay("713")
    drain_once(store)
    publish_all(store)
    assert [file.read_bytes() for file in files] == before


def test_a_folder_that_cannot_be_written_is_named_and_results_stay_in_the_store(
    project: Project, store: MemoryStore
) -> None:
    project.set(EVENTS__EXPORT__FOLDER="exported")
    create_table_of_results()
    (project.root / "exported").write_text("in the way")
    with pytest.raises(LoadError, match="exported to exported .*EVENTS__EXPORT__FOLDER"):
        publish_all(store)
    (project.root / "exported").unlink()
    assert publish_all(store) == 3


def fields(path: Any, kind: str) -> dict[str, Any]:
    if kind == "json":
        return json.loads(path.read_bytes())
    import duckdb

    found = duckdb.sql(f"SELECT * REPLACE (last_event_at::varchar AS last_event_at) FROM '{path}'")
    values = dict(zip(found.columns, found.fetchall()[0], strict=True))
    return {**values, "campaigns": json.loads(values["campaigns"])}
