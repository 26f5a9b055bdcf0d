"""Models follow what they read: for active clients, when something was loaded, and not before."""

import dagster as dg
import pytest

from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.assets.models import build_model_assets
from signalroom_dagster.defs.assets.reference import build_reference_assets
from signalroom_dagster.defs.automation import build_automation_sensor
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster_tests.projects import Project

PERFORMANCE, ORDERS = (
    dg.AssetKey(["public", "daily_performance"]),
    dg.AssetKey(["public", "orders"]),
)


@pytest.fixture
def defs(project: Project) -> dg.Definitions:
    for client_id, status in (("713", "active"), ("cti", "planned")):
        project.add_client(client_id, status=status, prefixes=("orders-create", "orders-update"))
    sources = ("s3_exports", "everflow", "redtrack", "affiliate_mapping")
    for client_id, status in (("713", "active"), ("cti", "planned")):
        project.register(client_id, sources=sources, status=status)
    return dg.Definitions(
        assets=[
            *map(build_ingest_assets, ("s3_exports", "everflow", "redtrack")),
            build_reference_assets("affiliate_mapping"),
            *build_model_assets(),
        ],
        resources=RESOURCES,
    )


def test_a_model_is_made_when_one_of_its_sources_was_loaded_for_an_active_client(
    defs: dg.Definitions,
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        before = dg.evaluate_automation_conditions(defs, instance)
        assert before.total_requested == 0
        for client_id in ("713", "cti"):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(["everflow", "daily_stats"], partition=client_id)
            )
        after = dg.evaluate_automation_conditions(defs, instance, cursor=before.cursor)
        assert after.get_requested_partitions(PERFORMANCE) == {"713"}
        assert after.get_requested_partitions(ORDERS) == set()
        settled = dg.evaluate_automation_conditions(defs, instance, cursor=after.cursor)
        assert settled.total_requested == 0


def test_models_of_several_clients_are_runs_and_no_backfill_that_comes_last_in_the_queue(
    project: Project,
) -> None:
    assert build_automation_sensor().emit_backfills is False
