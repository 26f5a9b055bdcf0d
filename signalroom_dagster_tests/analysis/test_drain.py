"""Draining: what it takes from the store, what it gives, and what it does with jobs that cannot be
analysed.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalroom_dagster.analysis import drain
from signalroom_dagster.analysis.drain import drain_once
from signalroom_dagster.analysis.health import examine
from signalroom_dagster.analysis.results import Result, from_kept
from signalroom_dagster.events.stores.sqlite import SqliteStore
from signalroom_dagster.events.stores.store import Ready, Received, RetentionError, Store
from signalroom_dagster_tests.analysis.events import event, whole
from signalroom_dagster_tests.events.memory import MemoryStore


def results(store: Store) -> dict[str, Any]:
    return {kept.job_id: from_kept(kept) for kept in store.unpublished(10_000)}


EVENTS = [
    *whole(f"j{number}" for number in range(6)),
    event("j7", "audience"),
    event("j7", "creative"),
]
STRAIGHT = MemoryStore()
STRAIGHT.append(EVENTS)
drain_once(STRAIGHT)
HASHES = {job: result.summary.hash for job, result in results(STRAIGHT).items()}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(
    order=st.permutations(EVENTS),
    again=st.lists(st.sampled_from(EVENTS), max_size=20),
    batches=st.lists(
        st.tuples(st.integers(1, 8), st.booleans(), st.integers(1, 4)), min_size=4, max_size=12
    ),
)
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)  # of a busy machine
def test_any_order_any_duplication_and_any_split_into_batches_give_the_same_rows(
    kind: str, order: list[Received], again: list[Received], batches: list[tuple[int, bool, int]]
) -> None:
    with TemporaryDirectory() as folder:
        store: Store = (
            MemoryStore() if kind == "memory" else SqliteStore(Path(folder) / "events.db")
        )
        store.create()
        play(store, [*order, *again], batches)
        assert {job: result.summary.hash for job, result in results(store).items()} == HASHES
        store.close()


def play(store: Store, waiting: list[Received], batches: list[tuple[int, bool, int]]) -> None:
    """Send events in batches of these sizes, with or without a drain of so many jobs after each,
    then the rest.
    """
    for size, drains, limit in batches:
        store.append(waiting[:size])
        del waiting[:size]
        if drains:
            drain_once(store, limit)
    store.append(waiting)
    while drain_once(store):
        pass


def test_a_replay_gives_the_same_results_and_is_refused_outside_retention() -> None:
    store = MemoryStore()
    store.append(whole(["j1", "j2"]))
    drain_once(store)
    before = results(store)
    assert store.replay("713") == 2
    drain_once(store)
    assert results(store) == before
    store.append(whole(["j3"], at=datetime.now(UTC) - timedelta(days=2)))
    drain_once(store)
    store.prune(datetime.now(UTC))
    with pytest.raises(RetentionError, match="1 of the jobs to replay have no inputs any more"):
        store.replay("713", ["j3"])


def test_a_job_that_is_completed_after_its_deadline_is_analysed_and_marked_late() -> None:
    store = MemoryStore()
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    events = whole(["j1"], at=long_ago)
    store.append(events[:2])
    assert [job.missing for job in store.expire(datetime.now(UTC))] == [("creative",)]
    found = examine(store, ["713"])["713"]["incomplete_jobs"]
    assert (found.passed, found.said) == (
        False,
        "1 jobs expired incomplete, such as j1 (without creative)",
    )
    store.append([event("j1", "creative")])
    assert drain_once(store)["713"].late == 1
    assert results(store)["j1"].late
    assert examine(store, ["713"])["713"]["incomplete_jobs"].passed


def test_a_replay_of_old_jobs_is_no_lag() -> None:
    store = MemoryStore()
    store.append(whole(["j1"], at=datetime.now(UTC) - timedelta(hours=3)))
    assert not examine(store, ["713"])["713"]["lag"].passed
    assert drain_once(store)["713"].lag_seconds > 10_000
    store.replay("713")
    assert examine(store, ["713"])["713"]["lag"].passed
    assert drain_once(store)["713"].lag_seconds < 60


def test_a_fault_of_the_analysis_fails_its_job_alone_and_logs_nothing_that_was_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    store.append(whole(["good", "odd"]))
    sent = "cannot read ann@example.com"

    def result_of(job: Ready) -> Result:
        if job.key[1] == "odd":
            raise ValueError(sent)
        return analysed(job)

    analysed = drain.result_of
    monkeypatch.setattr(drain, "result_of", result_of)
    with store.claim(9) as batch:
        found, reasons = drain.analyse_jobs(batch.jobs)
    assert [result.job_id for result in found] == ["good"] and list(reasons.values()) == [
        "ValueError"
    ]
    assert "in result_of" in caplog.text and "ann@example.com" not in caplog.text
