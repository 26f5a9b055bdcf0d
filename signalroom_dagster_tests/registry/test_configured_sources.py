"""Sources that are named in the settings: declared without being imported, refused by name, taking
nothing else down.
"""

import json
from typing import Any

import pytest

from signalroom_dagster.declarations import set_aside
from signalroom_dagster.doctor.unread_settings import unread_settings
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.source_folders import refused_sources
from signalroom_dagster_tests.projects import Project


def configure(project: Project, name: str, **settings: Any) -> None:
    project.set(
        **{
            f"SOURCES__{name}__{key}".upper(): value
            if isinstance(value, str)
            else json.dumps(value)
            for key, value in settings.items()
        }
    )
    project.add_api_client("713", name)


def test_a_configured_source_is_known_with_its_tables_and_not_imported(project: Project) -> None:
    configure(
        project,
        "shop",
        dlt_source="that_is.nowhere:source",
        resources=["orders", "visits"],
        hints={"orders": {"primary_key": "id", "columns": {"id": {"data_type": "bigint"}}}},
    )
    assert "shop" in catalog.source_names()
    assert catalog.tables_of("shop") == [
        ("shop", "orders"),
        ("shop", "visits"),
        ("shop", "windows"),
    ]
    assert catalog.table_facts("shop")["orders"].key == ("_client_id", "id")
    assert not catalog.is_read_by_day("shop")
    assert set_aside() == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dlt_source": "no function"}, "dlt_source is not valid"),
        ({"resources": []}, "resources is not valid"),
        ({"resources": ["orders", "windows"]}, "windows: SignalRoom keeps a table of this name"),
        ({"hints": {"orders": {"primary_kee": "id"}}}, "primary_kee"),
        ({"hints": {"orders": {"write_disposition": "upsert"}}}, "write_disposition"),
        ({"hints": {"order": {"primary_key": "id"}}}, "order is none of its resources"),
        ({"days": {"from": "start"}}, "days"),
    ],
)
def test_what_cannot_be_meant_is_told_and_leaves_the_others(
    project: Project, settings: dict[str, Any], words: str
) -> None:
    project.add_client("cti")
    configure(project, "shop", **{"dlt_source": "shop:source", "resources": ["orders"], **settings})
    assert "shop" not in catalog.source_names() and "s3_exports" in catalog.source_names()
    assert words in refused_sources()["shop"]
    assert "source shop" in {item.subject for item in set_aside()}
    with pytest.raises(ConfigurationError, match="shop"):
        catalog.source_module("shop")


def test_a_section_with_the_name_of_a_folder_is_told_and_the_folder_stays(project: Project) -> None:
    configure(project, "everflow", dlt_source="shop:source", resources=["orders"])
    assert "daily_stats" in catalog.table_facts("everflow")
    assert "a folder is called everflow" in str(refused_sources())


def test_a_name_that_is_no_schema_s_is_refused(project: Project) -> None:
    project.add_settings('[sources."my-shop"]\ndlt_source = "shop:source"\nresources = ["orders"]')
    assert "small letters" in refused_sources()["my-shop"]


def test_a_key_that_nothing_reads_is_told(project: Project) -> None:
    configure(project, "shop", dlt_source="shop:source", resources=["orders"], api_key="shared")
    project.configure("713", "shop", api_key="own", whatever="own")
    assert [what.partition(" is not read")[0] for _, what in unread_settings()] == ["api_key"]
