"""How fresh everything is, on one page of the UI."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from signalroom_dagster.defs.alert_sensors import build_alert_sensors
from signalroom_dagster.defs.assets.status import FRESHNESS, build_status_asset
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster_tests.loads import load
from signalroom_dagster_tests.projects import Project, orders, write_export

ZONE = ZoneInfo("America/New_York")
OLD = datetime.now(UTC) - timedelta(days=3)


def rows(metadata: Any) -> dict[tuple[Any, Any], Any]:
    """The table, by client and source."""
    records = [record.data for record in metadata["sources"].records]
    return {(record["client"], record["source"]): record for record in records}


def test_every_source_of_every_client_stands_on_one_page_with_its_freshness(
    any_warehouse: Project,
) -> None:
    for client, status in (
        ("713", "active"),
        ("cti", "active"),
        ("new", "active"),
        ("next", "planned"),
    ):
        bucket = any_warehouse.add_client(client, status=status)
        if client != "new":
            modified = OLD if client == "cti" else datetime.now(UTC)
            write_export(
                bucket / "orders-create/report_2026-03-01.csv", orders([1, 2]), modified=modified
            )
            load("s3_exports", client)
    with dg.instance_for_test() as instance:
        assert dg.materialize(
            [build_status_asset()], instance=instance, resources=RESOURCES
        ).success
        record = instance.get_latest_materialization_event(FRESHNESS)
        sensor: Any = {each.name: each for each in build_alert_sensors()}["alert_on_stale_sources"]
        looked = sensor(dg.build_sensor_context(instance=instance))
    assert record and record.asset_materialization
    metadata = record.asset_materialization.metadata
    found = rows(metadata)
    assert [(client, found[client, source]["state"]) for client, source in found] == [
        ("cti", "stale"),
        ("713", "fresh"),
        ("new", "never loaded"),
        ("next", "planned"),
    ]
    assert (metadata["stale"].value, metadata["fresh"].value, metadata["never_loaded"].value) == (
        1,
        1,
        1,
    )
    told = found["cti", "s3_exports"]
    assert (told["rows"], told["within"]) == (2, "26h")
    assert told["data up to"].startswith(f"{OLD.astimezone(ZONE):%d\N{NO-BREAK SPACE}%b}")
    assert found["new", "s3_exports"]["last load"] == "never"
    (noted,) = looked.asset_events
    assert noted.asset_key == FRESHNESS and rows(noted.metadata).keys() == found.keys()
    assert looked.skip_reason.skip_message == "stale: s3_exports of client cti"
