"""Reference tables as assets: one per table, one partition per client, with what a load changed."""

from typing import Any

import dagster as dg
import pytest

from signalroom_dagster.defs.assets.reference import build_reference_assets, build_reference_checks
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.affiliate_mapping.reference_files import (
    GOOGLE,
    META,
    UNMAPPED,
    write_mapping,
    write_prices,
)

SOURCE = "affiliate_mapping"
MAPPING = dg.AssetKey(["public", "affiliate_mapping"])
PRICES = dg.AssetKey(["public", "price_list"])


@pytest.fixture
def files(project: Project) -> Project:
    """Two clients with a mapping each, one of them with prices too."""
    return with_files(project)


def with_files(project: Project) -> Project:
    for client_id in ("713", "cti"):
        project.add_api_client(client_id, SOURCE)
        write_mapping(project.root, META, GOOGLE, UNMAPPED, client_id=client_id)
    write_prices(project.root, "home,95.5,40,yes,2026-03-01,first")
    return project


def materialize(
    instance: dg.DagsterInstance, client: str = "713", only: list[dg.AssetKey] | None = None
) -> dg.ExecuteInProcessResult:
    defs = dg.Definitions(
        assets=[build_reference_assets(SOURCE)],
        asset_checks=build_reference_checks(SOURCE),
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, partition_key=client, asset_selection=only, raise_on_error=False
    )


def told(instance: dg.DagsterInstance, key: dg.AssetKey = MAPPING) -> dict[str, Any]:
    record = instance.get_latest_materialization_event(key)
    assert record and record.asset_materialization
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def test_a_materialization_tells_what_it_changed(
    instance: dg.DagsterInstance, any_warehouse: Project
) -> None:
    files = with_files(any_warehouse)
    assert materialize(instance).success
    assert {
        name: told(instance)[name] for name in ("rows_added", "dagster/partition_row_count", "file")
    } == {
        "rows_added": 3,
        "dagster/partition_row_count": 3,
        "file": "data/clients/713/mappings/internal-affiliates.csv",
    }
    write_mapping(files.root, META.replace("G2 - Meta ", "G2 | Native"), UNMAPPED)
    result = materialize(instance)
    assert {event.partition for event in result.get_asset_materialization_events()} == {"713"}
    now = told(instance)
    assert (
        now["rows_added"],
        now["rows_changed"],
        now["rows_removed"],
        now["dagster/partition_row_count"],
    ) == (0, 1, 1, 2)
    assert now["difference"].splitlines() == [
        "- `~ src-1` everflow_affiliate_label 'G2 - Meta' → 'G2 | Native'",
        (
            "- `- src-2` redtrack_source 'Test Google', redtrack_source_alias 'google',"
            " everflow_affiliate_id 1, everflow_affiliate_label 'G2 - Google',"
            " everflow_advertiser_id 1, everflow_advertiser_label 'ACME'"
        ),
    ]
    assert materialize(instance).success
    assert "difference" not in told(instance)


def test_a_long_difference_is_cut(instance: dg.DagsterInstance, files: Project) -> None:
    write_mapping(files.root, *(f"S,,src-{number},1,L,1,ACME" for number in range(130)))
    assert materialize(instance).success
    assert len(told(instance)["difference"].splitlines()) == 100 + 1
    assert "and 30 more" in told(instance)["difference"]


def test_one_table_can_be_materialized_alone(instance: dg.DagsterInstance, files: Project) -> None:
    assert materialize(instance, only=[PRICES]).success
    assert instance.get_latest_materialization_event(MAPPING) is None
    assert ask("SELECT count(*) FROM public.price_list") == [(1,)]
    assert (
        ask("SELECT 1 FROM information_schema.tables WHERE table_name = 'affiliate_mapping'") == []
    )


def test_every_asset_says_what_it_is_and_whose_it_is(files: Project) -> None:
    specs = {spec.key: spec for spec in build_reference_assets(SOURCE).specs}
    assert set(specs) == {MAPPING, PRICES}
    for spec in specs.values():
        assert (spec.group_name, spec.owners) == (SOURCE, ["team:data"])
        assert spec.kinds >= {"csv"}
        assert spec.description and "CSV files in git" in spec.description
        assert spec.partitions_def and spec.partitions_def.get_partition_keys() == ["713", "cti"]
    assert "What each course costs." in (specs[PRICES].description or "")


def test_checks_run_with_the_load_for_the_client(
    instance: dg.DagsterInstance, files: Project
) -> None:
    write_mapping(files.root, META, "Meta B,facebook,src-4,1,G2 - Meta,2,BETA")
    found = {
        (item.asset_key, item.check_name): item
        for item in materialize(instance).get_asset_check_evaluations()
    }
    assert {key: item.passed for key, item in found.items()} == {
        (MAPPING, "key_unique"): True,
        (MAPPING, "single_values"): False,
        (PRICES, "key_unique"): True,
    }
    assert found[MAPPING, "single_values"].severity == dg.AssetCheckSeverity.WARN
    assert {item.partition for item in found.values()} == {"713"}


def test_a_mistake_in_a_file_fails_at_once_and_is_named(
    instance: dg.DagsterInstance, files: Project
) -> None:
    write_mapping(files.root, META, META)
    result = materialize(instance)
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    said = failure.step_failure_data.error_display_string
    assert "client 713, source affiliate_mapping" in said
    assert "lines 2 and 3: both have redtrack.source_id src-1" in said
    assert materialize(instance, "cti").success
