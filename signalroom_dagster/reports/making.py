"""A report from its client and day to its texts, its place in the archive, its files and its
recipients.

The warehouse is held only while it is read or written, never while something is drawn, sent or
waited for.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from signalroom_dagster.config import ConfigurationError, destination_name, reports_dir
from signalroom_dagster.freshness.coverage import Coverage, coverage
from signalroom_dagster.loading.pipelines import create_tables
from signalroom_dagster.modeling.runs import run_model, sources_of
from signalroom_dagster.modeling.sql import behind, models
from signalroom_dagster.notifications.message import (
    Channel,
    PermanentDeliveryError,
    RetryableDeliveryError,
    Sender,
)
from signalroom_dagster.registry.catalog import is_reference
from signalroom_dagster.registry.clients import Client
from signalroom_dagster.reports.archive import last_inputs, store
from signalroom_dagster.reports.figures import Figures, figures
from signalroom_dagster.reports.outbox import SHADOW, Delivery, deliver, deliveries
from signalroom_dagster.reports.rendering import CHART_NAME, Rendered, render
from signalroom_dagster.reports.subscriptions import Subscription, subscription
from signalroom_dagster.reports.tables import SCHEMA, create_report_tables
from signalroom_dagster.reports.templates import Template, get_template
from signalroom_dagster.warehouse.access import (
    LOCK_WAIT_SECONDS,
    connected,
    exclusive,
    table_exists,
    transaction,
    wait_until_reachable,
)
from signalroom_dagster.warehouse.errors import DestinationUnreachableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report as it was made: what it says and what it was made from."""

    client: Client
    subscription: Subscription
    day: date
    figures: Figures
    rendered: Rendered

    @property
    def stale(self) -> Sequence[Coverage]:
        """The sources that do not cover the reported day whole."""
        return [item for item in self.figures.coverage if item.state(self.day) != "whole"]


def yesterday(client: Client, now: datetime | None = None) -> date:
    """The day before today, where the client is."""
    return (now or datetime.now(UTC)).astimezone(client.zone).date() - timedelta(days=1)


def make_report(client: Client, name: str, day: date) -> Report:
    """A report from the warehouse as it is now, after the models behind it have been made anew for
    the client.

    Raises ConfigurationError for a report that the client does not have, or has no source for.
    """
    wanted = subscription(client, name)
    template = get_template(wanted.template)
    needed = [each for each in sources_of(behind(template.reads)) if not is_reference(each)]
    if needed and not {*needed} & {*client.sources}:
        raise ConfigurationError(
            f"client {client.id}, report {name}: it is made from {', '.join(needed)}, and the"
            " client uses none of them"
        )
    with exclusive():
        create_report_tables()
        with (
            connected() as query
        ):  # before the models: what is loaded meanwhile must not count as told
            reach = coverage(query, client, template.reads, day)
        _bring_up_to_date(client, template)
        with transaction(f"client {client.id}, report {name}") as query:
            if destination_name() == "postgres":
                query(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
                )  # all queries see one state
            last = last_inputs(query, client.id, name, day)
            found = figures(query, client, template, day, wanted.params, reach, last)
    return Report(
        client=client,
        subscription=wanted,
        day=day,
        figures=found,
        rendered=render(wanted, client, day, found),
    )


def stale_sources(
    client: Client, name: str, day: date, lock_seconds: float = LOCK_WAIT_SECONDS
) -> Sequence[Coverage]:
    """The sources behind a report that do not cover a day whole; holds the warehouse for a
    moment.
    """
    template = get_template(subscription(client, name).template)
    with exclusive(lock_seconds), connected() as query:
        return [
            item
            for item in coverage(query, client, template.reads, day)
            if item.state(day) != "whole"
        ]


def wait_for_inputs(
    client: Client,
    name: str,
    day: date,
    wait_minutes: float,
    check_seconds: float,
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> Sequence[Coverage]:
    """Return once every source covers the day whole, or after so many minutes; the sources that
    then still do not.

    Holds nothing between two looks, so that what is waited for can be loaded. A warehouse that is
    away is waited for beside that. Raises DestinationLostError when it stays away.
    """
    give_up = time.monotonic() + wait_minutes * 60
    while True:
        began = time.monotonic()
        wait_until_reachable(say)
        try:
            stale = stale_sources(client, name, day)
        except DestinationUnreachableError as error:
            say(f"{error}; asking again")
            pause(check_seconds)
            give_up += time.monotonic() - began
            continue
        if not stale or time.monotonic() >= give_up:
            return stale
        say(
            f"{name} of client {client.id} waits for {', '.join(item.title for item in stale)} to"
            f" cover {day}"
        )
        pause(min(check_seconds, max(0.0, give_up - time.monotonic())))


def keep_report(report: Report, run_id: str) -> int:
    """Put a report into the archive; its version."""
    name = report.subscription.name
    with exclusive():
        create_report_tables()
    with exclusive(), transaction(f"client {report.client.id}, report {name}") as query:
        return store(
            query,
            report.client.id,
            name,
            report.subscription.template,
            report.day,
            report.rendered,
            report.figures.inputs(),
            run_id,
        )


def send_report(
    report: Report,
    run_id: str,
    sender: Sender | None,
    *,
    resend: bool = False,
    channel: Channel | None = None,
    unsent: str = SHADOW,
) -> Sequence[Delivery]:
    """Keep a report and bring it to everybody that gets it, or to one channel; what came of each
    delivery.

    `resend` sends again what nobody can tell has arrived; with a channel, whatever goes there. All
    are tried before an error is raised: of those that may be retried the one that has to wait
    longest, before one that may not. Without a sender nothing is sent, for the reason `unsent`.
    """
    version = keep_report(report, run_id)
    again = ("all" if channel else "unknown") if resend else None
    done: list[Delivery] = []
    failed: list[PermanentDeliveryError | RetryableDeliveryError] = []
    for via, recipient in report.subscription.recipients:
        if channel in (None, via):
            wanted = Delivery(
                client_id=report.client.id,
                report=report.subscription.name,
                day=report.day,
                channel=via,
                recipient=recipient,
                version=version,
            )
            try:
                done.append(
                    deliver(wanted, report.rendered, run_id, sender, resend=again, unsent=unsent)
                )
            except (PermanentDeliveryError, RetryableDeliveryError) as error:
                log.warning(
                    "client %s, report %s, %s: %s",
                    report.client.id,
                    report.subscription.name,
                    via,
                    error,
                )
                failed.append(error)
    if failed:
        passing = [error for error in failed if isinstance(error, RetryableDeliveryError)]
        raise max(passing, key=lambda error: error.retry_after or 0) if passing else failed[0]
    return done


def delivery_states(report: Report, channel: Channel | None = None) -> Sequence[Delivery]:
    """What the outbox holds of a report: the newest delivery to each recipient, or to those of one
    channel.
    """
    with exclusive(), connected() as query:
        if not table_exists(query, SCHEMA, "deliveries"):
            return []
        kept = deliveries(query, report.client.id, report.subscription.name, report.day)
    newest = {
        (item.channel, item.recipient): item for item in kept if channel in (None, item.channel)
    }
    return list(newest.values())


def as_channel(name: str | None) -> Channel | None:
    """A channel as it is written on the command line. Raises ConfigurationError for others."""
    known: Mapping[str | None, Channel | None] = {
        None: None,
        "slack": "slack",
        "email": "email",
        "sms": "sms",
    }
    if name not in known:
        raise ConfigurationError(f"no channel {name!r} (there are: slack, email, sms)")
    return known[name]


def channels() -> Sender:
    """The real channels."""
    from signalroom_dagster.notifications import delivery

    return delivery


def write_files(report: Report, folder: Path | None = None) -> Sequence[Path]:
    """A report as files in `<folder>/<client>/`: HTML, chart, and each channel's text; their
    paths.
    """
    place = (folder or reports_dir()) / report.client.id
    place.mkdir(parents=True, exist_ok=True)
    stem, rendered = f"{report.subscription.name}-{report.day}", report.rendered
    chart = f"{stem}-{CHART_NAME}"
    contents: dict[str, str | bytes | None] = {
        f"{stem}.html": rendered.html_with_chart(chart),
        chart: rendered.chart,
        f"{stem}.txt": rendered.text,
        f"{stem}.slack.txt": rendered.slack,
        f"{stem}.sms.txt": rendered.sms,
    }
    written: list[Path] = []
    for name, content in contents.items():
        if content:
            (place / name).write_bytes(content.encode() if isinstance(content, str) else content)
            written.append(place / name)
    return written


def write_report(
    client: Client, name: str, day: date | None = None, folder: Path | None = None
) -> Sequence[Path]:
    """Make a report and write it as files, without keeping or sending it; their paths."""
    return write_files(make_report(client, name, day or yesterday(client)), folder)


def create_tables_of_reports() -> None:
    """The tables that reports are kept in, where they are not there yet."""
    with exclusive():
        create_report_tables()


def _bring_up_to_date(client: Client, template: Template) -> None:
    """Models follow their sources within a minute or two; a report does not tell yesterday's."""
    wanted = {*behind(template.reads)}
    for name in models():
        if name in wanted:
            run_model(name, client)
    with connected() as query:
        missing = [read for read in template.reads if not table_exists(query, *read)]
    if not missing:
        return
    if unknown := [read for read in missing if not sources_of([read])]:
        raise ConfigurationError(
            f"report template {template.name} reads {'.'.join(unknown[0])}, which no client's"
            " sources bring"
        )
    for source in sources_of(missing):
        create_tables(source)
