"""Reports as assets: one per name that clients subscribe to, partitioned by those clients, made for
one day.

What a report depends on is read from its queries. A run waits for inputs only where it is asked to:
what is due waits outside of runs (`defs.due_reports`). No pool on DuckDB: a slot in it would keep
what a run waits for from being loaded; a report takes the lock file for moments only.

https://docs.dagster.io/guides/build/assets/defining-assets
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from signalroom_dagster.defs.factories import spec_of
from signalroom_dagster.defs.resources import Channels, Warehouse
from signalroom_dagster.errors import WrongRequestError
from signalroom_dagster.loading.spans import as_day
from signalroom_dagster.modeling.runs import sources_of
from signalroom_dagster.modeling.sql import TableName
from signalroom_dagster.naming import report_step
from signalroom_dagster.platform.attempts import attempt, client_of, first_run_id
from signalroom_dagster.platform.tags import REPORT_TAG
from signalroom_dagster.registry.clients import Client, clients_of, load_clients
from signalroom_dagster.reports.deliveries import Delivery
from signalroom_dagster.reports.dispatch import as_channel, send_report
from signalroom_dagster.reports.inputs import wait_for_inputs
from signalroom_dagster.reports.outbox import SHADOW
from signalroom_dagster.reports.report import Report, make_report, write_files
from signalroom_dagster.reports.settings import report_settings
from signalroom_dagster.reports.subscriptions import (
    Subscription,
    report_day,
    subscribers,
    yesterday,
)

GROUP = "reports"
ABOUT = """Made for one day of a client (yesterday, or the `date` of the run's configuration), kept
in `reports.reports`, and sent once to each of those that the client's subscription names.
Grain: client, date, version."""
DELIVERED = "delivered"


class ReportConfig(dg.Config):
    """What a run may be asked for beside the client."""

    date: str | None = Field(
        default=None, description="The reported day, YYYY-MM-DD; default: yesterday."
    )
    send: bool | None = Field(
        default=None,
        description=(
            "Whether to send it; default: the setting reports.send, once its inputs are complete."
        ),
    )
    resend: bool = Field(
        default=False,
        description=(
            "Send it again where nobody can tell whether it arrived; with a channel, to all of that"
            " channel."
        ),
    )
    channel: str | None = Field(default=None, description="Send it only by slack, email or sms.")
    wait_minutes: float | None = Field(
        default=None,
        ge=0,
        description=(
            "How long to wait for complete inputs, in this run. Without it a report of incomplete"
            " inputs is made, and sent only if `send` says so, or the wait of the settings is over."
        ),
    )


def build_report_assets() -> list[dg.AssetsDefinition]:
    """Every report that a client subscribes to."""
    return [_asset_of(name, clients) for name, clients in subscribers().items()]


def _asset_of(name: str, clients: Mapping[str, Subscription]) -> dg.AssetsDefinition:
    by_name = {item.template.name: item.template for item in clients.values()}
    templates = [by_name[template] for template in sorted(by_name)]
    reads = sorted({table for template in templates for table in template.reads})

    spec = spec_of(
        ["reports", name],
        "report",
        deps=[_dependency(read, clients) for read in reads],
        group_name=GROUP,
        description="\n\n".join(
            [*(f"{item.about} Template: `{item.name}`.".lstrip() for item in templates), ABOUT]
        ),
        partitions_def=dg.StaticPartitionsDefinition([*clients]),
    )

    delivered = dg.AssetCheckSpec(
        DELIVERED,
        asset=spec.key,
        description="Of each recipient it is known whether the report was sent.",
    )

    @dg.multi_asset(
        name=report_step(name), specs=[spec], check_specs=[delivered], op_tags={REPORT_TAG: name}
    )
    def report(
        context: dg.AssetExecutionContext,
        warehouse: Warehouse,
        channels: Channels,
        config: ReportConfig,
    ) -> Iterator[Any]:
        client = client_of(context)
        with attempt(context, f"client {client.id}, report {name}"):
            yield _make(context, client, name, config, warehouse, channels)

    return report


def _make(
    context: dg.AssetExecutionContext,
    client: Client,
    name: str,
    config: ReportConfig,
    warehouse: Warehouse,
    channels: Channels,
) -> dg.MaterializeResult[Any]:
    settings, channel = report_settings(), as_channel(config.channel)
    day = reported_day(context.instance, context.run, client, config.date)
    if day > (today := datetime.now(client.zone).date()):
        raise WrongRequestError(f"{day} is still to come: client {client.id} is at {today}")
    wait = settings.wait_minutes if config.wait_minutes is None else config.wait_minutes
    left = minutes_left(context.instance, context.run, wait)
    due = report_day(client, name, day)
    if config.wait_minutes is not None:
        wait_for_inputs(due, left, settings.check_seconds, context.log.info)
        left = 0.0
    warehouse.wait(context.log.warning)
    made = make_report(due)
    paths = write_files(made)
    sends = settings.send if config.send is None else config.send
    unsent = SHADOW
    if made.stale and left and config.send is None:
        titles = ", ".join(item.title for item in made.stale)
        sends, unsent = False, f"{titles}: {day} is not whole yet"
        context.log.warning(
            "not sent: %s. Its schedule sends it when it is; `send: true` sends it as it is", unsent
        )
    run_id = first_run_id(context.instance, context.run)
    sender = channels.sender() if sends else None
    done = send_report(made, run_id, sender, resend=config.resend, channel=channel, unsent=unsent)
    for item in made.stale:
        context.log.warning("%s does not cover %s whole", item.title, day)
    return _result(made, day, done, paths)


def _result(
    made: Report, day: date, done: Sequence[Delivery], paths: Sequence[Path]
) -> dg.MaterializeResult[Any]:
    unknown = [item for item in done if item.status == "unknown"]
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


def reported_day(
    instance: dg.DagsterInstance, run: dg.DagsterRun, client: Client, asked: str | None
) -> date:
    """The day that a run's report is about: the one asked for, or the day before the run was, where
    the client is.

    Attempts and restarts after midnight are about the same. Raises ConfigurationError for what is
    no date.
    """
    if day := as_day(asked):
        return day
    record = instance.get_run_record_by_id(first_run_id(instance, run))
    return yesterday(client, record.create_timestamp if record else None)


def minutes_left(instance: dg.DagsterInstance, run: dg.DagsterRun, minutes: float) -> float:
    """What is left of a wait that began when the report was asked for: the queue and crashed runs
    make none later.
    """
    record = instance.get_run_record_by_id(first_run_id(instance, run))
    return (
        max(0.0, minutes - (time.time() - record.create_timestamp.timestamp()) / 60)
        if record
        else minutes
    )


def _dependency(read: TableName, subscribed: Mapping[str, Subscription]) -> dg.AssetDep:
    """A table that a query names; of subscribers that do not use the source behind it, nothing is
    missing.
    """
    sources = sources_of([read])
    upstream = [client.id for client in clients_of(sources[0])] if sources else [*load_clients()]
    both = {client: client for client in upstream if client in subscribed}
    return dg.AssetDep(dg.AssetKey([*read]), partition_mapping=dg.StaticPartitionMapping(both))


def _delivered(done: Sequence[Delivery]) -> str:
    lines = [
        f"| {item.channel} | {_hinted(item)} | {item.status} | {item.error or ''} |"
        for item in done
    ]
    return "\n".join(["| channel | recipient | status | remark |", "|---|---|---|---|", *lines])


def _hinted(item: Delivery) -> str:
    """A recipient so that colleagues know who is meant; addresses and numbers stay in
    `reports.deliveries`.
    """
    if item.channel == "email":
        return f"{item.recipient[0]}…@{item.recipient.rpartition('@')[2]}"
    return f"…{item.recipient[-4:]}" if item.channel == "sms" else item.recipient
