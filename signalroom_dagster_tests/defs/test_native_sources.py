"""Any dlt source through Dagster itself: assets, runs, checks and what a person sees of them."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

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
