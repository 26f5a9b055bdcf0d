"""Any dlt source through Dagster itself: assets, runs, checks and what a person sees of them."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from signalroom_dagster.config import destination_name
from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.checks import build_load_checks
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster_tests.loading.stranger import KEY
from signalroom_dagster_tests.loading.test_native import SHOP
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project


@pytest.fixture
def shops(any_warehouse: Project, tmp_path: Path) -> dict[str, Path]:
    """The folders of two clients' shops."""
    any_warehouse.add_settings(SHOP)
    folders = {client: tmp_path / client for client in ("acme", "zen")}
    for client, folder in folders.items():
        folder.mkdir()
        (folder / "orders.json").write_text(
            json.dumps([{"id": 1, "changed": 1, "items": [{"sku": client}]}])
        )
        any_warehouse.add_api_client(client, "shop", folder=str(folder), api_key=f"{KEY}{client}")
    return folders


def materialize(instance: dg.DagsterInstance, client: str, *keys: str) -> dg.ExecuteInProcessResult:
    defs = dg.Definitions(
        assets=[build_ingest_assets("shop")],
        asset_checks=build_load_checks("shop"),
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        partition_key=client,
        asset_selection=[dg.AssetKey(["shop", key]) for key in keys] or None,
        raise_on_error=False,
    )


def seen(instance: dg.DagsterInstance, key: str) -> dict[str, Any]:
    record = instance.get_latest_materialization_event(dg.AssetKey(["shop", key]))
    assert record and record.asset_materialization
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def test_each_resource_is_an_asset_of_each_client(
    instance: dg.DagsterInstance, shops: dict[str, Path]
) -> None:
    for client in shops:
        assert materialize(instance, client).success
    found = ask("SELECT _client_id, sku FROM shop.orders__items ORDER BY 1")
    assert found == [("acme", "acme"), ("zen", "zen")]
    assert (seen(instance, "orders")["rows_loaded"], seen(instance, "products")["rows_loaded"]) == (
        1,
        0,
    )


def test_its_checks_tell_keys_types_and_age(
    instance: dg.DagsterInstance, shops: dict[str, Path], any_warehouse: Project
) -> None:
    any_warehouse.set(SOURCES__SHOP__HINTS__ORDERS__PRIMARY_KEY="id")
    materialize(instance, "acme", "orders")
    row = {"id": 2, "changed": 2, "total": "n/a", "items": [{"sku": 5}]}
    (shops["zen"] / "orders.json").write_text(json.dumps([{**row, "total": 3}, {**row, "id": 3}]))
    result = materialize(instance, "zen", "orders")
    found = {
        check.check_name: (check.passed, check.description)
        for check in result.get_asset_check_evaluations()
    }
    assert found["key_unique"] == (True, "keys that name more than one row: 0")
    passed, said = found["types_agree"]
    assert not passed and "orders.total: 1 values are text, and stand in total__v_text" in str(said)
    assert found["fresh"][0]


def test_a_failure_names_client_source_and_key_and_is_not_tried_again(
    instance: dg.DagsterInstance, project: Project
) -> None:
    project.add_settings(SHOP)
    project.add_api_client("acme", "shop", folder="/nowhere")
    result = materialize(instance, "acme")
    assert not result.success
    failure = next(event for event in result.all_node_events if event.is_step_failure)
    assert "SOURCES__SHOP__CLIENTS__ACME__API_KEY" in str(failure.step_failure_data)
    assert not any(event.is_step_up_for_retry for event in result.all_node_events)


def test_what_may_pass_is_tried_five_times(
    instance: dg.DagsterInstance, project: Project, tmp_path: Path
) -> None:
    project.add_settings(SHOP)
    (tmp_path / "products.json").write_text("{ cut off")
    project.add_api_client("acme", "shop", folder=str(tmp_path), api_key=f"{KEY}{tmp_path.name}")
    result = materialize(instance, "acme", "products")
    retries = [event for event in result.all_node_events if event.is_step_up_for_retry]
    assert not result.success and len(retries) == 4


def test_nested_rows_are_shown_to_their_clients_readers_alone(
    instance: dg.DagsterInstance, project: Project, postgres_url: str, shops: dict[str, Path]
) -> None:
    if destination_name() != "postgres":
        pytest.skip("DuckDB has no roles")
    materialize(instance, "acme")
    open_tables = ask(
        "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r'"
        " AND NOT relrowsecurity"
    )
    policies = ask("SELECT tablename FROM pg_policies WHERE schemaname = 'shop' ORDER BY 1")
    assert open_tables == []
    assert policies == [("orders",), ("orders__items",), ("windows",)]
