"""The resident run and its supervisor: lease held, free and lost; hand-over; what is told of each
tenant; alerts.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from signalroom_dagster.alerts import telling
from signalroom_dagster.analysis import consumer as consuming
from signalroom_dagster.analysis.consumer import LEASE
from signalroom_dagster.analysis.store import opened_store
from signalroom_dagster.defs import consumer_watch, event_consumer
from signalroom_dagster.defs.assets.analysis import (
    RESULTS_KEY,
    build_analysis_assets,
    build_analysis_checks,
)
from signalroom_dagster.defs.consumer_watch import ResidentRun, Watch, next_step
from signalroom_dagster.defs.resident_run import build_consumer_jobs
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.events.contracts import Contract
from signalroom_dagster.events.stores.store import DeadLetter, Lease, Store
from signalroom_dagster_tests.analysis.events import KINDS, event, whole
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.providers import Providers

COUNT = "SELECT count(*), count(DISTINCT job_id) FROM analysis.results"
CTI = Contract("cti", frozenset(KINDS), timedelta(hours=1))
ROOT = Path(__file__).parents[2]
NOW = 1_000_000.0


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture
def store(project: Project) -> Store:
    """An empty store of two clients with contracts; one of them is planned only."""
    for client, status in {"713": "active", "cti": "planned"}.items():
        project.add_client(client, status=status)
        with (project.root / "data" / "clients" / client / "client.toml").open("a") as file:
            file.write('[analysis]\nrequired = ["attribution", "audience", "creative"]\n')
    project.set(EVENTS__STORE=f"sqlite:///{project.root / 'events.db'}")
    return opened_store()


def lease(holder: str = "one", *, expired: bool = False) -> Lease:
    now = datetime.now(UTC)
    return Lease(holder, now, now, expired)


def run(began: float | None = NOW - 100) -> ResidentRun:
    return ResidentRun("one", began)


def test_an_idle_sensor_ticks_twice_a_minute(store: Store) -> None:
    (sensor,) = event_consumer.build_supervisors()
    assert sensor.minimum_interval_seconds == 30


@pytest.mark.parametrize(
    ("held", "runs", "watch", "what", "dead"),
    [
        (None, [], Watch(), "start", ()),
        (lease(), [run()], Watch(started=2), "works", ()),
        (lease("host:1"), [], Watch(), "works", ()),
        (lease(), [run(NOW - consumer_watch.RUN_SECONDS + 30)], Watch(), "start", ()),
        (
            lease(),
            [run(NOW - consumer_watch.RUN_SECONDS + 30), ResidentRun("two", None)],
            Watch(),
            "works",
            (),
        ),
        (None, [run(None)], Watch(free_since=NOW - 50), "wait", ()),
        (None, [run(NOW - 5)], Watch(free_since=NOW - 50), "wait", ()),
        (lease(expired=True), [run()], Watch(), "wait", ()),
        (lease(expired=True), [run()], Watch(free_since=NOW - 20), "start", ("one",)),
        (
            lease(expired=True),
            [run()],
            Watch(free_since=NOW - 20, not_before=NOW + 1),
            "wait",
            ("one",),
        ),
    ],
    ids=[
        "nothing",
        "held",
        "held elsewhere",
        "hand-over",
        "handing over",
        "queued",
        "just begun",
        "just free",
        "dead",
        "dead and pausing",
    ],
)
def test_what_the_supervisor_does(
    held: Any, runs: Any, watch: Watch, what: str, dead: tuple[str, ...]
) -> None:
    step = next_step(watch, held, runs, NOW)
    assert (step.what, step.dead) == (what, dead)


def test_runs_that_do_not_last_are_started_again_with_growing_pauses_until_one_lasts() -> None:
    watch, now, started = Watch(), NOW, []
    for _ in range(240):
        if next_step(watch, None, [], now).what == "start":
            started.append(now - NOW)
        now += 5
    assert started == [0, 5, 15, 35, 75, 155, 315, 615, 915]
    assert watch.is_lost(now)
    next_step(watch, lease(), [run(now - 61)], now)
    assert (watch.started, watch.free_since, watch.is_lost(now)) == (0, None, False)


class Ticks:
    """The supervisor and its cursor, tick by tick; pauses within a tick are noted, and made only if
    it `waits`.
    """

    def __init__(self, instance: dg.DagsterInstance, *, waits: bool = False) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self.pauses: list[float] = []
        self._waits = waits

    def tick(self, later: float = 0.0) -> dg.SensorResult:
        """One tick, seen from so many seconds later than now."""
        (sensor,) = event_consumer.build_supervisors()
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=RESOURCES
        )
        now = time.time() + later
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(event_consumer.time, "time", lambda: now)
            if not self._waits:
                patch.setattr(event_consumer, "pause", self.pauses.append)
            found = sensor(context)
        assert isinstance(found, dg.SensorResult)
        self.cursor = found.cursor
        return found


def test_a_run_that_is_gone_is_called_failed_and_replaced_without_an_alert(
    store: Store, instance: dg.DagsterInstance, providers: Providers
) -> None:
    ticks = Ticks(instance)
    (request,) = ticks.tick().run_requests or ()
    assert request.tags["dagster/max_retries"] == "0"
    (job,) = build_consumer_jobs()
    lost = create_run_for_test(
        instance, job_name=job.name, tags=dict(request.tags), status=dg.DagsterRunStatus.STARTED
    )
    store.lease(LEASE, lost.run_id, 30)
    assert not ticks.tick(40).run_requests
    store.release(LEASE, lost.run_id)
    assert ticks.pauses == []
    assert len(ticks.tick(70).run_requests or ()) == 1  # it looks twice within the tick
    assert ticks.pauses == [consumer_watch.DEAD_SECONDS]
    found = instance.get_run_by_id(lost.run_id)
    assert found and found.status == dg.DagsterRunStatus.FAILURE
    from signalroom_dagster_tests.defs.test_alerts import notice_failure

    notice_failure(instance, found)
    assert [sent.text for sent in providers.outbox.of("slack")] == []


def test_somebody_is_told_once_when_no_run_lasts_and_when_one_does(
    store: Store, instance: dg.DagsterInstance, providers: Providers
) -> None:
    ticks = Ticks(instance)
    for later in range(0, 200, 5):
        ticks.tick(later)
    store.lease(LEASE, "host:1", 600)
    ticks.tick(205)
    texts = [sent.text.split("\n")[0] for sent in providers.outbox.of("slack")]
    assert texts == ["🔴 Events are not analysed", "🟢 Events are analysed again"]


def test_dead_letters_and_incomplete_jobs_are_told_of_active_clients_and_recorded(
    store: Store, instance: dg.DagsterInstance, providers: Providers
) -> None:
    run = create_run_for_test(
        instance, job_name=build_consumer_jobs()[0].name, status=dg.DagsterRunStatus.STARTED
    )
    ticks = Ticks(instance)
    store.lease(LEASE, "host:1", 600)
    ticks.tick()
    assert [(check, found.passed) for check, found in latest(instance).items()] == [
        ("lag", True),
        ("dead_letters", True),
        ("incomplete_jobs", True),
    ]
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    for contract in (None, CTI):
        more: Mapping[str, Any] = {"contract": contract} if contract else {}
        store.append([event("j7", "audience", at=long_ago, **more)])
    store.bury([DeadLetter("1", "ingest", "malformed", "713", "", "", "", b"{", long_ago)])
    store.expire(datetime.now(UTC))
    ticks.tick(30)
    assert all(found.passed for found in latest(instance).values())
    ticks.tick(70)
    found = latest(instance)
    assert {event.partition for event in found.values()} == {"713"}
    said = "1 jobs expired incomplete, such as j7 (without attribution, creative)"
    assert found["incomplete_jobs"].description == said
    assert found["dead_letters"].description == "1 dead letters: malformed (1)"
    ticks.tick(140)
    store.replayed(["1"])
    ticks.tick(210)
    ticks.tick(4_000)  # recorded once more, as it is
    kept = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    assert len(kept) == 3 + 2 + 1 + 3  # a look that finds nothing new leaves nothing behind
    assert [found.passed for found in latest(instance).values()] == [True, True, False]
    texts = [sent.text for sent in providers.outbox.of("slack")]
    assert [text.split("\n")[0] for text in texts] == [
        "🔴 Check failed: analysis/results: dead_letters (client 713)",
        "🔴 Check failed: analysis/results: incomplete_jobs (client 713)",
        "🟢 Check passes again: analysis/results: dead_letters (client 713)",
    ]
    assert "such as j7 (without attribution, creative)" in texts[1]


def latest(instance: dg.DagsterInstance) -> dict[str, dg.AssetCheckEvaluation]:
    """What is on record of 713's checks."""
    found: dict[str, dg.AssetCheckEvaluation] = {}
    for check in ("lag", "dead_letters", "incomplete_jobs"):
        key = dg.AssetCheckKey(RESULTS_KEY, check)
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=9)
        assert record.event and record.event.dagster_event
        found[check] = record.event.dagster_event.asset_check_evaluation_data
    return found


def told(instance: dg.DagsterInstance, client: str) -> list[dict[str, Any]]:
    """The metadata of a client's materializations, latest first."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=RESULTS_KEY, asset_partitions=[client]), limit=100
    ).records
    found = [record.asset_materialization for record in records]
    return [{name: value.value for name, value in each.metadata.items()} for each in found if each]


def test_the_resident_run_reports_each_client_in_sums_and_hands_over(
    store: Store, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_watch, "RUN_SECONDS", 1.5)
    monkeypatch.setattr(consuming, "REPORT_SECONDS", 0.2)
    store.append([*whole(f"j{number}" for number in range(50)), *whole(["j1", "j2"], contract=CTI)])
    (job,) = build_consumer_jobs()
    assert job.execute_in_process(instance=instance, resources=RESOURCES).success
    assert store.leased(LEASE) is None
    assert ask(COUNT + " WHERE _client_id = '713'") == [(50, 50)]
    (ours,), (theirs,) = told(instance, "713"), told(instance, "cti")
    assert (ours["jobs"], ours["events"], theirs["jobs"]) == (50, 150, 2)
    assert 0 < ours["lag_seconds"] < 60
    store.append(whole(["j50"]))
    assert job.execute_in_process(instance=instance, resources=RESOURCES).success
    assert [each["jobs"] for each in told(instance, "713")] == [1, 50]


def materialize(
    instance: dg.DagsterInstance, client: str, **config: Any
) -> dg.ExecuteInProcessResult:
    defs = dg.Definitions(
        assets=build_analysis_assets(),
        asset_checks=build_analysis_checks(),
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        partition_key=client,
        run_config={"ops": {"analysis_results": {"config": config}}},
        raise_on_error=False,
    )


def test_the_asset_is_a_run_that_ends_with_what_is_ready_of_its_client(
    any_warehouse: Project, instance: dg.DagsterInstance, request: pytest.FixtureRequest
) -> None:
    store: Store = request.getfixturevalue("store")
    store.append(
        [*whole(["j1", "j2", "j3"]), *whole(["j1"], contract=CTI), event("j9", "audience")]
    )
    result = materialize(instance, "713")
    assert result.success
    assert {check.check_name: check.passed for check in result.get_asset_check_evaluations()} == {
        "lag": True,
        "dead_letters": True,
        "incomplete_jobs": True,
    }
    (ours,) = told(instance, "713")
    assert (ours["jobs"], ours["dagster/partition_row_count"], told(instance, "cti")) == (3, 3, [])
    assert store.stats()["cti"].ready == 1
    assert materialize(instance, "cti").success
    assert [each["jobs"] for each in told(instance, "cti")] == [1]


def test_a_replay_is_a_run_that_gives_the_same_results(
    store: Store, instance: dg.DagsterInstance
) -> None:
    store.append(whole(["j1", "j2", "j3"]))
    materialize(instance, "713")
    hashes = "SELECT _client_id, job_id, hash, _loaded_at FROM analysis.results ORDER BY 1, 2"
    before = ask(hashes)
    assert materialize(instance, "713", replay=True, jobs=["j1", "j2"]).success
    after = ask(hashes)
    assert [row[:3] for row in after] == [row[:3] for row in before]
    assert [new[3] > old[3] for new, old in zip(after, before, strict=True)] == [True, True, False]
    assert told(instance, "713")[0]["replayed_jobs"] == 2
    refused = materialize(instance, "713", replay=True, since="2020-01-01")
    assert not refused.success
    assert "inputs are kept from" in str(refused.failure_data_for_node("analysis_results"))
    assert "is not retried" in str(refused.failure_data_for_node("analysis_results"))


RESIDENT = """
import dagster as dg
from signalroom_dagster.defs.resident_run import build_consumer_jobs
from signalroom_dagster.defs.resources import RESOURCES
with dg.DagsterInstance.get() as instance:
    tags = {"signalroom/supervised": "true"}
    build_consumer_jobs()[0].execute_in_process(
        instance=instance, tags=tags, resources=RESOURCES
    )
"""


def resident(project: Project) -> subprocess.Popen[bytes]:
    """The resident run in a worker of its own."""
    command = [sys.executable, "-W", "ignore", "-c", RESIDENT]
    return subprocess.Popen(command, env=project.process_environment(), stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_resident_run_that_is_killed_under_load_is_replaced_and_no_job_is_lost(
    project: Project, store: Store, tmp_path: Path
) -> None:
    project.set(DAGSTER_HOME=str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    workers: list[subprocess.Popen[bytes]] = []
    jobs = [f"j{number}" for number in range(1_500)]
    with dg.DagsterInstance.get() as instance:
        ticks = Ticks(instance, waits=True)
        ends, fed, killed_at = time.monotonic() + 240, 0, None
        while time.monotonic() < ends:
            if fed < len(jobs):
                store.append(whole(jobs[fed : fed + 25]))
                fed += 25
            is_registered = len(instance.get_runs()) == len(
                workers
            )  # the daemon registers a run when it is asked for
            if is_registered and ticks.tick().run_requests:
                workers.append(resident(project))
            done = store.stats()["713"].done
            if done > 300 and killed_at is None:
                workers[0].send_signal(signal.SIGKILL)
                killed_at = workers[0].wait(30)
            if done == len(jobs) and not store.stats()["713"].unpublished:
                break
            time.sleep(0.5)
        statuses = [found.status for found in instance.get_runs()]
    for worker in workers[1:]:
        worker.terminate()
        worker.wait(30)
    assert ask(COUNT) == [(len(jobs), len(jobs))]
    assert len(workers) == 2
    assert statuses.count(dg.DagsterRunStatus.FAILURE) == 1
    assert telling.incidents().open() == []
