"""How fresh every client's sources are, on one page: an asset whose metadata is the table of them.

It is looked at when somebody materializes it, and once an hour by the sensor
`alert_on_stale_sources`. Not partitioned, because the page is about all clients at once.

https://docs.dagster.io/guides/build/assets/metadata-and-tags
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from signalroom_dagster.defs.factories import spec_of
from signalroom_dagster.defs.resources import Warehouse
from signalroom_dagster.freshness.status import Standing, standing
from signalroom_dagster.platform.attempts import attempt
from signalroom_dagster.warehouse.engine import writers_pool

GROUP = "status"
FRESHNESS = dg.AssetKey([GROUP, "freshness"])


def build_status_asset() -> dg.AssetsDefinition:
    """`status/freshness`: the same as `signalroom status` tells, without the incidents."""
    spec = spec_of(
        FRESHNESS.path,
        "table",
        group_name=GROUP,
        description=(
            "How fresh each source of each client is: up to when there is data, and how old it may"
            " be. Grain: client, source. Filled in once an hour in production, and whenever"
            " somebody materializes it."
        ),
    )

    @dg.multi_asset(
        name="look_at_freshness",
        specs=[spec],
        pool=writers_pool(),
        op_tags={"dagster/priority": "-1"},  # in a run with loads: after them
    )
    def look(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
        with attempt(context, "freshness of all clients"):
            warehouse.wait(context.log.warning)
            return dg.MaterializeResult(
                asset_key=FRESHNESS, metadata=freshness_metadata(standing(), datetime.now(UTC))
            )

    return look


def freshness_metadata(found: Sequence[Standing], now: datetime) -> Mapping[str, Any]:
    """The table of all sources, those that are stale first, and how many there are of each
    state.
    """
    ordered = sorted(found, key=lambda item: item.state(now) != "stale")
    states = [item.state(now) for item in found]
    return {
        "sources": dg.MetadataValue.table([_record(item, now) for item in ordered], schema=_SCHEMA),
        **{
            state.replace(" ", "_"): states.count(state)
            for state in ("stale", "fresh", "never loaded")
        },
    }


def _record(item: Standing, now: datetime) -> dg.TableRecord:
    loaded, age, zone = item.loaded, item.age, item.loaded.client.zone
    return dg.TableRecord(
        {
            "client": loaded.client.id,
            "source": loaded.source,
            "state": item.state(now),
            "data up to": _told(age.covered.astimezone(zone), now) if age else "",
            "last load": (
                _told(loaded.loaded_at.astimezone(zone), now) if loaded.loaded_at else "never"
            ),
            "within": f"{age.within.total_seconds() / 3_600:g}h" if age else "",
            "rows": loaded.rows,
        }
    )


def _told(moment: datetime, now: datetime) -> str:
    """Short, and with blanks that do not break: the page is narrow."""
    return moment.strftime("%d %b %H:%M" if moment.year == now.year else "%d %b %Y").replace(
        " ", "\N{NO-BREAK SPACE}"
    )


_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("client", "string"),
        dg.TableColumn("source", "string"),
        dg.TableColumn(
            "state",
            "string",
            description=(
                "of a closed account all is there; of what is only loaded, age does not count"
            ),
        ),
        dg.TableColumn(
            "data up to", "string", description="of the source's oldest table, in the client's zone"
        ),
        dg.TableColumn("last load", "string", description="in the client's zone"),
        dg.TableColumn(
            "within", "string", description="how old it may be: the setting fresh_within"
        ),
        dg.TableColumn("rows", "int", description="that the client has of the source"),
    ]
)
