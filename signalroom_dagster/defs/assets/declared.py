"""What is set aside, on one page: an asset whose check is red while anything that people have
written cannot be read.

It is looked at when somebody materializes it, and by the sensor `alert_on_definitions`.

https://docs.dagster.io/guides/test/asset-checks
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure
from signalroom_dagster.declarations import set_aside
from signalroom_dagster.defs.assets.status import GROUP
from signalroom_dagster.defs.factories import spec_of
from signalroom_dagster.defs.schedules import refused_schedules
from signalroom_dagster.set_aside import SetAside

DEFINITIONS = dg.AssetKey([GROUP, "definitions"])
CHECK = "nothing_set_aside"


def build_declared_asset() -> dg.AssetsDefinition:
    """`status/definitions`: what `signalroom doctor` tells of clients, settings, templates and
    models.
    """
    spec = spec_of(
        DEFINITIONS.path,
        "table",
        group_name=GROUP,
        description=(
            "What cannot be read of clients' files, settings, report templates and models, and is"
            " left out so that all else runs. Grain: client, subject. Looked at every few minutes"
            " in production, and whenever it is materialized."
        ),
    )
    readable = dg.AssetCheckSpec(
        CHECK, asset=DEFINITIONS, description="Everything that was written can be read."
    )

    @dg.multi_asset(name="look_at_definitions", specs=[spec], check_specs=[readable])
    def look() -> Iterator[Any]:
        found = everything_set_aside()
        tell_of(found, datetime.now(UTC))
        yield dg.MaterializeResult(asset_key=DEFINITIONS, metadata=_metadata(found))
        yield dg.AssetCheckResult(
            asset_key=DEFINITIONS, check_name=CHECK, passed=not found, description=_listed(found)
        )

    return look


def everything_set_aside() -> Sequence[SetAside]:
    """What is left out of the definitions, by us or by Dagster."""
    return sorted({*set_aside(), *refused_schedules()})


def events_of(found: Sequence[SetAside]) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """The same as materializing the asset records, for a look outside a run."""
    return [
        dg.AssetMaterialization(DEFINITIONS, metadata=_metadata(found)),
        dg.AssetCheckEvaluation(
            asset_key=DEFINITIONS,
            check_name=CHECK,
            passed=not found,
            description=_listed(found),
            metadata={},
        ),
    ]


def tell_of(found: Sequence[SetAside], now: datetime) -> None:
    """One incident for each thing that is set aside, over as soon as it can be read. What stays
    counts once a day.
    """
    for item in found:
        failure = Failure(
            kind="definition",
            subject=item.subject,
            client=item.client,
            error="Set aside",
            said=item.problem,
            run=f"look {now:%Y-%m-%d}",
        )
        telling.failed(failure)
    left = {(item.subject, item.client) for item in found}
    for incident in telling.open_incidents():
        if incident.kind == "definition" and (incident.subject, incident.client) not in left:
            telling.recovered("definition", incident.subject, incident.client)


def _listed(found: Sequence[SetAside]) -> str:
    return "\n".join(f"{item.client} {item.subject}: {item.problem}".strip() for item in found)


def _metadata(found: Sequence[SetAside]) -> Mapping[str, Any]:
    records = [
        {"client": item.client, "subject": item.subject, "problem": item.problem} for item in found
    ]
    schema = dg.TableSchema(
        [dg.TableColumn(name, "string") for name in ("client", "subject", "problem")]
    )
    return {
        "set_aside": len(found),
        "problems": dg.MetadataValue.table(
            [dg.TableRecord(record) for record in records], schema=schema
        ),
    }
