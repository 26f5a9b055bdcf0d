"""The command that writes a report and, when asked, sends it."""

import uuid
from typing import Annotated

import typer

from signalroom_dagster.commands.terminal import ClientOption, client_named, say
from signalroom_dagster.config import ConfigurationError


def report(
    name: Annotated[str, typer.Argument(help="The report's name, as in the client's client.toml.")],
    client: ClientOption = None,
    day: Annotated[str | None, typer.Option("--date", help="The reported day, YYYY-MM-DD; default: yesterday.")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Only slack, email or sms.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send it to those that get it and do not have it yet.")] = False,
    resend: Annotated[bool, typer.Option("--resend", help="With --send: also to those that have it.")] = False,
) -> None:
    """Write a report as files, show its text, and with --send bring it to its recipients."""
    from signalroom_dagster.reports import making
    from signalroom_dagster.sources.context import as_day

    if resend and not send:
        raise ConfigurationError("--resend goes with --send")
    who, via = client_named(client), making.as_channel(channel)
    made = making.make_report(who, name, as_day(day) or making.yesterday(who))
    say(made.rendered.sms if via == "sms" else made.rendered.text)
    for path in making.write_files(made):
        say(str(path))
    if send:
        run_id = f"cli-{uuid.uuid4().hex[:12]}"
        done = making.send_report(made, run_id, making.channels(), resend=resend, channel=via)
        for item in done:
            said = f"{item.channel} {item.recipient}: {item.status} {item.error or ''}"
            say(said.rstrip())
        if any(item.status == "unknown" for item in done):
            raise typer.Exit(1)
