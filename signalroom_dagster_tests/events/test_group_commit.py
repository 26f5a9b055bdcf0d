"""Requests are committed together, and each is answered for its own part of the batch, after the
commit.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from signalroom_dagster.events.group_commit import GroupCommit, QueueFullError
from signalroom_dagster.events.intake import Intake
from signalroom_dagster.events.metrics import Metrics
from signalroom_dagster.events.stores.jobs import letter
from signalroom_dagster.events.stores.store import Outcome, StoreError
from signalroom_dagster_tests.events.gated import GatedStore
from signalroom_dagster_tests.events.received import NOW, received

Scenario = Callable[[GroupCommit, GatedStore], Coroutine[Any, Any, None]]


def run(scenario: Scenario, **limits: int) -> None:
    async def main() -> None:
        store = GatedStore()
        commits = GroupCommit(
            store, Metrics(store), **{"max_batch": 100, "max_queue": 100, **limits}
        )
        try:
            await asyncio.wait_for(scenario(commits, store), 20)
        finally:
            store.gate.set()
            await commits.close()

    asyncio.run(main())


def submitted(commits: GroupCommit, *jobs: str) -> "asyncio.Task[Any]":
    return asyncio.create_task(commits.submit(Intake([received(job) for job in jobs], [])))


async def at_the_gate(store: GatedStore) -> None:
    await asyncio.to_thread(store.entered.acquire)


def test_a_request_is_answered_after_the_commit_of_its_batch_and_waiting_ones_share_one() -> None:
    async def scenario(commits: GroupCommit, store: GatedStore) -> None:
        first = submitted(commits, "a")
        await at_the_gate(store)
        rest = [submitted(commits, name) for name in ("b", "c", "a")]
        await asyncio.sleep(0)
        assert not first.done()
        store.gate.set()
        assert await first == [Outcome.STORED]
        assert await asyncio.gather(*rest) == [
            [Outcome.STORED],
            [Outcome.STORED],
            [Outcome.DUPLICATE],
        ]
        assert store.batches == [["a"], ["b", "c", "a"]]

    run(scenario)


def test_a_failed_commit_is_told_to_its_own_batch_only_and_the_next_one_goes_on() -> None:
    async def scenario(commits: GroupCommit, store: GatedStore) -> None:
        store.refused = {"b"}
        first = submitted(commits, "a")
        await at_the_gate(store)
        second = [submitted(commits, "b"), submitted(commits, "c")]
        await asyncio.sleep(0)
        store.gate.set()
        assert await first == [Outcome.STORED]
        for task in second:
            with pytest.raises(StoreError):
                await task
        assert await submitted(commits, "c") == [Outcome.STORED]

    run(scenario)


def test_a_full_queue_refuses_at_once_and_takes_again_when_it_is_empty() -> None:
    async def scenario(commits: GroupCommit, store: GatedStore) -> None:
        first = submitted(commits, "a")
        await at_the_gate(store)
        second = submitted(commits, "b", "c")
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await submitted(commits, "d")
        store.gate.set()
        await asyncio.gather(first, second)
        assert await submitted(commits, "d") == [Outcome.STORED]

    run(scenario, max_queue=2)


def test_what_waits_is_bounded_in_bytes_too_but_a_single_request_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signalroom_dagster.events.group_commit.QUEUE_BYTES", 5)

    async def scenario(commits: GroupCommit, store: GatedStore) -> None:
        first = submitted(commits, "a")
        await at_the_gate(store)
        second = submitted(commits, "b")
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await submitted(commits, "c")
        store.gate.set()
        await asyncio.gather(first, second)
        assert await submitted(commits, "c") == [Outcome.STORED]

    run(scenario)


def test_a_client_that_leaves_loses_nothing_and_keeps_nobody_waiting() -> None:
    async def scenario(commits: GroupCommit, store: GatedStore) -> None:
        leaving = submitted(commits, "a")
        await at_the_gate(store)
        staying = [submitted(commits, "b"), submitted(commits, "c")]
        await asyncio.sleep(0)
        leaving.cancel()
        staying[0].cancel()
        store.gate.set()
        assert await staying[1] == [Outcome.STORED]
        assert await submitted(commits, "a", "b") == [Outcome.DUPLICATE] * 2

    run(scenario)


def test_a_batch_is_no_larger_than_it_may_be_and_two_writers_commit_at_once() -> None:
    async def scenario(commits: GroupCommit, store: GatedStore) -> None:
        tasks = [submitted(commits, str(number)) for number in range(7)]
        await at_the_gate(store)
        await at_the_gate(store)
        store.gate.set()
        await asyncio.gather(*tasks)
        assert max(map(len, store.batches)) == 3

    run(scenario, max_batch=3, writers=2)


def test_dead_letters_are_stored_before_they_are_answered_and_closing_commits_what_waits() -> None:
    async def main() -> None:
        store = GatedStore()
        commits = GroupCommit(store, Metrics(store), max_batch=10, max_queue=10)
        first = submitted(commits, "a")
        await at_the_gate(store)
        last = asyncio.create_task(
            commits.submit(Intake([], [letter("ingest", "poison", b"{", NOW)]))
        )
        await asyncio.sleep(0)
        closing = asyncio.create_task(commits.close())
        await asyncio.sleep(0)
        assert store.letters() == []
        store.gate.set()
        await asyncio.gather(closing, first, last)
        assert [one.reason for one in store.letters()] == ["poison"]

    asyncio.run(main())
