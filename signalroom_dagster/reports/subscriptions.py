"""Which reports a client gets, when and where: `[[reports]]` in its `client.toml`."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.cron_lines import CronLine
from signalroom_dagster.errors import WrongRequestError
from signalroom_dagster.modeling.runs import sources_of
from signalroom_dagster.modeling.sql import behind, refused_models
from signalroom_dagster.notifications.message import Channel
from signalroom_dagster.refused_values import refused
from signalroom_dagster.registry.clients import Client, load_clients
from signalroom_dagster.reports.templates import FILE_OF_CHANNEL, get_template

Parameter: TypeAlias = bool | int | Decimal | date | str

_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_CHANNEL = re.compile(r"#?[^\s#@,.A-Z]{1,80}|[CGDU][A-Z0-9]{5,}")


class Subscription(BaseModel):
    """One report of one client; `schedule` is a cron line in the client's time zone, None for one
    sent by hand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", examples=["daily_report"])
    template: str
    params: Mapping[str, Parameter] = Field(default_factory=dict)
    schedule: CronLine | None = None
    slack: str | None = None
    email: tuple[str, ...] = ()
    sms: tuple[str, ...] = ()

    @field_validator("slack")
    @classmethod
    def _channel(cls, value: str | None) -> str | None:
        return (
            None
            if value is None
            else _all_fit((value,), _CHANNEL, "a channel such as #reporting, or its id")[0]
        )

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
        found: list[tuple[Channel, str]] = [("slack", self.slack)] if self.slack else []
        found.extend(("email", address) for address in self.email)
        found.extend(("sms", number) for number in self.sms)
        return list(dict.fromkeys(found))


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
    item = _entries(client).get(name)
    if isinstance(item, Subscription):
        return item
    if item:
        raise ConfigurationError(str(item))
    known = ", ".join(each.name for each in subscriptions(client)) or "none"
    raise WrongRequestError(f"client {client.id} has no report {name!r} (there are: {known})")


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
    found: dict[str, dict[str, Subscription]] = {}
    for client in load_clients().values():
        for item in subscriptions(client):
            found.setdefault(item.name, {})[client.id] = item
    return dict(sorted(found.items()))


def reports_reading(client: Client, source: str) -> Sequence[str]:
    """A client's reports that read a source's tables, through models or directly."""
    return [
        item.name
        for item in subscriptions(client)
        if source in sources_of(behind(get_template(item.template).reads))
    ]


def _subscription(client: Client, number: int, entry: Mapping[str, object]) -> Subscription:
    try:
        found = Subscription.model_validate(entry)
    except ValidationError as error:
        problems = refused(error, Subscription, f"reports.{number}.")
        raise ConfigurationError(f"data/clients/{client.id}/client.toml: {problems}") from None
    try:
        template = get_template(found.template)
    except ConfigurationError as error:
        raise _error(client, number, "template", str(error)) from None
    if stops := [
        f"{schema}.{table}"
        for schema, table in template.reads
        if (schema, table) in refused_models()
    ]:
        raise _error(
            client,
            number,
            "template",
            f"{template.name} reads {', '.join(stops)}, which is set aside",
        )
    if unknown := sorted({*found.params} - template.parameters):
        takes = ", ".join(sorted(template.parameters)) or "no parameters"
        raise _error(client, number, f"params.{unknown[0]}", f"{template.name} takes {takes}")
    for channel, _ in found.recipients:
        if FILE_OF_CHANNEL[channel] not in template.files:
            raise _error(
                client, number, channel, f"{template.name} has no {FILE_OF_CHANNEL[channel]}"
            )
    return found


def _all_fit(values: tuple[str, ...], pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
    if not all(map(pattern.fullmatch, values)):
        raise ValueError(f"each has to be {what}")
    return values


def _error(client: Client, number: int, key: str, said: str) -> ConfigurationError:
    return ConfigurationError(
        f"data/clients/{client.id}/client.toml: reports.{number}.{key}: {said}"
    )
