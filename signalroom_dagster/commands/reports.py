"""The command that writes a report and, when asked, sends it."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from signalroom_dagster.commands.terminal import ClientOption, client_named, say
from signalroom_dagster.config import ConfigurationError

if TYPE_CHECKING:
    from signalroom_dagster.notifications.message import Channel
    from signalroom_dagster.reports.making import Report

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
    """Write a report as files, show its text, and with --send bring it to its recipients."""
    from signalroom_dagster.reports import making
    from signalroom_dagster.retries import repeated
    from signalroom_dagster.sources.context import as_day
    from signalroom_dagster.warehouse.access import wait_until_reachable

    if resend and not send:
        raise ConfigurationError("--resend goes with --send")
    who, via = client_named(client), making.as_channel(channel)
    about = as_day(day) or making.yesterday(who)

    def make() -> "Report":
        if send:
            wait_until_reachable(say)
        return making.make_report(who, name, about)

    made = repeated(make, f"client {who.id}, report {name}") if send else make()
    say(made.rendered.sms if via == "sms" else made.rendered.text)
    for path in making.write_files(made):
        say(str(path))
    if send:
        _send(made, via, resend=resend)


def _send(made: "Report", channel: "Channel | None", *, resend: bool) -> None:
    """Send a report with the attempts and waits of a run, and show what came of each delivery, also
    when that fails.
    """
    from signalroom_dagster.alerts import telling
    from signalroom_dagster.reports import making
    from signalroom_dagster.retries import repeated
    from signalroom_dagster.warehouse.access import wait_until_reachable

    client, name, run_id = made.client, made.subscription.name, f"cli-{uuid.uuid4().hex[:12]}"

    def attempt() -> Sequence[object]:
        wait_until_reachable(say)
        return making.send_report(made, run_id, making.channels(), resend=resend, channel=channel)

    try:
        repeated(attempt, f"client {client.id}, report {name}")
    finally:
        states = making.delivery_states(made, channel)
        for item in states:
            say(f"{item.channel} {item.recipient}: {item.status} {item.error or ''}".rstrip())
    if any(item.status not in DONE for item in states):
        raise typer.Exit(1)
    if all(item.status in DONE for item in making.delivery_states(made)):
        telling.report_delivered(name, made.day, client.id)
