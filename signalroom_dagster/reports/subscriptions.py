"""Which reports a client gets, when and where: `[[reports]]` in its `client.toml`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Annotated, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    field_validator,
)

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.cron_lines import CronLine
from signalroom_dagster.errors import WrongRequestError
from signalroom_dagster.modeling.runs import sources_of
from signalroom_dagster.modeling.sql import TableName, behind, refused_models
from signalroom_dagster.notifications.message import Channel
from signalroom_dagster.refused_values import refused
from signalroom_dagster.registry.clients import Client, load_clients
from signalroom_dagster.reports.templates import FILE_OF_CHANNEL, Template, get_template

Parameter: TypeAlias = bool | int | Decimal | date | str

_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_CHANNEL = re.compile(r"#?[^\s#@,.A-Z]{1,80}|[CGDU][A-Z0-9]{5,}")


def _template(name: object) -> object:
    """The template of a name; pydantic refuses what is no name, and shows a ValueError's words."""
    try:
        return get_template(name) if isinstance(name, str) else name
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


class Subscription(BaseModel):
    """One report of one client; `schedule` is a cron line in the client's time zone, None for one
    sent by hand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", examples=["daily_report"])
    template: Annotated[InstanceOf[Template], BeforeValidator(_template)]
    params: Mapping[str, Parameter] = Field(default_factory=dict)
    schedule: CronLine | None = None
    slack: str | None = None
    email: tuple[str, ...] = ()
    sms: tuple[str, ...] = ()

    @field_validator("slack")
    @classmethod
    def _channel(cls, value: str | None) -> str | None:
        if value is not None:
            _all_fit((value,), _CHANNEL, "a channel such as #reporting, or its id")
        return value

    @field_validator("email")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _all_fit(value, _ADDRESS, "an e-mail address such as ops@example.com")

    @field_validator("sms")
    @classmethod
    def _numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _all_fit(value, _NUMBER, "a number such as +15550100001")

    @property
    def recipients(self) -> Sequence[tuple[Channel, str]]:
        """Everybody that gets it, by channel; each once."""
        recipients: list[tuple[Channel, str]] = [("slack", self.slack)] if self.slack else []
        recipients.extend(("email", address) for address in self.email)
        recipients.extend(("sms", number) for number in self.sms)
        return list(dict.fromkeys(recipients))


@dataclass(frozen=True)
class ReportDay:
    """One report of a client, for one day: what every step on a report's way is handed."""

    client: Client
    subscription: Subscription
    day: date

    @property
    def name(self) -> str:
        """The report's name."""
        return self.subscription.name

    @property
    def template(self) -> Template:
        """What it is written with."""
        return self.subscription.template

    @cached_property
    def tables(self) -> frozenset[TableName]:
        """The tables that its queries name, and all that those are made from."""
        return frozenset(behind(self.template.reads))

    def __str__(self) -> str:
        return f"client {self.client.id}, report {self.name}"


def report_day(client: Client, name: str, day: date) -> ReportDay:
    """One report of a client for a day. Raises ConfigurationError as `subscription` does."""
    return ReportDay(client, subscription(client, name), day)


def yesterday(client: Client, now: datetime | None = None) -> date:
    """The day before today, where the client is."""
    return (now or datetime.now(UTC)).astimezone(client.zone).date() - timedelta(days=1)


def subscriptions(client: Client) -> Sequence[Subscription]:
    """A client's reports, but for those that `refused_reports` names."""
    return [item for item in _entries(client).values() if isinstance(item, Subscription)]


def refused_reports(client: Client) -> Mapping[str, str]:
    """What is wrong with each report of a client that cannot be made: the client's file and the
    key, or its template.

    By the report's name, or its place in the file where it has none of its own.
    """
    return {
        name: str(item)
        for name, item in _entries(client).items()
        if not isinstance(item, Subscription)
    }


def subscription(client: Client, name: str) -> Subscription:
    """One report of a client. Raises ConfigurationError: what is wrong with it, or which reports
    there are.
    """
    for number, entry in enumerate(client.reports):
        if entry.get("name") == name:
            return _subscription(client, number, entry)
    names = ", ".join(item.name for item in subscriptions(client)) or "none"
    raise WrongRequestError(f"client {client.id} has no report {name!r} (there are: {names})")


def _entries(client: Client) -> Mapping[str, Subscription | ConfigurationError]:
    entries: dict[str, Subscription | ConfigurationError] = {}
    for number, entry in enumerate(client.reports):
        name, place = str(entry.get("name")), f"number {number + 1}"
        is_named = "name" in entry and name not in entries
        try:
            if name in entries:
                raise _error(client, number, "name", f"there is another report {name}")
            entries[name] = _subscription(client, number, entry)
        except ConfigurationError as error:
            entries[name if is_named else place] = error
    return entries


def subscribers() -> Mapping[str, Mapping[str, Subscription]]:
    """Every report by its name, each with the clients that get it, planned ones included."""
    by_name: dict[str, dict[str, Subscription]] = {}
    for client in load_clients().values():
        for item in subscriptions(client):
            by_name.setdefault(item.name, {})[client.id] = item
    return dict(sorted(by_name.items()))


def reports_reading(client: Client, source: str) -> Sequence[str]:
    """A client's reports that read a source's tables, through models or directly."""
    return [
        item.name
        for item in subscriptions(client)
        if source in sources_of(behind(item.template.reads))
    ]


def _subscription(client: Client, number: int, entry: Mapping[str, object]) -> Subscription:
    try:
        item = Subscription.model_validate(entry)
    except ValidationError as error:
        problems = refused(error, Subscription, f"reports.{number}.")
        raise ConfigurationError(f"data/clients/{client.id}/client.toml: {problems}") from None
    template = item.template
    if set_aside := [".".join(table) for table in template.reads if table in refused_models()]:
        problem = f"{template.name} reads {', '.join(set_aside)}, which is set aside"
        raise _error(client, number, "template", problem)
    if unknown := sorted({*item.params} - template.parameters):
        takes = ", ".join(sorted(template.parameters)) or "no parameters"
        raise _error(client, number, f"params.{unknown[0]}", f"{template.name} takes {takes}")
    for channel, _ in item.recipients:
        file = FILE_OF_CHANNEL[channel]
        if file not in template.files:
            raise _error(client, number, channel, f"{template.name} has no {file}")
    return item


def _all_fit(values: tuple[str, ...], pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
    if not all(map(pattern.fullmatch, values)):
        raise ValueError(f"each has to be {what}")
    return values


def _error(client: Client, number: int, key: str, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"data/clients/{client.id}/client.toml: reports.{number}.{key}: {problem}"
    )
