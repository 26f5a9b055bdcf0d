"""What each store has to do: the same tests for memory, SQLite and Postgres."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec
import pytest

from signalroom_dagster.events.contracts import Contract
from signalroom_dagster.events.stores.jobs import letter
from signalroom_dagster.events.stores.sql import SqlStore
from signalroom_dagster.events.stores.sqlite import SqliteStore
from signalroom_dagster.events.stores.store import (
    JobKey,
    Kept,
    Outcome,
    RetentionError,
    Store,
    StoreError,
    TenantStats,
)
from signalroom_dagster_tests.events.conftest import emptied
from signalroom_dagster_tests.events.received import CONTRACT, NOW, TYPES, keys, received, whole

LATER = NOW + timedelta(hours=1)
OTHER = Contract("cti", frozenset({"audience"}), timedelta(minutes=30))

WITH_TABLES = pytest.mark.parametrize("store", ["sqlite", "postgres"], indirect=True)


def claimed(store: Store, limit: int = 100, **how: object) -> list[str]:
    """The ids of the jobs that a claim has settled, all of them done."""
    with store.claim(limit, **how) as batch:  # type: ignore[arg-type]
        batch.done([job.key for job in batch.jobs])
    return [job.job_id for job in batch.jobs if job.key in batch.settled]


def test_an_event_is_stored_once_within_a_batch_and_across_batches(store: Store) -> None:
    first = store.append([received("a"), received("b"), received("a")])
    again = store.append([received("b"), received("a", "audience")])
    assert first == [Outcome.STORED, Outcome.STORED, Outcome.DUPLICATE]
    assert again == [Outcome.DUPLICATE, Outcome.STORED]
    assert store.append([]) == []


def test_another_payload_for_a_stored_key_is_a_dead_letter_and_the_first_stands(
    store: Store,
) -> None:
    store.append(whole("a"))
    outcomes = store.append(
        [received("a", payload=b"other"), received("b", payload=b"1"), received("b", payload=b"2")]
    )
    assert outcomes == [Outcome.CONFLICT, Outcome.STORED, Outcome.CONFLICT]
    store.append([received("a", payload=b"other")])  # sent again: the same letter
    assert [(one.reason, one.job_id, one.body) for one in store.letters("713")] == [
        ("conflict", "a", b"other"),
        ("conflict", "b", b"2"),
    ]
    with store.claim(1) as batch:
        assert batch.jobs[0].payloads["attribution"] == b'{"score": 1}'


def test_a_job_is_ready_when_the_set_of_required_types_is_there_in_any_order(store: Store) -> None:
    events = whole("a", "b", "c")
    random.Random(7).shuffle(events)
    left = [event for event in events if (event.job_id, event.analysis_type) != ("b", "creative")]
    for start in range(0, len(left), 3):
        store.append([*left[start : start + 3], *left[:start]])
    with store.claim(10) as batch:
        found = {job.job_id: job for job in batch.jobs}
    assert set(found) == {"a", "c"}
    job = found["a"]
    assert (job.key, set(job.payloads), job.late, job.attempts) == (
        JobKey("713", "a"),
        set(TYPES),
        False,
        0,
    )
    assert (job.first_at, job.last_at, job.contract_version) == (NOW, NOW, CONTRACT.version)


def test_a_job_keeps_the_contract_of_its_first_event(store: Store) -> None:
    store.append([received("a")])
    smaller = Contract("713", frozenset({"attribution"}), timedelta(minutes=30))
    store.append([received("a", "audience", contract=smaller), received("new", contract=smaller)])
    assert claimed(store) == ["new"]
    store.append([received("a", "creative", contract=smaller)])
    assert claimed(store) == ["a"]


def test_gateways_that_store_the_same_events_at_once_store_each_once(store: Store) -> None:
    events = whole(*(f"job-{number}" for number in range(60)))

    def gateway(seed: int) -> int:
        mine, stored = random.Random(seed).sample(events, len(events)), 0
        for start in range(0, len(mine), 20):
            stored += store.append(mine[start : start + 20]).count(Outcome.STORED)
        return stored

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(gateway, range(4))) == len(events)
    assert sorted(claimed(store)) == sorted({event.job_id for event in events})
    assert store.letters() == []


def test_two_consumers_that_claim_at_once_get_each_job_once(store: Store) -> None:
    store.append(whole(*(f"job-{number}" for number in range(60))))

    def consumer(_: int) -> list[str]:
        found: list[str] = []
        while ids := claimed(store, 7):
            found += ids
        return found

    with ThreadPoolExecutor(2) as pool:
        found = [job for ids in pool.map(consumer, range(2)) for job in ids]
    assert len(found) == len(set(found))
    rest = claimed(store)  # what one held when the other looked
    assert sorted(found + rest) == sorted(f"job-{number}" for number in range(60))


def test_what_one_consumer_holds_no_other_gets(store: Store) -> None:
    store.append(whole(*"abcdefgh"))
    with ThreadPoolExecutor(1) as pool, store.claim(5) as batch:
        other = pool.submit(claimed, store, 5).result()
        batch.done([job.key for job in batch.jobs])
    mine = [job.job_id for job in batch.jobs if job.key in batch.settled]
    assert sorted([*mine, *other, *claimed(store)]) == list("abcdefgh")
    assert not isinstance(store, SqliteStore) or (mine, len(other)) == (
        [],
        5,
    )  # which is first to end has them


@WITH_TABLES
def test_while_one_analyses_events_are_stored(store: Store) -> None:
    store.append(whole("a"))
    with store.claim(1) as batch:
        assert store.append(whole("b")) == ["stored"] * 3
        batch.done([job.key for job in batch.jobs])
    assert claimed(store) == ["b"]


def test_a_job_that_was_asked_for_again_meanwhile_is_not_taken_for_done(store: Store) -> None:
    store.append(whole("a"))
    with store.claim(1) as batch:
        if isinstance(store, SqliteStore):
            assert (claimed(store), store.replay("713")) == (["a"], 1)
        batch.done(keys("a"))
        batch.keep([Kept("713", "a", b"{}")])
    assert len(store.unpublished(5)) == (0 if isinstance(store, SqliteStore) else 1)
    assert store.stats()["713"].ready == (1 if isinstance(store, SqliteStore) else 0)


def test_a_claim_of_one_tenant_takes_none_of_another(store: Store) -> None:
    store.append([*whole("a"), *whole("b", contract=OTHER)])
    assert claimed(store, tenant_id="cti") == ["b"]
    assert claimed(store, tenant_id="cti") == []
    assert claimed(store) == ["a"]


def test_a_claim_takes_the_oldest_and_is_undone_when_it_raises(store: Store) -> None:
    store.append([*whole("late", at=NOW), *whole("early", at=NOW - timedelta(seconds=5))])
    with pytest.raises(ZeroDivisionError), store.claim(1) as batch:
        batch.done(keys("early"))
        batch.keep([Kept("713", "early", b"{}")])
        raise ZeroDivisionError
    assert (store.unpublished(5), claimed(store, 1), claimed(store)) == ([], ["early"], ["late"])


def test_jobs_that_were_neither_done_nor_failed_stay_ready(store: Store) -> None:
    store.append(whole("a", "b"))
    with store.claim(5) as batch:
        batch.done(keys("b"))
    assert claimed(store) == ["a"]


def test_a_job_that_fails_rests_longer_each_time_and_is_a_dead_letter_after_five_attempts(
    store: Store,
) -> None:
    store.append(whole("bad", "good"))
    at, waits = NOW, []
    for _ in range(5):
        with store.claim(5, at) as batch:
            batch.failed(
                {job.key: "score is no number" for job in batch.jobs if job.job_id == "bad"}
            )
            batch.done([job.key for job in batch.jobs if job.job_id == "good"])
        rest = next((s for s in (1, 2, 4, 8) if claimed_count(store, at + timedelta(seconds=s))), 0)
        assert not rest or not claimed_count(store, at + timedelta(seconds=rest - 0.001))
        waits.append(rest)
        at += timedelta(seconds=rest)
    assert waits == [1, 2, 4, 8, 0]
    assert [(one.stage, one.job_id, one.reason) for one in store.letters()] == [
        ("analysis", "bad", "score is no number")
    ]
    assert (store.stats()["713"].failed, store.stats()["713"].done) == (1, 1)
    assert store.replay("713", dead_letters=True) == 1
    assert (store.letters(), claimed(store)) == ([], ["bad"])


def test_an_attempt_that_is_counted_before_it_is_made_stays_counted_when_nobody_ends_it(
    store: Store,
) -> None:
    store.append(whole("a"))
    for attempts in range(3):
        with pytest.raises(ZeroDivisionError), store.claim(1, counted=True) as batch:
            assert [job.attempts for job in batch.jobs] == [attempts]
            raise ZeroDivisionError
    with store.claim(1, counted=True) as batch:
        batch.failed({batch.jobs[0].key: "score is no number"})
    with store.claim(1, now=LATER) as batch:
        assert [job.attempts for job in batch.jobs] == [4]
        batch.failed({batch.jobs[0].key: "score is no number"})
    assert store.stats()["713"].failed == 1


@WITH_TABLES
def test_a_claim_holds_no_more_payloads_than_fit_into_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalroom_dagster.events.stores.claims.MOST_BYTES", 250)
    for number, name in enumerate("abc"):
        sent = whole(name, at=NOW + timedelta(seconds=number))
        store.append([msgspec.structs.replace(event, payload=b"x" * 40) for event in sent])
    store.append(
        [msgspec.structs.replace(event, payload=b"x" * 400) for event in whole("huge", at=LATER)]
    )
    assert [claimed(store, now=LATER) for _ in range(3)] == [["a", "b"], ["c"], ["huge"]]


def test_a_gateway_whose_clock_is_ahead_delays_no_job_on_postgres(events_url: str) -> None:
    store = emptied(events_url)
    store.append(whole("at once", at=NOW + timedelta(hours=1)))
    store.append([received("in parts", name, at=NOW + timedelta(hours=1)) for name in TYPES[:2]])
    store.append([received("in parts", TYPES[2], at=NOW + timedelta(hours=1))])
    assert sorted(claimed(store)) == ["at once", "in parts"]
    store.close()


def test_what_a_paused_consumer_holds_is_free_after_a_while_on_postgres(
    events_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalroom_dagster.events.stores.postgres.IDLE_SECONDS", 0.2)
    store = emptied(events_url)
    store.append(whole("a"))
    with pytest.raises(StoreError), store.claim(1) as paused:
        taken: list[str] = []
        while not taken:
            taken = claimed(store)
        paused.done(keys("a"))
    assert (taken, store.stats()["713"].done) == (["a"], 1)
    store.close()


def claimed_count(store: Store, at: object) -> int:
    with store.claim(5, at) as batch:  # type: ignore[arg-type]
        return len(batch.jobs)


def test_an_open_job_expires_at_its_deadline_and_says_what_it_misses(store: Store) -> None:
    store.append(
        [
            received("a"),
            received("a", "creative"),
            *whole("b"),
            received("c", "audience", contract=OTHER),
        ]
    )
    assert store.expire(NOW + timedelta(minutes=29)) == []
    (found,) = store.expire(LATER)
    assert (found.job_id, found.missing, found.deadline_at) == (
        "a",
        ("audience",),
        NOW + CONTRACT.deadline,
    )
    assert store.expire(LATER) == []
    assert (store.incomplete(), store.incomplete("713"), store.incomplete("cti")) == (
        [found],
        [found],
        [],
    )


def test_a_late_event_completes_an_expired_job_which_says_that_it_is_late(store: Store) -> None:
    store.append([received("a"), received("b")])
    store.expire(LATER)
    assert store.append([received("a", "audience", at=LATER), received("b", at=LATER)]) == [
        "late",
        "duplicate",
    ]
    assert (claimed(store, now=LATER), len(store.incomplete())) == ([], 2)
    store.append([received("a", "creative", at=LATER)])
    with store.claim(5, LATER) as batch:
        assert [(job.job_id, job.late, set(job.payloads)) for job in batch.jobs] == [
            ("a", True, set(TYPES))
        ]


def test_an_event_after_the_deadline_is_late_also_before_anybody_looked_for_expired_jobs(
    store: Store,
) -> None:
    store.append([received("a"), received("a", "audience")])
    assert store.append([received("a", "creative", at=LATER)]) == [Outcome.LATE]


def test_a_duplicate_of_a_pruned_job_stays_a_duplicate_and_starts_nothing(store: Store) -> None:
    store.append([*whole("done"), received("expired")])
    claimed(store)
    store.expire(LATER)
    assert store.prune(NOW + timedelta(hours=23)) == 0
    assert store.prune(NOW + timedelta(hours=24)) == 2
    late = [
        received("done"),
        received("done", payload=b"other"),
        received("expired"),
        received("expired", "audience"),
    ]
    assert store.append(late) == ["duplicate", "duplicate", "duplicate", "too_late"]
    assert [one.reason for one in store.letters()] == ["too_late"]
    assert (claimed(store, now=LATER), store.stats()["713"].done) == ([], 1)


def test_rows_of_jobs_go_at_last_but_never_those_that_wait(store: Store) -> None:
    store.append([*whole("done", "ready"), received("open")])
    claimed(store, 1)
    store.bury([letter("ingest", "poison", b"x", NOW, tenant_id="713")])
    for days in (1, 8, 15):
        store.prune(NOW + timedelta(days=days))
    found = store.stats()["713"]
    assert found == TenantStats(open=1, ready=1, lag_seconds=found.lag_seconds)


@WITH_TABLES
def test_pruning_goes_in_steps_so_that_nothing_waits_for_long(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalroom_dagster.events.stores.retention.AT_ONCE", 2)
    monkeypatch.setattr("signalroom_dagster.events.stores.retention.STEPS", 2)
    jobs = [f"j{number}" for number in range(5)]
    store.append(whole(*jobs))
    with store.claim(9) as batch:
        batch.keep([Kept(*key, b"{}") for key in keys(*jobs)])
        batch.done(keys(*jobs))
    store.published(store.unpublished(9))
    store.bury([letter("ingest", "poison", name.encode(), NOW) for name in jobs])
    after = NOW + timedelta(days=15)
    assert [store.prune(after) for _ in range(3)] == [4, 1, 0]
    assert (store.stats(), count(store, "result")) == ({}, 0)


def count(store: Store, table: str) -> int:
    assert isinstance(store, SqlStore)
    with store.transaction(reads_only=True) as session:
        return session.rows(f"SELECT count(*) FROM events.{table}")[0][0]


def test_a_replay_makes_finished_jobs_ready_again(store: Store) -> None:
    store.append([*whole("a", "b"), *whole("c", at=NOW - timedelta(hours=2)), received("open")])
    store.append([received("x", "audience", contract=OTHER)])
    claimed(store)
    assert store.replay("713", ["a"]) == 1
    assert claimed(store) == ["a"]
    assert store.replay("713", since=NOW - timedelta(hours=3), until=NOW) == 1
    assert claimed(store) == ["c"]
    assert store.replay("713") == 3
    assert sorted(claimed(store)) == ["a", "b", "c"]
    assert store.replay("713", dead_letters=True) == 0


def test_a_replay_beyond_what_is_kept_is_refused_and_changes_nothing(store: Store) -> None:
    store.append(whole("a", "b"))
    claimed(store)
    with pytest.raises(RetentionError, match="24 hours, EVENTS__RETENTION_HOURS"):
        store.replay("713", since=NOW - timedelta(hours=25))
    with pytest.raises(RetentionError, match="1 of the jobs to replay are not known: missing"):
        store.replay("713", ["a", "missing"])
    store.prune(NOW + timedelta(hours=25))
    with pytest.raises(RetentionError, match="2 of the jobs to replay have no inputs any more"):
        store.replay("713", ["a", "b"])
    assert (store.replay("713"), claimed(store)) == (0, [])


def test_a_kept_result_waits_until_its_own_version_is_published(store: Store) -> None:
    store.append(whole("a"))
    with store.claim(1) as batch:
        batch.keep([Kept("713", "a", b"1")])
        batch.done(keys("a"))
    (first,) = store.unpublished(5)
    assert (first.body, store.stats()["713"].unpublished) == (b"1", 1)
    store.replay("713")
    with store.claim(1) as batch:
        batch.keep([Kept("713", "a", b"2")])
        batch.done(keys("a"))
    store.published([first])
    (second,) = store.unpublished(5)
    assert second.body == b"2"
    store.published([second])
    assert store.unpublished(5) == []


def test_the_figures_of_each_tenant(store: Store) -> None:
    store.append(whole("old", at=NOW - timedelta(hours=2)))
    claimed(store)  # done, but not of the last hour
    store.append(
        [
            *whole("a", "b", at=NOW - timedelta(seconds=90)),
            received("c"),
            received("d", contract=OTHER),
        ]
    )
    store.expire(LATER)
    store.bury([letter("ingest", "poison", b"{", NOW, tenant_id="cti")])
    claimed(store, 1)
    found = store.stats()
    assert found["713"].lag_seconds >= 90
    assert (found["713"].ready, found["713"].done, found["713"].expired) == (1, 1, 1)
    assert found["cti"] == TenantStats(expired=1, dead_letters=1)
    claimed(store)
    store.replay("713")
    assert (store.stats()["713"].ready, store.stats()["713"].lag_seconds < 60) == (
        3,
        True,
    )  # due since the replay


def test_a_dead_letter_is_kept_once_and_opens_again_when_it_comes_back(store: Store) -> None:
    poison = letter("ingest", "poison", b"\x00\xff" + b"x" * 100_000, NOW, tenant_id="713")
    store.bury([poison, poison])
    assert [len(one.body) for one in store.letters()] == [64 * 1024]
    store.replayed([poison.id])
    assert store.letters() == []
    store.bury([poison])
    assert store.letters() == [poison]


def test_a_lease_is_held_by_one_until_it_runs_out_or_is_given_back(store: Store) -> None:
    assert store.leased("consumer") is None
    assert store.lease("consumer", "one", 60)
    assert not store.lease("consumer", "two", 60)
    assert not store.renew("consumer", "two", 60)
    assert store.lease("consumer", "one", 60) and store.renew("consumer", "one", 0)
    held = store.leased("consumer")
    assert held and (held.holder, held.expired) == ("one", True)
    assert store.lease("consumer", "two", 60)
    assert not store.renew("consumer", "one", 60)
    store.release("consumer", "one")
    assert not store.lease("consumer", "one", 60)
    store.release("consumer", "two")
    assert store.lease("consumer", "one", 60)


def test_only_one_of_many_gets_a_lease(store: Store) -> None:
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda number: store.lease("consumer", str(number), 60), range(6)))
    assert got.count(True) == 1


def test_creating_twice_changes_nothing_and_the_store_answers(store: Store) -> None:
    store.append(whole("a"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: store.create(), range(4)))
    store.ping()
    assert claimed(store) == ["a"]
