"""Consumers in processes of their own, on real databases: killed at any point, two at once, and
each job once.
"""

import functools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest

from signalroom_dagster.analysis import drain, publishing
from signalroom_dagster.analysis.consumer import LEASE, Consumer, drain_all, ready_store
from signalroom_dagster.analysis.publishing import create_table_of_results, is_direct
from signalroom_dagster.analysis.results import Result, result_of
from signalroom_dagster.analysis.store import opened_store
from signalroom_dagster.events.stores.store import Ready, Received, Store, StoreError
from signalroom_dagster_tests.analysis.events import BAD, event, whole
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.postgres import PASSWORD, PostgresServer
from signalroom_dagster_tests.projects import Project

COUNT = "SELECT count(*), count(DISTINCT job_id) FROM analysis.results"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def in_postgres(project: Project, postgres_url: str) -> Store:
    """Store and warehouse in one database."""
    project.use_postgres(postgres_url)
    project.set(EVENTS__STORE=postgres_url)
    create_table_of_results()
    store = opened_store()
    assert is_direct(store)
    return store


@pytest.fixture
def beside_duckdb(project: Project) -> Store:
    """A store in a file beside a warehouse in DuckDB."""
    project.set(EVENTS__STORE=f"sqlite:///{project.root / 'events.db'}")
    create_table_of_results()
    store = opened_store()
    assert not is_direct(store)
    return store


@pytest.fixture(params=["in_postgres", "beside_duckdb"])
def store(request: pytest.FixtureRequest) -> Store:
    """Both kinds of neighbourhood."""
    return request.getfixturevalue(request.param)


def run(code: str, project: Project, **options: Any) -> subprocess.Popen[str]:
    """Python in a process of its own, in the project."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.Popen(command, env=project.process_environment(), text=True, **options)


def consumer(project: Project, *options: str) -> subprocess.Popen[str]:
    """`signalroom events consume`."""
    arguments = ["signalroom", "events", "consume", *options]
    code = f"from signalroom_dagster.cli import main; import sys; sys.argv = {arguments!r}; main()"
    return run(code, project, stdout=subprocess.PIPE)


def consuming(project: Project) -> subprocess.Popen[str]:
    """One that has begun."""
    process = consumer(project)
    assert process.stdout and process.stdout.readline().startswith("consuming")
    return process


DIE = "import os, signal; die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
DRAIN = """
from signalroom_dagster.analysis import drain, publishing
from signalroom_dagster.analysis.store import opened_store
store = opened_store()
{die}
drain.drain_once(store)
publishing.publish_all(store)
"""
WRITTEN = (
    "from signalroom_dagster.events.stores import claims; claims.job_letter = claims.bury = die"
)


@pytest.mark.parametrize(
    ("host", "death", "rows"),
    [
        ("in_postgres", WRITTEN, 0),
        pytest.param("beside_duckdb", WRITTEN, 0, marks=pytest.mark.slow),
        pytest.param("beside_duckdb", "publishing.publish_all = die", 0, marks=pytest.mark.slow),
        ("beside_duckdb", "type(store).published = die", 20),
    ],
    ids=[
        "written, not committed",
        "kept, not committed",
        "committed, not published",
        "published, not marked",
    ],
)
def test_a_kill_at_any_point_loses_nothing_and_writes_nothing_twice(
    host: str, death: str, rows: int, project: Project, request: pytest.FixtureRequest
) -> None:
    store: Store = request.getfixturevalue(host)
    store.append(whole([f"j{number}" for number in range(20)]))
    assert run(DIE + DRAIN.format(die=death), project).wait(60) == -signal.SIGKILL
    assert ask(COUNT) == [(rows, rows)]
    drain.drain_once(store)
    publishing.publish_all(store)
    assert ask(COUNT) == [(20, 20)]
    assert (store.stats()["713"].done, store.stats()["713"].unpublished) == (20, 0)


def test_one_bad_job_stops_no_other_and_is_a_dead_letter_after_five_attempts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [f"j{number}" for number in range(499)]
    store.append(
        [
            *whole(jobs),
            event("bad", "attribution"),
            event("bad", "audience", BAD),
            event("bad", "creative"),
        ]
    )
    counts = drain.drain_once(store)["713"]
    assert (counts.jobs, counts.events, counts.failed) == (499, 1_497, 1)
    publishing.publish_all(store)
    assert ask(COUNT) == [(499, 499)]
    assert drain.drain_once(store) == {}  # it rests before it is tried again
    now = datetime.now(UTC)
    for wait in (1, 2, 4, 8):
        assert store.stats()["713"].dead_letters == 0
        now += timedelta(seconds=wait + 1)
        with monkeypatch.context() as patch:
            patch.setattr(store, "claim", functools.partial(store.claim, now=now))
            drain.drain_once(store)
    assert (store.stats()["713"].failed, store.stats()["713"].dead_letters) == (1, 1)
    (letter,) = store.letters("713")
    assert (letter.stage, letter.job_id) == ("analysis", "bad")
    assert letter.reason == "audience: entry 0: reached is more than people"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Analysis takes 20 ms a job, and a claim may take 0.1 s."""

    def result_slowly(job: Ready) -> Result:
        time.sleep(0.02)
        return result_of(job)

    monkeypatch.setattr(drain, "result_of", result_slowly)
    monkeypatch.setattr(drain, "CLAIM_SECONDS", 0.1)


def test_a_claim_ends_when_its_time_is_over_and_the_rest_stays_ready(
    slow: None, store: Store
) -> None:
    store.append(whole([f"j{number}" for number in range(20)]))
    first = drain.drain_once(store)["713"].jobs
    assert 1 <= first <= 8
    assert (store.stats()["713"].ready, store.stats()["713"].done) == (20 - first, first)
    assert drain_all(store)["713"].jobs == 20 - first
    assert ask(COUNT) == [(20, 20)]


def test_the_batch_is_halved_after_an_interrupted_claim_and_grows_again(
    in_postgres: Store, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at a few percent of a core: Postgres gives up a transaction that says nothing for long."""
    monkeypatch.setattr(drain, "CLAIM_SECONDS", 60)
    monkeypatch.setattr("signalroom_dagster.events.stores.postgres.IDLE_SECONDS", 0.2)
    monkeypatch.setattr("signalroom_dagster.analysis.consumer.Outage.pause", lambda *_: 0.05)
    in_postgres.append(whole([f"j{number}" for number in range(25)]))
    with pytest.raises(StoreError):
        drain.drain_once(in_postgres)
    made = Consumer(in_postgres, "one", lambda counts: None)
    stop_when_done(made, in_postgres, 25)
    made.run(30, resident=False)
    assert ask(COUNT) == [(25, 25)]


def stop_when_done(consumer: Consumer, store: Store, jobs: int) -> None:
    """Tell a consumer to stop as soon as so many jobs are done."""

    def look() -> None:
        wait_for(store, jobs, 30)
        consumer.stop.set()

    threading.Thread(target=look, daemon=True).start()


def test_the_log_does_not_grow_with_the_jobs_that_fail_or_expire(
    beside_duckdb: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Dagster keeps each line of a run."""
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    for number in range(30):
        beside_duckdb.append([event(f"bad{number}", "audience", BAD), *whole([f"bad{number}"])])
        beside_duckdb.append([event(f"late{number}", "audience", at=long_ago)])
    reports: list[Mapping[str, drain.Counts]] = []
    Consumer(beside_duckdb, "one", reports.append).run(0.5, resident=False)
    (report,) = reports
    assert report["713"].failed >= 30
    lines = [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("signalroom_dagster")
    ]
    assert [line.split(", such as")[0] for line in lines] == [
        "tenant 713: 30 jobs expired incomplete",
        f"tenant 713: {report['713'].failed} attempts to analyse a job failed",
    ]
    assert (
        "reached is more than people (job bad" in lines[1]
        and "(without attribution, creative)" in lines[0]
    )


@pytest.mark.slow
def test_a_consumer_that_gets_a_few_percent_of_a_core_comes_to_an_end(
    in_postgres: Store, project: Project
) -> None:
    process = consuming(project)
    in_postgres.append(whole([f"j{number}" for number in range(300)]))
    give_up = time.monotonic() + 90
    while in_postgres.stats()["713"].done < 300 and time.monotonic() < give_up:
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.19)
    process.send_signal(signal.SIGCONT)
    process.terminate()
    assert process.wait(30) == 0
    assert ask(COUNT) == [(300, 300)]


def test_a_store_whose_user_may_not_write_results_brings_them_on_through_the_outbox(
    project: Project, postgres_url: str
) -> None:
    ask_there = functools.partial(execute, postgres_url)
    ask_there("DROP ROLE IF EXISTS events_user")
    ask_there(
        f"CREATE ROLE events_user LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE test TO"
        " events_user"
    )
    try:
        project.use_postgres(postgres_url)
        project.set(EVENTS__STORE=postgres_url.replace("//postgres:", "//events_user:"))
        store = ready_store()
        assert is_direct(store)
        for number, grant in enumerate(
            [
                "",
                (
                    "GRANT USAGE ON SCHEMA analysis TO events_user; GRANT SELECT, INSERT, "
                    "UPDATE ON analysis.results TO events_user"
                ),
            ]
        ):
            ask_there(
                grant or "SELECT 1"
            )  # with the grant alone, row level security would refuse the rows
            store.append(whole([f"j{number}"]))
            assert drain.drain_once(store)["713"].jobs == 1
            assert store.stats()["713"].unpublished == 1
            publishing.publish_all(store)
            assert ask(COUNT) == [(number + 1, number + 1)]
        store.close()
    finally:
        ask_there("DROP OWNED BY events_user CASCADE; DROP ROLE events_user")


def execute(url: str, statement: str) -> None:
    """As the owner of everything."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_row_that_postgres_refuses_fails_its_job_alone(
    in_postgres: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalroom_dagster.analysis.steps.MOST_ROWS_HOLD", 10**30)
    tiny = (
        b'{"campaigns": [{"campaign": "a", "conversions": "0.0001", "revenue": 1, "cost":'
        b" 1000000000}]}"
    )
    bad = tiny.replace(
        b"}]}", b"}, " + b", ".join([tiny[15:-2].replace(b"0.0001", b"0")] * 999) + b"]}"
    )
    in_postgres.append(
        [*whole(["j1", "j2"]), event("bad", "attribution", bad), *whole(["bad"])[1:]]
    )
    counts = drain.drain_once(in_postgres)["713"]
    assert (counts.jobs, counts.failed) == (2, 1)
    assert ask(COUNT) == [(2, 2)]
    assert in_postgres.stats()["713"].ready == 1


def feed(store: Store, jobs: Sequence[str]) -> Iterator[None]:
    """Events of these jobs in batches, with about 15 % of them again later; pauses after each
    batch.
    """
    events = whole(jobs)
    again = events[::7]
    mixed = sorted(
        [*events, *again], key=lambda each: hash((each.job_id[-1], each.analysis_type, each.job_id))
    )
    for start in range(0, len(mixed), 60):
        store.append(mixed[start : start + 60])
        yield


def wait_for(store: Store, jobs: int, seconds: float = 60) -> None:
    """Until so many jobs are done and published."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        found = store.stats().get("713")
        if found and found.done == jobs and not found.unpublished:
            return
        time.sleep(0.1)
    raise AssertionError(f"after {seconds} s: {store.stats()}")


def test_two_consumers_on_one_postgres_analyse_every_job_once(
    in_postgres: Store, project: Project
) -> None:
    ask(
        "CREATE TABLE written AS SELECT job_id FROM analysis.results WHERE false; CREATE FUNCTION"
        " note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO written VALUES"
        " (NEW.job_id); RETURN NULL; END $$; CREATE TRIGGER note AFTER INSERT OR UPDATE ON"
        " analysis.results FOR EACH ROW EXECUTE FUNCTION note()"
    )
    consumers = [consuming(project), consuming(project)]
    for _ in feed(in_postgres, [f"j{number}" for number in range(600)]):
        time.sleep(0.02)
    wait_for(in_postgres, 600)
    for process in consumers:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(30) for process in consumers] == [0, 0]
    assert ask(COUNT) == [(600, 600)]
    assert ask("SELECT count(*), count(DISTINCT job_id) FROM written") == [(600, 600)]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [5])
def test_a_consumer_that_is_killed_again_and_again_under_load(
    kills: int, store: Store, project: Project
) -> None:
    jobs = [f"j{number}" for number in range(2_000)]
    process = consuming(project)
    for number, _ in enumerate(feed(store, jobs)):
        time.sleep(0.1)
        if number and number % 20 == 0 and kills:
            process.kill()
            process.wait(30)
            kills -= 1
            process = consumer(project)
    wait_for(store, len(jobs), 120)
    process.terminate()
    assert process.wait(30) == 0
    assert ask(COUNT) == [(len(jobs), len(jobs))]


@pytest.mark.slow
def test_a_consumer_outlives_postgres(project: Project) -> None:
    server = PostgresServer({"fsync": "on"}).start()
    try:
        url = server.create_database("events")
        project.use_postgres(url)
        project.set(EVENTS__STORE=url)
        create_table_of_results()
        store = opened_store()
        process = consumer(project)
        jobs = [f"j{number}" for number in range(1_000)]
        batches = whole(jobs)
        for start in range(0, len(batches), 60):
            if start in (900, 1_800):
                server.stop(signal.SIGQUIT)
                server.start()
            append_again(store, batches[start : start + 60])
            time.sleep(0.1)
        wait_for(store, len(jobs), 60)
        process.terminate()
        assert process.wait(30) == 0
        assert ask(COUNT) == [(len(jobs), len(jobs))]
    finally:
        server.remove()


def append_again(store: Store, events: Sequence[Received]) -> None:
    """As a sender does that gets no answer."""
    for _ in range(20):
        try:
            store.append(events)
            return
        except StoreError:
            time.sleep(0.3)
    raise AssertionError("the store does not come back")


def test_a_consumer_that_is_told_to_stop_leaves_the_chores_to_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_to_stop, pruned = Consumer(store, "one", lambda counts: None), list[datetime]()

    def last_round(*_: object, **__: object) -> dict[str, Any]:
        told_to_stop.stop.set()
        return {}

    monkeypatch.setattr(store, "prune", pruned.append)
    monkeypatch.setattr("signalroom_dagster.analysis.consumer.drain_once", last_round)
    assert told_to_stop.run(30, resident=False) == "it was told to stop"
    assert pruned == []


def test_once_analyses_what_is_ready_tells_dagster_and_ends(
    beside_duckdb: Store, project: Project
) -> None:
    home = project.root / "dagster"
    home.mkdir()
    project.set(DAGSTER_HOME=str(home))
    beside_duckdb.append(
        [*whole(["j1", "j2"]), event("j3", "audience"), event("bad", "audience", BAD)]
    )
    assert consumer(project, "--once").wait(60) == 0
    assert ask(COUNT) == [(2, 2)]
    assert beside_duckdb.stats()["713"].open == 2
    with dg.DagsterInstance.get() as instance:
        told = instance.get_latest_materialization_event(dg.AssetKey(["analysis", "results"]))
    assert told and told.asset_materialization and told.asset_materialization.partition == "713"
    assert told.asset_materialization.metadata["jobs"].value == 2


def test_a_resident_consumer_ends_when_another_holds_the_lease(beside_duckdb: Store) -> None:
    first, second = (
        Consumer(beside_duckdb, name, lambda counts: None) for name in ("first", "second")
    )
    assert first.wait_for_lease(0)
    assert not second.wait_for_lease(0)
    beside_duckdb.release(LEASE, "first")
    assert second.wait_for_lease(0)
    assert first.run(5, resident=True) == "another consumer has taken over"
    beside_duckdb.append(whole(["j1"]))
    assert second.run(0.2, resident=True) == "its time is over"
    assert ask(COUNT) == [(1, 1)]
    assert beside_duckdb.leased(LEASE) is None


class Killed(BaseException):
    """The end of the process: nothing handles it."""


def test_a_job_that_kills_its_consumer_again_and_again_is_a_dead_letter_and_the_others_are_analysed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deadly(job: Ready) -> Result:
        if job.job_id == "deadly":
            raise Killed
        return result_of(job)

    monkeypatch.setattr(drain, "result_of", deadly)
    monkeypatch.setattr(
        "signalroom_dagster.analysis.consumer.LEASE_SECONDS", -1
    )  # has run out when the next one starts
    store.append([*whole(["j1", "deadly", "j2"])])
    with monkeypatch.context() as patch:
        patch.setattr(Consumer, "_leave", lambda self: None)
        for number in range(6):  # the first takes the jobs as a batch, the others know that it died
            with pytest.raises(Killed):
                Consumer(store, f"consumer {number}", lambda counts: None).run(5, resident=False)
    Consumer(store, "last", lambda counts: None).run(0.5, resident=False)
    assert ask("SELECT job_id FROM analysis.results ORDER BY job_id") == [("j1",), ("j2",)]
    assert [(one.job_id, one.reason) for one in store.letters("713")] == [
        ("deadly", "its analysis ended the process that ran it, 5 times")
    ]


def test_a_store_that_is_away_for_a_moment_is_waited_for(
    in_postgres: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalroom_dagster.analysis.consumer.Outage.pause", lambda *_: 0.05)
    in_postgres.append(whole(["j1"]))
    gone = iter([psycopg2.OperationalError("gone"), psycopg2.OperationalError("gone"), None])
    write = drain.write

    def failing(*arguments: object) -> None:
        if error := next(gone, None):
            raise error
        write(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(drain, "write", failing)
    Consumer(in_postgres, "one", lambda counts: None).run(1.5, resident=False)
    assert ask(COUNT) == [(1, 1)]
