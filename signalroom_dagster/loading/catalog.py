"""Which sources there are, and how one is opened: every folder below `signalroom_dagster.sources` is a source.

A source package offers `Settings` (a pydantic model), `outline(configured)` (every resource, nothing loaded),
`open_source(settings, context)` (the real thing for one client), `preview(settings, context)` (what a load would do)
and `probe(settings, client_id)` (whether the account answers); one that loads files also
`listing_digests(settings, client_id)`.
Optional is `check_shared(client_id, configured)` (what may not stand in two clients' settings at once). A source of
reference data offers `Settings`, `probe` and what `reference.ReferenceModule` says instead. There is no list to keep.
"""

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel

from signalroom_dagster import sources
from signalroom_dagster.clients import Client, clients_of, load_clients
from signalroom_dagster.config import (
    ConfigurationError,
    project_dir,
    settings_state,
    source_settings,
    unchecked_settings,
)

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

    from signalroom_dagster.sources.context import Planned, SourceContext, Span


class SourceModule(Protocol):
    """What a source package offers; see the module's text."""

    Settings: type[BaseModel]

    def outline(self, configured: Iterable[BaseModel]) -> "DltSource":
        """Every resource that any client has, opening nothing."""
        ...

    def open_source(self, settings: BaseModel, context: "SourceContext") -> "DltSource":
        """The source of one client, ready to be extracted."""
        ...

    def listing_digests(self, settings: BaseModel, client_id: str) -> Mapping[str, str]:
        """What a client's files look like now, by resource."""
        ...

    def preview(self, settings: BaseModel, context: "SourceContext") -> Iterable["Planned"]:
        """What a load would do now."""
        ...

    def probe(self, settings: BaseModel, client_id: str) -> str:
        """Ask the account the cheapest thing that shows it answers; what it said, in a few words."""
        ...


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What a load and its checks need to know of a table: see `sources.tables.Table`. `load` is "files" or "slices",
    `columns` their kinds by name."""

    load: str | None
    key: tuple[str, ...]
    day: str | None
    total: str
    about: str = ""
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])


def source_names() -> list[str]:
    """Every source there is, by folder name."""
    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__) if module.ispkg)


def source_module(name: str) -> SourceModule:
    """The package of one source. Raises ConfigurationError that lists the known ones."""
    if name not in source_names():
        raise ConfigurationError(f"no source {name!r} (there are: {', '.join(source_names())})")
    return cast("SourceModule", _import(name))


def is_reference(name: str) -> bool:
    """Whether a source brings reference data (tables of schema `public` from files in git) instead of dlt resources."""
    return hasattr(source_module(name), "tables_of")


def dlt_sources() -> list[str]:
    """The sources that are loaded through dlt, each into a schema of its own."""
    return [name for name in source_names() if not is_reference(name)]


def reference_sources() -> list[str]:
    """The sources of reference data."""
    return [name for name in source_names() if is_reference(name)]


def outline(name: str) -> "DltSource":
    """Every resource that any client has of a source; reads no secret and opens no connection."""
    return _outline_as(name, _clients(name), settings_state())


def table_facts(name: str) -> Mapping[str, TableFacts]:
    """The tables of a source's own schema, by name; of reference data none."""
    return {} if is_reference(name) else _facts_as(name, _clients(name), settings_state())


@functools.lru_cache(maxsize=64)
def _outline_as(name: str, clients: Sequence[str], state: int) -> "DltSource":
    return source_module(name).outline(_configured(name))


@functools.lru_cache(maxsize=64)
def _facts_as(name: str, clients: Sequence[str], state: int) -> Mapping[str, TableFacts]:
    """Asked for again and again while definitions are made, and slow to make out."""
    return {table: _facts(resource) for table, resource in outline(name).resources.items()}


def _configured(name: str) -> Iterator[BaseModel]:
    """What each client has configured of a source, unchecked and without being complete; no secrets.

    Read only when it is looked at: most sources have the same tables whoever uses them.
    """
    yield from _configured_as(name, _clients(name), settings_state())


@functools.lru_cache(maxsize=64)
def _configured_as(name: str, clients: Sequence[str], state: int) -> Sequence[BaseModel]:
    model = source_module(name).Settings
    return [unchecked_settings(model, name, client) for client in clients]


def _clients(name: str) -> Sequence[str]:
    return tuple(client.id for client in clients_of(name))


def tables_of(name: str) -> list[tuple[str, str]]:
    """Schema and table of everything that a source brings."""
    if is_reference(name):
        clients = [client.id for client in clients_of(name)]
        return [("public", table) for table in cast("Any", source_module(name)).tables_of(clients, project_dir())]
    return [(name, table) for table in table_facts(name)]


def tables_loaded_by(name: str, load: str) -> list[str]:
    """The tables of a source that one kind of load fills: "files" or "slices"."""
    return [table for table, facts in table_facts(name).items() if facts.load == load]


def file_sources() -> list[str]:
    """The sources that load files."""
    return [name for name in source_names() if tables_loaded_by(name, "files")]


def is_read_by_day(name: str) -> bool:
    """Whether a source is read by day, so that days can be asked for."""
    return any(facts.day for facts in table_facts(name).values())


def check_span(name: str, span: "Span") -> None:
    """Raises ConfigurationError when days are asked for of a source that is not read by day."""
    if span.is_asked and not is_read_by_day(name):
        raise ConfigurationError(f"{name} is not read by day: it always loads whatever is new, leave out the dates")


def listing_digests(name: str, client: Client) -> Mapping[str, str]:
    """What a client's files look like now, as one short text per resource: equal text, nothing new.

    Raises ConfigurationError, and what the file system raises.
    """
    return source_module(name).listing_digests(settings_for(name, client), client.id)


def preview(name: str, client: Client, context: "SourceContext") -> Iterable["Planned"]:
    """What a load would do, without doing it. Raises what opening the source raises."""
    return source_module(name).preview(settings_for(name, client), context)


def probe(name: str, client: Client) -> str:
    """Ask a client's account whether it answers. Raises ConfigurationError and what the account's refusal raises."""
    return source_module(name).probe(settings_for(name, client), client.id)


def requests_per_minute(name: str, client: Client) -> int | None:
    """How many requests a minute a client's account takes: the tightest of the limits in its settings."""
    limits = [value for key, value in settings_for(name, client) if key.endswith("_per_minute")]
    return min(limits, default=None)


def describe(name: str, resource: "DltResource") -> str:
    """What the asset page says of a resource: what it holds and the key of its rows, then its source's docstring."""
    facts = table_facts(name).get(resource.name)
    own = [facts.about] if facts else []
    if facts and facts.key:
        own.append(f"Grain: {', '.join(('client', *facts.key[1:]))}.")
    return f"{' '.join(own)}\n\n{inspect.getdoc(_import(name)) or ''}".strip()


def title(name: str) -> str:
    """A source's name as its vendor writes it, which is how its own text does: RedTrack for redtrack."""
    words = name.replace("_", " ")
    found = re.search(rf"\b{re.escape(words)}\b", inspect.getdoc(_import(name)) or "", re.IGNORECASE)
    return found[0] if found else words.capitalize()


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


def zone_of_days(name: str, client: Client) -> ZoneInfo:
    """The time zone whose days a source counts for a client: the client's own, unless its settings say `timezone`."""
    zone = getattr(unchecked_settings(source_module(name).Settings, name, client.id), "timezone", None)
    return ZoneInfo(zone) if zone and zone in available_timezones() else client.zone


def check_clients() -> None:
    """Raises ConfigurationError for a client that names a source that does not exist, or wants to hear of one that it
    does not use."""
    known = source_names()
    for client in load_clients().values():
        for name in client.sources:
            if name not in known:
                raise ConfigurationError(
                    f"data/clients/{client.id}/client.toml: sources: no source {name!r} (there are: {', '.join(known)})"
                )
        for name in client.notify_on_success:
            if name not in client.sources:
                raise ConfigurationError(
                    f"data/clients/{client.id}/client.toml: notify_on_success: {name!r} is not in `sources`"
                )


def _import(name: str) -> ModuleType:
    return importlib.import_module(f"{sources.__name__}.{name}")


def _facts(resource: "DltResource") -> TableFacts:
    schema: Any = resource.compute_table_schema()
    key = tuple(name for name, hint in schema["columns"].items() if hint.get("primary_key"))
    documented = inspect.getdoc(resource._pipe.gen)  # pyright: ignore[reportPrivateUsage]
    about = schema.get("description") or documented or ""
    return TableFacts(
        load=schema.get("x-load"),
        key=key,
        day=schema.get("x-day"),
        total=schema.get("x-total") or "rows",
        about=about,
        columns={name: hint.get("data_type", "") for name, hint in schema["columns"].items()},
        renamed=schema.get("x-renamed") or {},
    )
