"""Alerts through Dagster itself: the hook in a plain run, the sensors for what no step can tell."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.test_utils import create_run_for_test
from dagster._utils.error import SerializableErrorInfo

from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure
from signalroom_dagster.config import state_dir
from signalroom_dagster.defs import alert_sensors
from signalroom_dagster.defs.alert_sensors import build_alert_sensors
from signalroom_dagster.defs.alerts import with_alerts
from signalroom_dagster.defs.assets.declared import build_declared_asset
from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.assets.reports import ReportConfig
from signalroom_dagster.defs.checks import build_load_checks
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.platform.attempts import attempt
from signalroom_dagster.platform.tags import MODEL_TAG, REPORT_TAG, SOURCE_TAG
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.sandbox import everflow
from signalroom_dagster.sandbox.everflow_data import FIGURES, EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.errors import DestinationUnreachableError
from signalroom_dagster_tests.projects import Project, orders, write_export
from signalroom_dagster_tests.providers import Providers

KEY = "key-that-nobody-may-see"
DAY = date(2026, 3, 1)
STATS = dg.AssetKey(["everflow", "daily_stats"])
SENSORS = {sensor.name: sensor for sensor in build_alert_sensors()}


@pytest.fixture
def daemons_instance() -> Iterator[dg.DagsterInstance]:
    """One with files: an instance in memory does not keep what a daemon notes of its ticks."""
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture
def vendor(project: Project) -> Iterator[VendorServer]:
    figures = {**dict.fromkeys(FIGURES, 0), "cv": 45, "payout": 3375}
    network = EverflowNetwork(
        key=KEY, affiliates={41: "N"}, advertisers={1: "A"}, stats={(DAY, 41, 1): figures}
    )
    with serve(everflow.routes([network])) as server:
        project.add_api_client(
            "713",
            "everflow",
            api_key=KEY,
            base_url=f"{server.url}/everflow",
            start_date=str(DAY),
            end_date=str(DAY),
        )
        yield server


def texts(providers: Providers) -> list[str]:
    return [sent.text for sent in providers.outbox.of("slack")]


def loads(source: str) -> dg.Definitions:
    return dg.Definitions(
        assets=with_alerts([build_ingest_assets(source)]),
        asset_checks=with_alerts(build_load_checks(source)),
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )


def load(
    instance: dg.DagsterInstance, source: str = "everflow", *keys: dg.AssetKey
) -> dg.ExecuteInProcessResult:
    job = loads(source).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        partition_key="713",
        asset_selection=list(keys) or None,
        raise_on_error=False,
    )


def look(instance: dg.DagsterInstance, sensor: str) -> str:
    found: Any = SENSORS[sensor](dg.build_sensor_context(instance=instance))
    return getattr(found, "skip_reason", found).skip_message


def test_every_asset_and_check_of_the_project_tells_what_came_of_it() -> None:
    from signalroom_dagster.definitions import defs

    hooked = [*(defs.assets or ()), *(defs.asset_checks or ())]
    assert hooked and all({hook.name for hook in each.hook_defs} == {"alert"} for each in hooked)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_plain_run_that_fails_for_good_alerts_once_and_its_success_is_the_recovery(
    vendor: VendorServer, providers: Providers, instance: dg.DagsterInstance
) -> None:
    vendor.fail(
        "/v1/networks/reporting/entity",
        status=503,
        times=5,
        body=f'{{"error": "no {KEY} for a@b.example"}}',
    )
    failed = load(instance, "everflow", STATS)
    assert not failed.success
    assert len(texts(providers)) == 1
    said = texts(providers)[0]
    assert said.startswith(
        "🔴 everflow does not load (client 713)\nVendorError after 5 attempts: client 713, source"
    )
    assert f"/runs/{failed.run_id}|Open the run>" in said
    assert (KEY in said, "a@b.example" in said) == (False, False)
    assert load(instance, "everflow", STATS).success
    assert len(texts(providers)) == 2
    assert texts(providers)[1].startswith(
        "🟢 everflow loads again (client 713)\nVendorError, seen 1 time from"
    )


def test_an_alert_and_its_incident_repeat_nothing_that_a_vendor_said(
    vendor: VendorServer, providers: Providers, instance: dg.DagsterInstance
) -> None:
    words = (
        "Pat Example (pat@example.test, +15550100001, token 9f8e7d6c5b4a3928) of 12 Main Street"
        " may not"
    )
    vendor.fail("/v1/networks/reporting/entity", status=400, body=json.dumps({"error": words}))
    result = load(instance, "everflow", STATS)
    kept = (state_dir() / "incidents.sqlite").read_bytes().decode("latin-1")
    for told in (texts(providers)[0], kept):
        assert "POST /v1/networks/reporting/entity/table answered 400" in told
        assert not any(part in told for part in ("Pat", "pat@", "1555", "9f8e", "Main Street"))
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "Pat Example (***, ***, token ***)" in str(
        failure.step_failure_data.error_display_string
    )


@pytest.mark.parametrize("asked", ["2026-03-02", None])
def test_what_happens_to_a_report_is_about_its_day(
    asked: str | None, project: Project, providers: Providers, instance: dg.DagsterInstance
) -> None:
    project.add_client("713")
    fails = [True, False, False]

    @dg.multi_asset(
        name="report_daily",
        op_tags={REPORT_TAG: "daily"},
        specs=[
            dg.AssetSpec(
                ["reports", "daily"], partitions_def=dg.StaticPartitionsDefinition(["713"])
            )
        ],
        check_specs=[dg.AssetCheckSpec("delivered", asset=["reports", "daily"])],
    )
    def report(config: ReportConfig) -> Iterator[Any]:
        if fails.pop(0):
            raise LookupError("no warehouse")
        passed = config.date != "2026-03-03"
        yield dg.MaterializeResult(
            check_results=[dg.AssetCheckResult(check_name="delivered", passed=passed)]
        )

    for day in (asked, "2026-03-03", asked):
        config = {"ops": {"report_daily": {"config": {"date": day} if day else {}}}}
        dg.materialize(
            with_alerts([report]),
            instance=instance,
            partition_key="713",
            run_config=config,
            raise_on_error=False,
        )
    yesterday = datetime.now(get_client("713").zone).date() - timedelta(days=1)
    day = asked or str(yesterday)
    assert [text.splitlines()[0] for text in texts(providers)] == [
        f"🔴 Report daily of {day} fails (client 713)",
        "🔴 Check failed: reports/daily of 2026-03-03: delivered (client 713)",
        f"🟢 Report daily of {day} works again (client 713)",
    ]
    assert f"`signalroom report daily --client 713 --date {day} --send`" in texts(providers)[0]
    assert "It is not known whether the report arrived" in texts(providers)[1]
    assert (
        "`signalroom report daily --client 713 --date 2026-03-03 --send --resend`"
        in texts(providers)[1]
    )


def test_what_was_wrong_with_a_report_is_let_go_after_a_week(
    project: Project,
    providers: Providers,
    daemons_instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project.add_client("713")
    for kind, subject in (("report", "daily of 2026-03-02"), ("source", "s3_exports")):
        telling.failed(
            Failure(kind=kind, subject=subject, client="713", error="Refused", run=subject)
        )  # pyright: ignore
    now = time.time()
    monkeypatch.setattr(alert_sensors, "time", SimpleNamespace(time=lambda: now + 8 * 24 * 3_600))
    look(daemons_instance, "alert_watch")
    assert [incident.subject for incident in telling.open_incidents()] == ["s3_exports"]
    assert len(texts(providers)) == 2


def test_nothing_is_said_while_attempts_are_left(
    vendor: VendorServer, providers: Providers, instance: dg.DagsterInstance
) -> None:
    vendor.fail("/v1/networks/reporting/entity", status=503, times=1)
    assert load(instance, "everflow", STATS).success
    assert texts(providers) == []


def test_the_run_failure_sensor_adds_nothing_to_what_the_hook_has_told(
    vendor: VendorServer, providers: Providers, instance: dg.DagsterInstance
) -> None:
    vendor.fail("/v1/networks/reporting/entity", status=401)
    result = load(instance, "everflow", STATS)
    notice_failure(instance, result.dagster_run, loads("everflow"))
    assert len(texts(providers)) == 1
    assert "Next: `signalroom doctor --client 713`" not in texts(providers)[0]
    assert [incident.failures for incident in telling.incidents().open()] == [1]


def test_an_error_that_is_not_ours_is_told_by_its_class_alone(
    project: Project, providers: Providers, instance: dg.DagsterInstance
) -> None:
    project.add_client("713")

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["713"]))
    def orders_of_pat(context: dg.AssetExecutionContext) -> None:
        with attempt(context, "client 713"):
            raise ValueError("pat@example.test is 44")

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["713"]))
    def no_attempt() -> None:
        raise LookupError("pat@example.test is 44")

    for asset in (orders_of_pat, no_attempt):
        dg.materialize(
            with_alerts([asset]), instance=instance, partition_key="713", raise_on_error=False
        )
    assert ["ValueError\n" in texts(providers)[0], "LookupError\n" in texts(providers)[1]] == [
        True,
        True,
    ]
    assert not any("pat" in text.replace("orders_of_pat", "") for text in texts(providers))


def test_slack_that_is_down_changes_nothing_about_a_run(
    vendor: VendorServer, providers: Providers, instance: dg.DagsterInstance
) -> None:
    providers.fail("chat.postMessage", status=503, times=9)
    vendor.fail("/v1/networks/reporting/entity", status=401)
    assert not load(instance, "everflow", STATS).success
    assert load(instance, "everflow", STATS).success


def test_a_check_that_fails_alerts_and_passes_again(
    project: Project, providers: Providers, instance: dg.DagsterInstance
) -> None:
    project.add_client("713")
    passes = [False, True]
    clients = dg.StaticPartitionsDefinition(["713"])

    @dg.asset(partitions_def=clients, key=["public", "orders"])
    def made() -> None: ...

    @dg.multi_asset_check(
        specs=[
            dg.AssetCheckSpec("casts", asset=made.key, partitions_def=clients),
            dg.AssetCheckSpec("volume", asset=made.key, partitions_def=clients),
        ]
    )
    def checked() -> Iterator[dg.AssetCheckResult]:
        yield dg.AssetCheckResult(
            passed=passes.pop(0), check_name="casts", description="pat@example.test is 44"
        )
        yield dg.AssetCheckResult(
            passed=False, check_name="volume", severity=dg.AssetCheckSeverity.WARN
        )

    defs = dg.Definitions(assets=with_alerts([made]), asset_checks=with_alerts([checked]))
    for _ in range(2):
        job = defs.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=instance, partition_key="713").success
    assert [text.split("\n")[0] for text in texts(providers)] == [
        "🔴 Check failed: public/orders: casts (client 713)",
        "🟢 Check passes again: public/orders: casts (client 713)",
    ]
    assert "pat" not in texts(providers)[0]


def test_a_load_is_told_with_its_rows_where_the_client_asks_for_it(
    project: Project, providers: Providers, instance: dg.DagsterInstance
) -> None:
    bucket = project.add_client("713")
    path = project.root / "data" / "clients" / "713" / "client.toml"
    path.write_text('notify_on_success = ["s3_exports"]\n' + path.read_text())
    write_export(bucket / "orders-create/report_2026-03-01.csv", orders(range(1_523)))
    for _ in range(2):
        assert load(instance, "s3_exports").success
    assert texts(providers) == ["s3_exports 713: 1,523 rows"]


def notice_failure(
    instance: dg.DagsterInstance, run: dg.DagsterRun, definitions: dg.Definitions | None = None
) -> None:
    """What the run-failure sensor does with a failed run."""
    repository = (definitions or dg.Definitions()).get_repository_def()
    run = instance.get_run_by_id(run.run_id) or run
    records = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE
    ).records
    event = records[-1].event_log_entry.dagster_event
    assert event
    SENSORS["alert_on_run_failure"](
        dg.build_run_status_sensor_context(
            "alert_on_run_failure", event, instance, run, repository_def=repository
        ).for_run_failure()
    )


def lost_run(
    instance: dg.DagsterInstance,
    *,
    remote: bool = False,
    job_name: str = "everflow",
    at: str = "",
    **tags: str,
) -> dg.DagsterRun:
    """A run whose worker died before it loaded Everflow, with the tag that its job gives it."""
    origin = None
    if remote:
        from dagster._core.remote_origin import (
            ManagedGrpcPythonEnvCodeLocationOrigin,
            RemoteJobOrigin,
            RemoteRepositoryOrigin,
        )
        from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

        location = ManagedGrpcPythonEnvCodeLocationOrigin(
            LoadableTargetOrigin(module_name="x"), "x"
        )
        origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "everflow")
    run = create_run_for_test(
        instance,
        job_name=job_name,
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({STATS}),
        tags={"dagster/partition": "713", SOURCE_TAG: "everflow"},
        remote_job_origin=origin,
    )
    if at:
        kind = dg.DagsterEventType.STEP_START.value
        instance.report_dagster_event(dg.DagsterEvent(kind, job_name, step_key=at), run.run_id)
    instance.report_run_failed(run)
    instance.add_run_tags(run.run_id, tags)
    return run


def test_what_an_alert_is_about_stands_in_the_tags_of_the_op_whatever_its_name(
    project: Project, providers: Providers, instance: dg.DagsterInstance
) -> None:
    project.add_client("713")
    clients = dg.StaticPartitionsDefinition(["713"])
    tags = {SOURCE_TAG: "everflow", MODEL_TAG: "public/orders", REPORT_TAG: "daily"}
    for tag, about in tags.items():

        @dg.multi_asset(
            name="any_name",
            specs=[dg.AssetSpec("anything", partitions_def=clients)],
            op_tags={tag: about},
        )
        def fails() -> None:
            raise LookupError

        definitions = dg.Definitions(assets=with_alerts([fails]))
        job = definitions.resolve_implicit_global_asset_job_def()
        failed = job.execute_in_process(
            instance=instance, partition_key="713", raise_on_error=False
        )
        notice_failure(instance, failed.dagster_run, definitions)
    incidents = telling.incidents().open()
    assert [
        (each.kind, each.subject.partition(" of ")[0], each.failures) for each in incidents
    ] == [("source", "everflow", 1), ("table", "public/orders", 1), ("report", "daily", 1)]


def test_a_run_of_several_sources_that_was_lost_is_about_the_one_that_it_was_loading(
    project: Project, providers: Providers, instance: dg.DagsterInstance
) -> None:
    definitions = dg.Definitions(
        assets=[build_ingest_assets("everflow"), build_ingest_assets("redtrack")],
        resources=RESOURCES,
    )
    run = lost_run(instance, job_name="__ASSET_JOB", at="load_redtrack")
    notice_failure(instance, run, definitions)
    assert [each.subject for each in telling.incidents().open()] == ["redtrack"]


def test_a_run_that_was_lost_alerts_through_the_sensor(
    project: Project, providers: Providers, instance: dg.DagsterInstance
) -> None:
    run = lost_run(instance)
    for _ in range(2):
        notice_failure(instance, run)
    assert len(texts(providers)) == 1
    assert texts(providers)[0].startswith("🔴 everflow does not load (client 713)\nRun lost (")
    assert "Next: `signalroom run everflow --client 713`" in texts(providers)[0]


def test_the_daemon_finds_every_lost_run_since_the_sensor_was_started(
    project: Project, providers: Providers, instance: dg.DagsterInstance
) -> None:
    sensor, cursor = SENSORS["alert_on_run_failure"], None
    lost_run(instance)  # before it was started
    for found in (0, 1, 1):
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        cursor = sensor.evaluate_tick(context).cursor
        assert len(texts(providers)) == found
        if not found:
            lost_run(instance)


@pytest.mark.parametrize(
    ("remote", "will_retry", "alerts"),
    [(True, "true", 0), (True, "false", 1), (False, "true", 1), (False, "false", 1)],
)
def test_a_lost_run_that_is_started_again_is_passed_over_except_where_nobody_can(
    remote: bool, will_retry: str, alerts: int, providers: Providers, instance: dg.DagsterInstance
) -> None:
    run = lost_run(instance, remote=remote, **{"dagster/will_retry": will_retry})
    notice_failure(instance, run)
    assert len(texts(providers)) == alerts


def tick(instance: dg.DagsterInstance, status: TickStatus, at: float, error: str = "") -> None:
    state = InstigatorState(
        SENSOR_ORIGIN,
        InstigatorType.SENSOR,
        InstigatorStatus.RUNNING,
        SensorInstigatorData(min_interval=60),
    )
    if not instance.get_instigator_state(state.instigator_origin_id, state.selector_id):
        instance.add_instigator_state(state)
    made = instance.create_tick(
        TickData(
            state.instigator_origin_id,
            "s3_exports_new_files",
            InstigatorType.SENSOR,
            TickStatus.STARTED,
            at,
            selector_id=state.selector_id,
        )
    )
    told = SerializableErrorInfo(
        "secret",
        [],
        "SensorExecutionError",
        cause=SerializableErrorInfo(f"{error}: secret", [], error),
    )
    instance.update_tick(made.with_status(status, **({"error": told} if error else {})))


def sensor_origin() -> Any:
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="x"), "x")
    return RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(location, "__repository__"), "s3_exports_new_files"
    )


SENSOR_ORIGIN = sensor_origin()


def test_a_sensor_that_cannot_tick_alerts_until_it_can(
    project: Project, providers: Providers, daemons_instance: dg.DagsterInstance
) -> None:
    tick(daemons_instance, TickStatus.SKIPPED, 1_000.0)
    look(daemons_instance, "alert_watch")
    assert texts(providers) == []
    for at in (1_060.0, 1_120.0):
        tick(daemons_instance, TickStatus.FAILURE, at, "PermissionError")
        for _ in range(2):
            look(daemons_instance, "alert_watch")
    assert len(texts(providers)) == 1
    assert texts(providers)[0].startswith("🔴 sensor s3_exports_new_files fails\nPermissionError\n")
    assert "secret" not in texts(providers)[0]
    tick(daemons_instance, TickStatus.SUCCESS, 1_180.0)
    look(daemons_instance, "alert_watch")
    assert texts(providers)[1].startswith(
        "🟢 sensor s3_exports_new_files works again\nPermissionError, seen 2 times from"
    )


def test_a_failing_sensor_that_a_person_switches_off_is_let_go_without_a_word(
    project: Project, providers: Providers, daemons_instance: dg.DagsterInstance
) -> None:
    tick(daemons_instance, TickStatus.FAILURE, 1_000.0, "PermissionError")
    look(daemons_instance, "alert_watch")
    (state,) = daemons_instance.all_instigator_state()
    daemons_instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))
    look(daemons_instance, "alert_watch")
    assert len(texts(providers)) == 1
    assert telling.incidents().open() == []


def test_what_was_wrong_with_a_client_that_is_no_longer_active_is_let_go_without_a_word(
    project: Project, providers: Providers, daemons_instance: dg.DagsterInstance
) -> None:
    for client in ("713", "cti"):
        project.add_client(client)
        telling.failed(
            Failure(kind="source", subject="s3_exports", client=client, error="Refused", run=client)
        )
    project.register("cti", sources=["s3_exports"], status="planned")
    look(daemons_instance, "alert_watch")
    assert [incident.client for incident in telling.incidents().open()] == ["713"]
    assert len(texts(providers)) == 2


NEWEST = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time that the sensor for freshness sees; a test sets its one element."""
    seen = [NEWEST]

    class Clock:
        @staticmethod
        def now(zone: Any) -> datetime:
            return seen[0].astimezone(zone)

    monkeypatch.setattr(alert_sensors, "datetime", Clock)
    return seen


def test_files_that_stop_coming_make_their_source_stale_however_often_it_is_loaded(
    any_warehouse: Project, providers: Providers, instance: dg.DagsterInstance, now: list[datetime]
) -> None:
    bucket = any_warehouse.add_client("713")
    write_export(bucket / "orders-create/report_2026-03-01.csv", orders([1]), modified=NEWEST)
    for hours, stale in ((25, 0), (27, 1), (28, 1)):
        load(instance, "s3_exports")
        now[0] = NEWEST + timedelta(hours=hours)
        look(instance, "alert_on_stale_sources")
        assert len(texts(providers)) == stale
    assert texts(providers)[0].startswith(
        "🔴 s3_exports is stale (client 713)\n"
        "Stale: orders_create has data up to 01 Mar 04:00 EST, and should be no older than 26 h\n"
    )
    assert "Next: `signalroom run s3_exports --client 713`" in texts(providers)[0]
    write_export(bucket / "orders-create/report_2026-03-02.csv", orders([2]), modified=now[0])
    load(instance, "s3_exports")
    look(instance, "alert_on_stale_sources")
    assert texts(providers)[1].startswith("🟢 s3_exports is fresh again (client 713)")


@pytest.mark.parametrize("ends", ["mended", "gone"])
def test_a_file_that_cannot_be_loaded_is_told_until_it_is_mended_or_gone(
    ends: str, project: Project, providers: Providers, instance: dg.DagsterInstance
) -> None:
    bucket = project.add_client("713")
    path = bucket / "orders-create" / "report_2026-03-01.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something,else\n1,2\n")
    project.set(SOURCES__S3_EXPORTS__FRESH_WITHIN="9999d")
    for _ in range(2):
        assert load(instance, "s3_exports").success
        look(instance, "alert_on_stale_sources")
    [text] = texts(providers)
    assert text.startswith(
        "🔴 Files of s3_exports are left out (client 713)\n"
        "Files left out: 1 quarantined, 0 unreadable: none of their rows are in the warehouse."
    )
    assert "Next: `signalroom status`" in text
    if ends == "mended":
        write_export(path, orders([1]))
    else:
        path.unlink()
    assert load(instance, "s3_exports").success
    look(instance, "alert_on_stale_sources")
    assert texts(providers)[1].startswith(
        "🟢 No file of s3_exports is left out any more (client 713)"
    )


def test_the_check_of_a_closed_source_says_that_nothing_newer_is_expected(
    vendor: VendorServer, providers: Providers, instance: dg.DagsterInstance
) -> None:
    checks = load(instance, "everflow", STATS).get_asset_check_evaluations()
    [fresh] = [check for check in checks if check.check_name == "fresh"]
    assert fresh.passed
    assert fresh.description == (
        "closed on 01 Mar 2026 (end_date), nothing newer is expected:"
        " data up to 02 Mar 2026 00:00 EST"
    )


def test_days_are_fresh_up_to_their_end_or_when_they_were_read(
    vendor: VendorServer,
    providers: Providers,
    instance: dg.DagsterInstance,
    project: Project,
    now: list[datetime],
) -> None:
    assert load(instance, "everflow", STATS).success
    project.set(SOURCES__EVERFLOW__CLIENTS__713__END_DATE="2026-03-31")
    midnight = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)  # the end of 1 March in New York
    project.set(SOURCES__EVERFLOW__FRESH_WITHIN="3h")
    now[0] = midnight + timedelta(hours=2)
    assert look(instance, "alert_on_stale_sources") == "stale: nothing"
    now[0] = midnight + timedelta(hours=4)
    assert look(instance, "alert_on_stale_sources") == "stale: everflow of client 713"
    project.set(SOURCES__EVERFLOW__CLIENTS__713__FRESH_WITHIN="2d")
    assert look(instance, "alert_on_stale_sources") == "stale: nothing"
    assert len(texts(providers)) == 2
    now[0] = midnight + timedelta(days=60)
    assert look(instance, "alert_on_stale_sources") == "stale: everflow of client 713"
    project.set(SOURCES__EVERFLOW__CLIENTS__713__END_DATE=str(DAY))  # the account was closed
    assert look(instance, "alert_on_stale_sources") == "stale: nothing"


def test_a_warehouse_that_does_not_answer_is_told_once_by_whoever_looks(
    project: Project,
    providers: Providers,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    now: list[datetime],
) -> None:
    project.add_client("713")
    with monkeypatch.context() as down:
        down.setattr(access, "connected", refuse)
        for hours in range(3):
            now[0] = NEWEST + timedelta(hours=hours)
            look(instance, "alert_on_stale_sources")
    assert len(texts(providers)) == 1
    assert texts(providers)[0].startswith(
        "🔴 The warehouse cannot be used\nDestinationUnreachableError: no answer\n"
    )
    look(instance, "alert_on_stale_sources")
    assert texts(providers)[1].startswith("🟢 The warehouse works again")


def refuse() -> None:
    raise DestinationUnreachableError("no answer")


def test_alert_sensors_stay_off_in_development_and_run_in_production(project: Project) -> None:
    assert {sensor.default_status for sensor in build_alert_sensors()} == {
        dg.DefaultSensorStatus.STOPPED
    }
    project.set(SIGNALROOM_ENV="production")
    assert {sensor.default_status for sensor in build_alert_sensors()} == {
        dg.DefaultSensorStatus.RUNNING
    }


def test_what_is_set_aside_is_one_incident_a_red_check_and_a_recovery(
    project: Project, providers: Providers, daemons_instance: dg.DagsterInstance
) -> None:
    project.add_client("713")
    project.add_client("cti", status="planned")
    file = project.root / "data/clients/cti/client.toml"
    sound = file.read_text()
    file.write_text(sound.replace("New_York", "New_Yrok"))
    sensor: Any = SENSORS["alert_on_definitions"]
    first = sensor(dg.build_sensor_context(instance=daemons_instance))
    again = sensor(dg.build_sensor_context(instance=daemons_instance, cursor=first.cursor))
    assert [
        event.passed for event in first.asset_events if isinstance(event, dg.AssetCheckEvaluation)
    ] == [False]
    assert again.asset_events == []
    look(
        daemons_instance, "alert_watch"
    )  # which closes what is broken of clients that are not active
    result = dg.materialize(with_alerts([build_declared_asset()]), instance=daemons_instance)
    [evaluation] = result.get_asset_check_evaluations()
    assert not evaluation.passed and "timezone" in (evaluation.description or "")
    assert [text.splitlines()[0] for text in texts(providers)] == [
        "🔴 client cti is set aside (client cti)"
    ]
    assert "cti/client.toml: timezone: " in texts(providers)[0]
    file.write_text(sound)
    mended = sensor(dg.build_sensor_context(instance=daemons_instance, cursor=first.cursor))
    assert [
        event.passed for event in mended.asset_events if isinstance(event, dg.AssetCheckEvaluation)
    ] == [True]
    assert texts(providers)[1].startswith("🟢 client cti is read again (client cti)")
