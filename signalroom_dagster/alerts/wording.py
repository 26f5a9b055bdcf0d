"""What a message about an incident says: what broke, whom it touches, where to look, and the one
command to run.

Nothing but names, counts and what our own errors say: these hold no secret and no person's data by
their making.
"""

import functools
import re
from collections.abc import Collection, Mapping
from datetime import date, datetime, tzinfo
from importlib.resources import files
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from signalroom_dagster.alerts.incidents import Incident, Kind
from signalroom_dagster.config import ConfigurationError, ui_url
from signalroom_dagster.registry.clients import Client, load_clients

if TYPE_CHECKING:
    from jinja2 import Template

Moment = Literal["opened", "repeated", "recovered"]

MARKS: Mapping[Moment, str] = {"opened": "🔴", "repeated": "🟠", "recovered": "🟢"}
HEADLINES: Mapping[Kind, tuple[str, str]] = {
    "source": ("{subject} does not load", "{subject} loads again"),
    "table": ("{subject} cannot be made", "{subject} is made again"),
    "report": ("Report {subject} fails", "Report {subject} works again"),
    "check": ("Check failed: {subject}", "Check passes again: {subject}"),
    "step": ("{subject} fails", "{subject} works again"),
    "tick": ("{subject} fails", "{subject} works again"),
    "stale": ("{subject} is stale", "{subject} is fresh again"),
    "files": ("Files of {subject} are left out", "No file of {subject} is left out any more"),
    "warehouse": ("The warehouse cannot be used", "The warehouse works again"),
    "consumer": ("Events are not analysed", "Events are analysed again"),
    "definition": ("{subject} is set aside", "{subject} is read again"),
}
_MATERIALIZE = (
    "dagster asset materialize -m signalroom_dagster.definitions --select {table} --partition"
    " {client}"
)
COMMANDS: Mapping[Kind, str] = {
    "source": "signalroom run {subject} --client {client}",
    "table": _MATERIALIZE,
    "report": "signalroom report {report} --client {client} --date {day} --send",
    "check": _MATERIALIZE,
    "step": "signalroom doctor",
    "tick": "signalroom doctor",
    "stale": "signalroom run {subject} --client {client}",
    "files": "signalroom status",
    "warehouse": "signalroom doctor",
    "consumer": "signalroom events consume --once",
    "definition": "signalroom doctor",
}
RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}\Z")
MOST_NAMED = 8
REPORT, OF = "reports/", " of "


def report_subject(name: str, day: date) -> str:
    """What an incident of one day's report is about: `daily_ccw of 2026-03-02`."""
    return f"{name}{OF}{day}"


def delivery_subject(name: str, day: date) -> str:
    """What an incident is about when it is not known whether one day's report arrived."""
    return f"{REPORT}{report_subject(name, day)}: delivered"


def moment(incident: Incident) -> Moment:
    """Which of its messages is due."""
    return (
        "recovered" if incident.closed_at is not None else "repeated" if incident.told else "opened"
    )


def headline(incident: Incident) -> str:
    """One line: what broke and for whom."""
    now = moment(incident)
    said = HEADLINES[incident.kind][now == "recovered"].format(subject=incident.subject)
    client = f" (client {incident.client})" if incident.client else ""
    return f"{MARKS[now]} {said}{client}"


def body(incident: Incident) -> str:
    """The rest of the message, in Slack's mrkdwn."""
    clients = _clients(incident)
    zone = clients[0].zone if incident.client and clients else ZoneInfo("UTC")
    return (
        _template()
        .render(
            i=incident,
            opened=_clock(incident.opened_at, zone),
            last=_clock(incident.last_at, zone),
            closed=_clock(incident.closed_at, zone) if incident.closed_at is not None else "",
            touched=_listed(
                [
                    f"{client} {subject}"
                    for client, subject in incident.touched
                    if not incident.client
                ]
            ),
            reports=_listed(
                sorted({name for client in clients for name in _reports(incident, client)})
            ),
            link=f"{ui_url()}/runs/{incident.run}" if RUN_ID.match(incident.run) else "",
            command=command(incident),
        )
        .strip()
    )


def command(incident: Incident) -> str:
    """The one command to run next; of a report, for the day that the incident is about."""
    if incident.concerns == "settings" and incident.client:
        return f"signalroom doctor --client {incident.client}"
    table = incident.subject.partition(":")[0]
    is_check_of_report = incident.kind == "check" and table.startswith(REPORT)
    if is_check_of_report or incident.kind == "report":
        report, _, day = table.removeprefix(REPORT).partition(OF)
        wanted = COMMANDS["report"] if day else COMMANDS["report"].replace(" --date {day}", "")
        again = " --resend" if is_check_of_report else ""
        return wanted.format(report=report, client=incident.client, day=day) + again
    wanted = COMMANDS[incident.kind]
    if not incident.client and "{client}" in wanted:
        return "signalroom doctor"
    return wanted.format(subject=incident.subject, client=incident.client, table=table)


def _clients(incident: Incident) -> list[Client]:
    """The clients that it touches; none when the registry itself is what is broken."""
    wanted = {client for client, _ in incident.touched} | {incident.client}
    try:
        return [client for client in load_clients().values() if client.id in wanted]
    except ConfigurationError:
        return []


def _reports(incident: Incident, client: Client) -> Collection[str]:
    """The reports of a client that are made from what is broken; all of them where that cannot be
    told.
    """
    from signalroom_dagster.modeling.sql import behind
    from signalroom_dagster.registry import catalog
    from signalroom_dagster.reports.subscriptions import subscriptions

    subject = incident.subject.partition(":")[0]
    if incident.kind == "report" or subject.startswith(REPORT):
        return [subject.removeprefix(REPORT).partition(OF)[0]]
    try:
        if incident.kind in ("source", "stale", "files"):
            broken = set(catalog.tables_of(subject))
        elif incident.kind in ("table", "check"):
            schema, _, table = subject.partition("/")
            broken = {(schema, table)}
        else:
            return [str(report.get("name")) for report in client.reports]
        made = {item.name: behind(item.template.reads) for item in subscriptions(client)}
    except ConfigurationError:
        return [str(report.get("name")) for report in client.reports]
    return [name for name, tables in made.items() if not broken.isdisjoint(tables)]


def _clock(seconds: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(seconds, zone).strftime("%d %b %H:%M %Z")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


@functools.cache
def _template() -> "Template":
    from jinja2 import Environment

    from signalroom_dagster.notifications.mrkdwn import escaped

    text = files("signalroom_dagster.alerts").joinpath("alert.j2").read_text("utf-8")
    return Environment(finalize=escaped, trim_blocks=True, autoescape=False).from_string(text)  # nosec B701
