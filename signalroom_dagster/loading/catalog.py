"""Which sources there are, and how one is opened: every folder below `signalroom_dagster.sources` is a source.

A source package offers `Settings` (a pydantic model), `outline(configured)` (every resource, nothing loaded) and
`open_source(settings, context)` (the real thing for one client); one that loads files also `listing_digests(settings)`.
Optional are `check_shared(client_id, configured)` (what may not stand in two clients' settings at once) and
`preview(settings, context)` (what a load would do). There is no list to keep.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from pydantic import BaseModel

from signalroom_dagster import sources
from signalroom_dagster.clients import Client, clients_of, load_clients
from signalroom_dagster.config import ConfigurationError, source_settings, unchecked_settings

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

    from signalroom_dagster.sources.context import Planned, SourceContext


class SourceModule(Protocol):
    """What a source package offers; see the module's text."""

    Settings: type[BaseModel]

    def outline(self, configured: Iterable[BaseModel]) -> "DltSource":
        """Every resource that any client has, opening nothing."""
        ...

    def open_source(self, settings: BaseModel, context: "SourceContext") -> "DltSource":
        """The source of one client, ready to be extracted."""
        ...

    def listing_digests(self, settings: BaseModel) -> Mapping[str, str]:
        """What a client's files look like now, by resource."""
        ...

    def preview(self, settings: BaseModel, context: "SourceContext") -> Iterable["Planned"]:
        """What a load would do now."""
        ...


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


def file_tables(name: str) -> list[str]:
    """The resources of a source whose rows come from files, and so are balanced against a ledger."""
    return [key for key, resource in outline(name).resources.items() if loads_files(resource)]


def file_sources() -> list[str]:
    """The sources that load files."""
    return [name for name in source_names() if file_tables(name)]


def loads_files(resource: "DltResource") -> bool:
    """Whether a resource asks for the file-atomic load."""
    return resource.compute_table_schema().get("x-load") == "files"


def listing_digests(name: str, client: Client) -> Mapping[str, str]:
    """What a client's files look like now, as one short text per resource: equal text, nothing new.

    Raises ConfigurationError, and what the file system raises.
    """
    return source_module(name).listing_digests(settings_for(name, client))


def preview(name: str, client: Client, context: "SourceContext") -> Iterable["Planned"]:
    """What a load would do, without doing it. Raises what opening the source raises."""
    return source_module(name).preview(settings_for(name, client), context)


def describe(name: str, resource: "DltResource") -> str:
    """What the asset page says of a resource: its own docstring, then its source's."""
    own = inspect.getdoc(resource._pipe.gen) or ""  # pyright: ignore[reportPrivateUsage]
    return f"{own}\n\n{inspect.getdoc(_import(name)) or ''}".strip()


def settings_for(name: str, client: Client) -> BaseModel:
    """The validated settings of one source for one client.

    Raises ConfigurationError when the client does not use the source, or when a key is missing or wrong.
    """
    module = source_module(name)
    if name not in client.sources:
        raise ConfigurationError(f"client {client.id} does not use {name}: add it to `sources` in its client.toml")
    if check := getattr(module, "check_shared", None):
        check(client.id, {each.id: unchecked_settings(module.Settings, name, each.id) for each in clients_of(name)})
    return source_settings(module.Settings, name, client.id)


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
