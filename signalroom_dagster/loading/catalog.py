"""Which sources there are, and how one is opened: every folder below `signalroom_dagster.sources` is a source.

A source package offers `Settings` (a pydantic model), `outline(configured)` (every resource, nothing loaded) and
`open_source(settings, context)` (the real thing for one client). There is no list to keep.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from pydantic import BaseModel

from signalroom_dagster import sources
from signalroom_dagster.clients import Client, clients_of, load_clients
from signalroom_dagster.config import ConfigurationError, source_settings, unchecked_settings

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from signalroom_dagster.sources.context import SourceContext


class SourceModule(Protocol):
    """What a source package offers."""

    Settings: type[BaseModel]

    def outline(self, configured: Iterable[BaseModel]) -> "DltSource": ...

    def open_source(self, settings: BaseModel, context: "SourceContext") -> "DltSource": ...


def source_names() -> list[str]:
    """Every source there is, by folder name."""
    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__) if module.ispkg)


def source_module(name: str) -> SourceModule:
    """The package of one source. Raises ConfigurationError that lists the known ones."""
    if name not in source_names():
        raise ConfigurationError(f"no source {name!r} (there are: {', '.join(source_names())})")
    return cast("SourceModule", _import(name))


def outline(name: str) -> "DltSource":
    """Every resource that any client has of a source; reads no secret and opens no connection."""
    module = source_module(name)
    return module.outline([unchecked_settings(module.Settings, name, client.id) for client in clients_of(name)])


def settings_for(name: str, client: Client) -> BaseModel:
    """The validated settings of one source for one client.

    Raises ConfigurationError when the client does not use the source, or when a key is missing or wrong.
    """
    if name not in client.sources:
        raise ConfigurationError(f"client {client.id} does not use {name}: add it to `sources` in its client.toml")
    return source_settings(source_module(name).Settings, name, client.id)


def check_clients() -> None:
    """Raises ConfigurationError for a client that names a source that does not exist."""
    known = source_names()
    for client in load_clients().values():
        for name in client.sources:
            if name not in known:
                raise ConfigurationError(
                    f"data/clients/{client.id}/client.toml: sources: no source {name!r} (there are: {', '.join(known)})"
                )


def _import(name: str) -> ModuleType:
    return importlib.import_module(f"{sources.__name__}.{name}")
