"""An API source through Dagster itself: what a person sees, what is tried again, and what is never
shown.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.checks import build_load_checks
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.sandbox import everflow
from signalroom_dagster.sandbox.everflow_data import FIGURES, EverflowNetwork, conversion_row
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project

KEY = "key-that-nobody-may-see"
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 4)
STATS, CONVERSIONS = (
    dg.AssetKey(["everflow", "daily_stats"]),
    dg.AssetKey(["everflow", "conversions"]),
)


@pytest.fixture
def network() -> EverflowNetwork:
    days = [FIRST + timedelta(days=number) for number in range(4)]
    return EverflowNetwork(
        key=KEY,
        affiliates={41: "Northwind Media "},
        advertisers={1: "ACME"},
        stats={
            (day, 41, 1): {**dict.fromkeys(FIGURES, 0), "cv": 45, "payout": 3375} for day in days
        },
        conversions=[
            conversion_row(
                f"c{day}",
                datetime(day.year, day.month, day.day, 17, tzinfo=UTC),
                41,
                "N",
                1,
                "ACME",
            )
            for day in days
        ],
    )


@pytest.fixture
def vendor(project: Project, network: EverflowNetwork) -> Iterator[VendorServer]:
    with serve(everflow.routes([network])) as server:
        project.add_api_client(
            "713",
            "everflow",
            api_key=KEY,
            base_url=f"{server.url}/everflow",
            start_date=str(FIRST),
            end_date=str(LAST),
            conversions_kept_days="10000",
        )
        yield server


def materialize(
    instance: dg.DagsterInstance, *keys: dg.AssetKey, config: dict[str, Any] | None = None
) -> dg.ExecuteInProcessResult:
    defs = dg.Definitions(
        assets=[build_ingest_assets("everflow")],
        asset_checks=build_load_checks("everflow"),
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )
    job = defs.resolve_implicit_global_asset_job_def()
    run_config = {"ops": {"load_everflow": {"config": config}}} if config else None
    return job.execute_in_process(
        instance=instance,
        partition_key="713",
        asset_selection=list(keys),
        raise_on_error=False,
        run_config=run_config,
    )


def told(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, Any]:
    record = instance.get_latest_materialization_event(key)
    assert record and record.asset_materialization
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def attempts(result: dg.ExecuteInProcessResult) -> int:
    starts = ("STEP_START", "STEP_RESTARTED")
    return sum(
        event.event_type_value in starts and event.step_key == "load_everflow"
        for event in result.all_node_events
    )


def test_a_materialization_tells_its_days_and_the_vendors_totals(
    instance: dg.DagsterInstance, vendor: VendorServer
) -> None:
    assert materialize(instance, STATS).success
    seen = told(instance, STATS)
    assert (seen["rows_loaded"], seen["days_read"], seen["dagster/partition_row_count"]) == (
        4,
        4,
        4,
    )
    assert (seen["first_day"], seen["last_day"]) == (str(FIRST), str(LAST))
    assert seen["days"].records[0].data == {"day": str(FIRST), "rows": 1, "vendor's total": "3375"}
    assert "restated" not in seen


def test_a_restated_day_is_told_in_words(
    instance: dg.DagsterInstance, vendor: VendorServer, network: EverflowNetwork
) -> None:
    assert materialize(instance, STATS).success
    network.stats[LAST, 41, 1] |= {"cv": 43, "payout": 3225}
    assert materialize(instance, STATS).success
    assert told(instance, STATS)["restated"] == "- 04 Mar: conversions 45 → 43, payout −150.00"


def test_the_money_of_a_day_that_vanished_whole_is_told_to_the_cent(
    instance: dg.DagsterInstance, vendor: VendorServer, network: EverflowNetwork
) -> None:
    network.stats[LAST, 41, 1] |= {"cv": 2, "payout": 150.5}
    assert materialize(instance, STATS).success
    del network.stats[LAST, 41, 1]
    assert materialize(instance, STATS).success
    assert told(instance, STATS)["restated"].startswith("- 04 Mar: ")
    assert "conversions 2 → 0, payout −150.50" in told(instance, STATS)["restated"]


def test_a_span_in_the_run_configuration_reads_those_days_again(
    instance: dg.DagsterInstance, vendor: VendorServer
) -> None:
    assert materialize(instance, CONVERSIONS).success
    before = len(vendor.requests)
    again = materialize(
        instance, CONVERSIONS, config={"since": "2026-03-01", "until": "2026-03-02"}
    )
    assert again.success
    asked = [
        request.json["from"][:10]
        for request in vendor.requests[before:]
        if "conversions" in request.path
    ]
    assert sorted(asked) == ["2026-03-01", "2026-03-02"]


def test_what_was_committed_before_a_failure_is_not_asked_for_again(
    instance: dg.DagsterInstance, vendor: VendorServer
) -> None:
    vendor.fail("/reporting/conversions", status=503, times=3, skip=2)
    result = materialize(instance, CONVERSIONS)
    assert result.success
    assert attempts(result) == 4
    assert ask("SELECT count(*) FROM everflow.conversions") == [(4,)]
    asked = [request.json["from"][:10] for request in vendor.asked("/reporting/conversions")]
    answered = len(asked) - 3
    assert answered == len(set(asked)) == 4


def test_a_refused_key_is_one_attempt_and_names_what_to_set(
    instance: dg.DagsterInstance, vendor: VendorServer, project: Project
) -> None:
    project.configure("713", "everflow", api_key="another-secret")
    result = materialize(instance, STATS)
    assert not result.success
    assert attempts(result) == 1
    error = result.failure_data_for_node("load_everflow")
    assert error and error.error
    said = error.error.message
    assert "client 713, source everflow" in said
    assert "SOURCES__EVERFLOW__CLIENTS__713__API_KEY" in said
    assert "another-secret" not in said


def test_a_vendors_retry_after_is_waited_for(
    instance: dg.DagsterInstance, vendor: VendorServer
) -> None:
    vendor.fail("/entity/table", status=429, headers={"Retry-After": "1"})
    assert materialize(instance, STATS).success
    first, second, *_ = [request.at for request in vendor.asked("/entity/table")]
    assert second - first >= 1


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 401, "body": '{"error": "bad key ' + KEY + ' of person@example.com"}'},
        {"status": 429, "body": KEY},
        {"status": 500, "body": "<html>" + KEY},
        {"status": 200, "body": '{"table": [' + KEY},
        {"status": 200, "body": '{"table": ', "cut": True},
    ],
)
def test_no_failure_shows_the_key_or_a_person(
    instance: dg.DagsterInstance,
    vendor: VendorServer,
    fault: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    vendor.fail("/entity/table", times=9, **fault)
    result = materialize(instance, STATS)
    assert not result.success
    written = capfd.readouterr()
    log = "".join(str(entry) for entry in instance.all_logs(result.run_id))
    record = str(instance.get_run_by_id(result.run_id))
    for text in (written.out, written.err, log, record):
        assert KEY not in text
        assert "person@example.com" not in text


def test_the_check_compares_with_the_vendors_own_total(
    instance: dg.DagsterInstance, vendor: VendorServer, network: EverflowNetwork
) -> None:
    result = materialize(instance, STATS)
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert found["reconciled"].passed
    assert (
        found["reconciled"].metadata["vendor"].value
        == found["reconciled"].metadata["warehouse"].value
        == "13500.0000"
    )
    assert found["key_unique"].passed
    assert found["not_capped"].passed
    assert found["all_cells_read"].passed


@pytest.mark.parametrize(
    ("fault", "tries"),
    [({"status": 403}, 1), ({"status": 404}, 1), ({"status": 200, "body": "{", "cut": True}, 5)],
)
def test_a_table_that_is_refused_or_breaks_off_leaves_the_others_alone(
    instance: dg.DagsterInstance, vendor: VendorServer, fault: dict[str, Any], tries: int
) -> None:
    vendor.fail("/networks/offers", times=99, **fault)
    result = materialize(instance)
    assert not result.success
    assert attempts(result) == tries
    for table, rows in {
        "daily_stats": 4,
        "conversions": 4,
        "affiliates": 1,
        "advertisers": 1,
        "offers": 0,
    }.items():
        assert ask(f"SELECT count(*) FROM everflow.{table}") == [(rows,)]
    assert instance.get_latest_materialization_event(STATS)


def test_a_failure_that_may_pass_is_tried_again_beside_one_that_stays(
    instance: dg.DagsterInstance, vendor: VendorServer
) -> None:
    vendor.fail("/networks/offers", times=99, status=400)
    vendor.fail("/affiliatestable", times=1, status=503)
    result = materialize(instance)
    assert not result.success
    assert attempts(result) == 2
    assert ask("SELECT count(*) FROM everflow.affiliates") == [(1,)]


def test_what_is_wrong_with_one_table_does_not_keep_the_others_from_being_loaded(
    instance: dg.DagsterInstance, vendor: VendorServer
) -> None:
    vendor.fail("/reporting/conversions", status=500, times=99)
    result = materialize(instance)
    assert not result.success
    assert attempts(result) == 5
    assert ask("SELECT count(*) FROM everflow.daily_stats") == [(4,)]
    assert ask("SELECT count(*) FROM everflow.affiliates") == [(1,)]
    assert told(instance, STATS)["rows_loaded"] == 4
    assert instance.get_latest_materialization_event(CONVERSIONS) is None
    assert len(vendor.asked("/affiliatestable")) == 1
