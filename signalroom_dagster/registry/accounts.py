"""A source for one client: its settings, its account, its days."""

from collections.abc import Mapping
from typing import Any, cast
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel

from signalroom_dagster.errors import WrongRequestError
from signalroom_dagster.registry.client_words import said_of_client
from signalroom_dagster.registry.clients import Client, clients_of
from signalroom_dagster.registry.source_folders import is_windowed, source_module
from signalroom_dagster.sections import source_settings, unchecked_settings


def listing_digests(name: str, client: Client) -> Mapping[str, str]:
    """What a client's files look like now, as one short text per resource: equal text, nothing new.

    Raises ConfigurationError, and what the file system raises.
    """
    return source_module(name).listing_digests(settings_for(name, client), client.id)


def probe(name: str, client: Client) -> str:
    """Ask whether a client's account answers. Raises ConfigurationError and its refusal."""
    module, settings = source_module(name), settings_for(name, client)
    if not is_windowed(module):
        return module.probe(settings, client.id)
    with said_of_client(name, client.id, list(type(settings).model_fields)):
        return cast("Any", module).probe(settings)


def requests_per_minute(name: str, client: Client) -> int | None:
    """The requests a minute that a client's account takes: the tightest limit in its settings."""
    limits = [value for key, value in settings_for(name, client) if key.endswith("_per_minute")]
    return min(limits, default=None)


def settings_for(name: str, client: Client) -> BaseModel:
    """The validated settings of one source for one client.

    Raises ConfigurationError: the client does not use the source, or a key is wrong.
    """
    module = source_module(name)
    if name not in client.sources:
        raise WrongRequestError(
            f"client {client.id} does not use {name}: add it to `sources` in its client.toml"
        )
    check_shared(name, client)
    return source_settings(module.Settings, name, client.id)


def check_shared(name: str, client: Client) -> None:
    """Raises ConfigurationError for what may not stand in two clients' settings at once.

    What a planned client has never stops an active one.
    """
    if check := getattr(module := source_module(name), "check_shared", None):
        others = [
            each
            for each in clients_of(name)
            if client.status == "planned" or each.status == "active"
        ]
        check(
            client.id,
            {each.id: unchecked_settings(module.Settings, name, each.id) for each in others},
        )


def zone_of_days(name: str, client: Client) -> ZoneInfo:
    """The zone of a source's days for a client: its settings' `timezone`, else the client's."""
    zone = getattr(
        unchecked_settings(source_module(name).Settings, name, client.id), "timezone", None
    )
    return (
        ZoneInfo(zone) if isinstance(zone, str) and zone in available_timezones() else client.zone
    )
