"""Reports as assets: one per name that clients subscribe to, partitioned by those clients, made for one day.

What a report depends on is read from its queries. No pool on DuckDB: a report waits for its inputs, which a slot in the
pool would keep from being loaded; it takes the lock file for moments only.

https://docs.dagster.io/guides/build/assets/defining-assets
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from signalroom_dagster.clients import Client, clients_of, get_client, load_clients
from signalroom_dagster.config import destination_name
from signalroom_dagster.defs.attempts import attempt, first_run_id
from signalroom_dagster.loading import warehouse
from signalroom_dagster.loading.model_runs import sources_of
from signalroom_dagster.loading.sql_models import TableName
from signalroom_dagster.reports import making
from signalroom_dagster.reports.outbox import Delivery
from signalroom_dagster.reports.settings import report_settings
from signalroom_dagster.reports.subscriptions import Subscription, subscribers
from signalroom_dagster.reports.templates import get_template
from signalroom_dagster.sources.context import as_day

OWNER = "team:data"
GROUP = "reports"
ABOUT = """Made for one day of a client (yesterday, or the `date` of the run's configuration), kept in
`reports.reports`, and sent once to each of those that the client's subscription names. Grain: client, date, version."""
DELIVERED = "delivered"


class ReportConfig(dg.Config):
    """What a run may be asked for beside the client."""

    date: str | None = Field(default=None, description="The reported day, YYYY-MM-DD; default: yesterday.")
    send: bool | None = Field(default=None, description="Whether to send it; default: the setting reports.send.")
    resend: bool = Field(default=False, description="Send it again to those that have it already.")
    wait_minutes: float | None = Field(
        default=None, ge=0, description="How long to wait for complete inputs; default: the setting."
    )


def build_report_assets() -> list[dg.AssetsDefinition]:
    """Every report that a client subscribes to."""
    return [_asset_of(name, clients) for name, clients in subscribers().items()]


def _asset_of(name: str, clients: Mapping[str, Subscription]) -> dg.AssetsDefinition:
    templates = sorted({item.template for item in clients.values()})
    reads = sorted({table for template in templates for table in get_template(template).reads})

    spec = dg.AssetSpec(
        key=["reports", name],
        deps=[_dependency(read, clients) for read in reads],
        group_name=GROUP,
        kinds={"report", destination_name()},
        owners=[OWNER],
        description="\n\n".join([*map(_about, templates), ABOUT]),
        partitions_def=dg.StaticPartitionsDefinition([*clients]),
    )

    delivered = dg.AssetCheckSpec(
        DELIVERED, asset=spec.key, description="Of each recipient it is known whether the report was sent."
    )

    @dg.multi_asset(name=f"report_{name}", specs=[spec], check_specs=[delivered], op_tags={"signalroom/report": name})
    def report(context: dg.AssetExecutionContext, config: ReportConfig) -> Iterator[Any]:
        client = get_client(context.partition_key)
        with attempt(context, f"client {client.id}, report {name}"):
            yield _make(context, client, name, config)

    return report


def _about(template: str) -> str:
    return f"{get_template(template).about} Template: `{template}`.".lstrip()


def _make(
    context: dg.AssetExecutionContext, client: Client, name: str, config: ReportConfig
) -> dg.MaterializeResult[Any]:
    settings = report_settings()
    day = as_day(config.date) or making.yesterday(client)
    wait = settings.wait_minutes if config.wait_minutes is None else config.wait_minutes
    warehouse.wait_until_reachable(context.log.warning)
    if context.retry_number == 0:
        left = minutes_left(context.instance, context.run, wait)
        making.wait_for_inputs(client, name, day, left, settings.check_seconds, context.log.info)
    made = making.make_report(client, name, day)
    paths = making.write_files(made)
    sends = settings.send if config.send is None else config.send
    run_id = first_run_id(context.instance, context.run)
    done = making.send_report(made, run_id, making.channels() if sends else None, resend=config.resend)
    unknown = [item for item in done if item.status == "unknown"]
    for item in made.stale:
        context.log.warning("%s does not cover %s whole", item.title, day)
    return dg.MaterializeResult(
        metadata={
            "date": str(day),
            "preview": dg.MetadataValue.md(made.rendered.markdown()),
            "stale_sources": ", ".join(item.title for item in made.stale) or "none",
            "deliveries": dg.MetadataValue.md(_delivered(done)),
            "unknown_deliveries": len(unknown),
            "files": dg.MetadataValue.md("\n".join(f"- `{path}`" for path in paths)),
            "hash": made.rendered.hash,
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=DELIVERED,
                passed=not unknown,
                severity=dg.AssetCheckSeverity.ERROR,
                description=_delivered(unknown),
            )
        ],
    )


def minutes_left(instance: dg.DagsterInstance, run: dg.DagsterRun, minutes: float) -> float:
    """What is left of a wait that began when the report was asked for: the queue and crashed runs make none later."""
    record = instance.get_run_record_by_id(first_run_id(instance, run))
    return max(0.0, minutes - (time.time() - record.create_timestamp.timestamp()) / 60) if record else minutes


def _dependency(read: TableName, subscribed: Mapping[str, Subscription]) -> dg.AssetDep:
    """A table that a query names; of subscribers that do not use the source behind it, nothing is missing."""
    sources = sources_of([read])
    upstream = [client.id for client in clients_of(sources[0])] if sources else [*load_clients()]
    both = {client: client for client in upstream if client in subscribed}
    return dg.AssetDep(dg.AssetKey([*read]), partition_mapping=dg.StaticPartitionMapping(both))


def _delivered(done: Sequence[Delivery]) -> str:
    lines = [f"| {item.channel} | {_hinted(item)} | {item.status} | {item.error or ''} |" for item in done]
    return "\n".join(["| channel | recipient | status | remark |", "|---|---|---|---|", *lines])


def _hinted(item: Delivery) -> str:
    """A recipient so that colleagues know who is meant; addresses and numbers stay in `reports.deliveries`."""
    if item.channel == "email":
        return f"{item.recipient[0]}…@{item.recipient.rpartition('@')[2]}"
    return f"…{item.recipient[-4:]}" if item.channel == "sms" else item.recipient
