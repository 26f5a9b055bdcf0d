"""The command that writes a report and, when asked, sends it."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from signalroom_dagster.commands.terminal import ClientOption, client_named, say
from signalroom_dagster.config import ConfigurationError

if TYPE_CHECKING:
    from signalroom_dagster.notifications.message import Channel
    from signalroom_dagster.reports.report import Report

DONE = ("sent", "skipped")


def report(
    name: Annotated[str, typer.Argument(help="The report's name, as in the client's client.toml.")],
    client: ClientOption = None,
    day: Annotated[
        str | None, typer.Option("--date", help="The reported day, YYYY-MM-DD; default: yesterday.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", help="Only slack, email or sms.")
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Send it to those that get it and do not have it yet.")
    ] = False,
    resend: Annotated[
        bool,
        typer.Option(
            "--resend",
            help=(
                "With --send: again where nobody can tell whether it arrived; with --channel, to"
                " all of that channel."
            ),
        ),
    ] = False,
) -> None:
    """Write a report as files, show its text, and with --send deliver it."""
    from signalroom_dagster.loading.spans import as_day
    from signalroom_dagster.reports.dispatch import as_channel
    from signalroom_dagster.reports.report import make_report, write_files
    from signalroom_dagster.reports.subscriptions import report_day, yesterday
    from signalroom_dagster.retries import repeated
    from signalroom_dagster.warehouse.access import wait_until_reachable

    if resend and not send:
        raise ConfigurationError("--resend goes with --send")
    who, via = client_named(client), as_channel(channel)
    due = report_day(who, name, as_day(day) or yesterday(who))

    def make() -> "Report":
        if send:
            wait_until_reachable(say)
        return make_report(due)

    made = repeated(make, str(due)) if send else make()
    say(made.rendered.sms if via == "sms" else made.rendered.text)
    for path in write_files(made):
        say(str(path))
    if send:
        _send(made, via, resend=resend)


def _send(made: "Report", channel: "Channel | None", *, resend: bool) -> None:
    """Send a report with the attempts and waits of a run, and show what came of each delivery, also
    when that fails.
    """
    from signalroom_dagster.alerts import telling
    from signalroom_dagster.reports.dispatch import channels, delivery_states, send_report
    from signalroom_dagster.retries import repeated
    from signalroom_dagster.warehouse.access import wait_until_reachable

    run_id = f"cli-{uuid.uuid4().hex[:12]}"

    def attempt() -> Sequence[object]:
        wait_until_reachable(say)
        return send_report(made, run_id, channels(), resend=resend, channel=channel)

    try:
        repeated(attempt, str(made))
    finally:
        states = delivery_states(made, channel)
        for item in states:
            say(f"{item.channel} {item.recipient}: {item.status} {item.error or ''}".rstrip())
    if any(item.status not in DONE for item in states):
        raise typer.Exit(1)
    if all(item.status in DONE for item in delivery_states(made)):
        telling.report_delivered(made.name, made.day, made.client.id)
