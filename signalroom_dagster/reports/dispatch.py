"""A report on its way out: kept in the archive, then brought to everybody that gets it."""

import logging
from collections.abc import Sequence
from typing import cast, get_args

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.notifications import delivery
from signalroom_dagster.notifications.message import (
    Channel,
    PermanentDeliveryError,
    RetryableDeliveryError,
    Sender,
)
from signalroom_dagster.reports.archive import store
from signalroom_dagster.reports.deliveries import Delivery, deliveries
from signalroom_dagster.reports.outbox import SHADOW, deliver
from signalroom_dagster.reports.report import Report
from signalroom_dagster.reports.tables import SCHEMA
from signalroom_dagster.warehouse.access import connected, exclusive, table_exists, transaction

log = logging.getLogger(__name__)


def keep_report(report: Report, run_id: str) -> int:
    """Put a report into the archive; its version."""
    with exclusive(), transaction(str(report)) as query:
        return store(query, report, report.rendered, report.figures.inputs(), run_id)


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
        if channel not in (None, via):
            continue
        new = Delivery(
            client_id=report.client.id,
            report=report.name,
            day=report.day,
            channel=via,
            recipient=recipient,
            version=version,
        )
        try:
            done.append(deliver(new, report.rendered, run_id, sender, resend=again, unsent=unsent))
        except (PermanentDeliveryError, RetryableDeliveryError) as error:
            log.warning("%s, %s: %s", report, via, error)
            failed.append(error)
    if failed:
        passing = [error for error in failed if isinstance(error, RetryableDeliveryError)]
        raise max(passing, key=lambda error: error.retry_after or 0, default=failed[0])
    return done


def delivery_states(report: Report, channel: Channel | None = None) -> Sequence[Delivery]:
    """What the outbox holds of a report: the newest delivery to each recipient, or to those of one
    channel.
    """
    with exclusive(), connected() as query:
        if not table_exists(query, SCHEMA, "deliveries"):
            return []
        rows = deliveries(query, report.client.id, report.name, report.day)
    newest = {row.address: row for row in rows if channel in (None, row.channel)}
    return list(newest.values())


def as_channel(name: str | None) -> Channel | None:
    """A channel as it is written on the command line. Raises ConfigurationError for others."""
    if name not in (None, *get_args(Channel)):
        raise ConfigurationError(f"no channel {name!r} (there are: {', '.join(get_args(Channel))})")
    return cast("Channel | None", name)


def channels() -> Sender:
    """The real channels."""
    return delivery
