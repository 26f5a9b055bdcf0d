"""A source's assets through Dagster itself: materializations, checks, retries, and what a person
sees of them.
"""

import io
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from fsspec.implementations.local import LocalFileSystem

from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.checks import build_load_checks
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.projects import Project, orders, write_export

ORDERS = dg.AssetKey(["s3_exports", "orders_create"])
DAY_1 = "orders-create/report_2026-03-01.csv"


@pytest.fixture
def bucket(any_warehouse: Project) -> Path:
    any_warehouse.add_client("cti", prefixes=["orders-create", "prospects-create"])
    return any_warehouse.add_client("713")


def materialize(
    instance: dg.DagsterInstance, client: str = "713", only: list[dg.AssetKey] | None = None
) -> dg.ExecuteInProcessResult:
    defs = dg.Definitions(
        assets=[build_ingest_assets("s3_exports")],
        asset_checks=build_load_checks("s3_exports"),
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, partition_key=client, asset_selection=only, raise_on_error=False
    )


def test_a_materialization_tells_what_was_loaded(
    instance: dg.DagsterInstance, bucket: Path
) -> None:
    write_export(bucket / DAY_1, orders([1, 2, 3]))
    (bucket / "orders-create/report_2026-03-02.csv").write_bytes(
        (bucket / DAY_1).read_bytes() + b"4,ragged\r\n"
    )
    assert materialize(instance).success
    record = instance.get_latest_materialization_event(ORDERS)
    assert record and record.asset_materialization
    assert record.asset_materialization.partition == "713"
    told = {key: value.value for key, value in record.asset_materialization.metadata.items()}
    assert told["rows_loaded"] == 6
    assert told["rows_rejected"] == 1
    assert told["files_loaded"] == 2
    assert told["dagster/partition_row_count"] == 6
    assert told["bytes"] == sum(path.stat().st_size for path in bucket.rglob("*.csv"))
    assert {"seconds", "rows_per_second", "load_ids", "listing_digest", "files"} <= set(told)
    columns = record.asset_materialization.metadata["dagster/column_schema"].value
    assert {"_client_id", "_row_id", "click_id"} <= {column.name for column in columns.columns}  # type: ignore[union-attr]


def test_a_client_without_a_resource_yields_none_of_it(
    instance: dg.DagsterInstance, bucket: Path
) -> None:
    result = materialize(instance, "713")
    yielded = {
        event.asset_key.path[-1]
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert result.success
    assert yielded == {"orders_create", "files", "rejected_rows"}
    assert materialize(instance, "cti").success
    assert instance.get_latest_materialization_event(
        dg.AssetKey(["s3_exports", "prospects_create"])
    )


def test_one_asset_can_be_materialized_alone(instance: dg.DagsterInstance, bucket: Path) -> None:
    write_export(bucket / DAY_1, orders([1]))
    result = materialize(instance, only=[ORDERS])
    assert result.success
    assert {event.asset_key for event in result.get_asset_materialization_events()} == {ORDERS}


def test_the_ledger_alone_can_be_materialized_too(
    instance: dg.DagsterInstance, bucket: Path
) -> None:
    result = materialize(instance, only=[dg.AssetKey(["s3_exports", "files"])])
    assert result.success


def test_checks_are_recorded_for_the_client_and_see_lost_rows(
    instance: dg.DagsterInstance, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_export(bucket / DAY_1, orders([1, 2, 3]))
    evaluations = {
        item.check_name: item for item in materialize(instance).get_asset_check_evaluations()
    }
    assert {name: item.passed for name, item in evaluations.items()} == {
        "row_balance": True,
        "all_rows_read": True,
        "client_tagged": True,
        "key_unique": True,
        "fresh": True,
    }
    assert {item.partition for item in evaluations.values()} == {"713"}
    assert evaluations["row_balance"].metadata["rows_in_table"].value == 3

    write_export(bucket / DAY_1, orders([1, 2]), modified=datetime(2026, 4, 1, tzinfo=UTC))
    _lose_a_row_after_each_load(monkeypatch)
    found = {item.check_name: item for item in materialize(instance).get_asset_check_evaluations()}
    assert {name for name, item in found.items() if not item.passed} == {"row_balance", "fresh"}
    assert found["fresh"].severity == dg.AssetCheckSeverity.WARN
    assert "orders_create has data up to 31 Mar 20:00 EDT, and should be no older than 26 h" in str(
        found["fresh"]
    )


def test_rejected_rows_are_a_warning_on_the_asset(
    instance: dg.DagsterInstance, bucket: Path
) -> None:
    write_export(bucket / DAY_1, [{"x": "1"}], header=["x"])
    found = {item.check_name: item for item in materialize(instance).get_asset_check_evaluations()}
    assert found["row_balance"].passed
    assert not found["all_rows_read"].passed
    assert found["all_rows_read"].severity == dg.AssetCheckSeverity.WARN
    assert "no key column orders_id" in (found["all_rows_read"].description or "")


def test_missing_configuration_fails_at_once_and_names_the_key(
    instance: dg.DagsterInstance, any_warehouse: Project
) -> None:
    any_warehouse.add_client("713")
    any_warehouse.configure("713", BUCKET_URL="s3://bucket", AWS_ACCESS_KEY_ID="id")
    result = materialize(instance)
    events = result.all_events
    assert not result.success
    assert not [event for event in events if event.is_step_up_for_retry]
    failure = next(event for event in events if event.is_step_failure)
    said = failure.step_failure_data.error_display_string
    assert "client 713, source s3_exports" in said
    assert "aws_secret_access_key is missing" in said


def test_a_passing_fault_is_retried_and_the_step_succeeds(
    instance: dg.DagsterInstance, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from signalroom_dagster.sources.s3_exports.export_files import ExportFiles

    write_export(bucket / DAY_1, orders([1]))
    read, calls = ExportFiles.read, []

    def fail_once(self: ExportFiles, *args: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise TimeoutError("the network was away")
        return read(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ExportFiles, "read", fail_once)
    result = materialize(instance)
    assert result.success
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 1
    with access.exclusive(), access.connected() as query:
        assert query("SELECT count(*) FROM s3_exports.orders_create")[0][0] == 1


def test_a_download_cut_short_is_never_loaded_in_part(
    instance: dg.DagsterInstance, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_export(bucket / DAY_1, orders(range(100)))
    real, opened = LocalFileSystem.open, []

    def cut_once(self: LocalFileSystem, name: str, *args: object, **options: object) -> object:
        opened.append(name)
        if len(opened) != 2:  # the first reads the header, the second the rows
            return real(self, name, *args, **options)
        return io.BytesIO(path.read_bytes()[: path.stat().st_size // 2])

    monkeypatch.setattr(LocalFileSystem, "open", cut_once)
    result = materialize(instance)
    retried = [event for event in result.all_events if event.is_step_up_for_retry]
    assert result.success
    assert "IncompleteReadError" in str(retried[0].event_specific_data)
    with access.exclusive(), access.connected() as query:
        assert query("SELECT count(*) FROM s3_exports.orders_create")[0][0] == 100


def _lose_a_row_after_each_load(monkeypatch: pytest.MonkeyPatch) -> None:
    from signalroom_dagster.loading.duckdb import SignalRoomDuckDbClient
    from signalroom_dagster.loading.postgres import SignalRoomPostgresClient

    for client in (SignalRoomDuckDbClient, SignalRoomPostgresClient):

        def copy_and_lose(
            self: object, *args: object, copy: object = client.copy_csv, **how: object
        ) -> int:
            copied = copy(self, *args, **how)  # type: ignore[operator]
            self.sql_client.execute_sql("DELETE FROM s3_exports.orders_create WHERE _row_id = 2")  # type: ignore[attr-defined]
            return copied

        monkeypatch.setattr(client, "copy_csv", copy_and_lose)
