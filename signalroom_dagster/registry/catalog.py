"""Which sources there are, and which tables each one has.

What a source package offers stands in `source_folders`. A client whose settings, or files, do not
go together with the others' is left out of what a source's tables are made of: `left_out` says what
is wrong.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel

from signalroom_dagster.config import project_dir
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.registry.clients import clients_of
from signalroom_dagster.registry.configured_sources import is_configured
from signalroom_dagster.registry.source_folders import (
    described_tables,
    is_windowed,
    source_module,
    source_names,
)
from signalroom_dagster.sections import once_per_settings, unchecked_settings

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

Built = TypeVar("Built")
"""What a source's tables are made out as: an outline, or the schemas of reference data."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What a load and its checks need to know of a table: see `sources.tables.Table`. `load` is
    "files" or "slices", `columns` their kinds by name.
    """

    load: str | None
    key: tuple[str, ...]
    day: str | None
    total: str
    about: str = ""
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    needed: tuple[str, ...] = ()
    proof: str = ""
    hints: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What dlt says of the columns."""


def is_reference(name: str) -> bool:
    """Whether a source brings reference data: tables of schema `public` from files in git."""
    return hasattr(source_module(name), "tables_of")


def dlt_sources() -> list[str]:
    """The sources that are loaded through dlt, each into a schema of its own."""
    return [name for name in source_names() if not is_reference(name)]


def reference_sources() -> list[str]:
    """The sources of reference data."""
    return [name for name in source_names() if is_reference(name)]


def outline(name: str) -> "DltSource":
    """Every resource that any client has of a source; reads no secret and opens no connection."""
    return _outline_of_clients(name, _clients(name))[0]


def known_outline(name: str) -> "DltSource":
    """`outline`, and every known table that no client has: models read those, too."""
    return _outline_of_clients(name, _clients(name), with_known=True)[0]


def left_out(name: str) -> Mapping[str, str]:
    """What is wrong with each client whom a source's tables are made without."""
    if is_reference(name):
        return _that_go_together(_clients(name), partial(_reference_tables, name))[1]
    return _outline_of_clients(name, _clients(name))[1]


def reference_tables(name: str) -> Mapping[str, Any]:
    """Every table that any client of a source of reference data has, with its schema."""
    return _that_go_together(_clients(name), partial(_reference_tables, name))[0]


def _reference_tables(name: str, clients: Sequence[str]) -> Mapping[str, Any]:
    tables = cast("Any", source_module(name)).tables_of(clients, project_dir())
    models = files("signalroom_dagster.models") / "public"
    if taken := sorted(table for table in tables if (models / f"{table}.sql").is_file()):
        raise ConfigurationError(
            f"a model makes public.{taken[0]}: give the client's table another name"
        )
    return tables


def _that_go_together(
    clients: Sequence[str], build: Callable[[Sequence[str]], Built]
) -> tuple[Built, Mapping[str, str]]:
    """What is made of the clients that go together; and what is wrong with each other one."""
    try:
        return build(clients), {}
    except Exception:  # whatever unchecked settings make of it: whose they are is found next
        kept: list[str] = []
    problems: dict[str, str] = {}
    for client in clients:
        try:
            build([*kept, client])
        except Exception as error:
            is_ours = isinstance(error, ConfigurationError)
            problems[client] = (
                str(error) if is_ours else f"its settings cannot be read ({type(error).__name__})"
            )
        else:
            kept.append(client)
    return build(kept), problems


def table_facts(name: str) -> Mapping[str, TableFacts]:
    """The tables of a source's own schema, by name; of reference data none."""
    return _facts_of_clients(name, _clients(name))


def known_tables(name: str) -> Mapping[str, TableFacts]:
    """The tables of `table_facts`, and those that no client has and whose layout is known."""
    if is_configured(source_module(name)):
        return table_facts(name)
    return _facts_of_clients(name, _clients(name), with_known=True)


@once_per_settings
def _outline_of_clients(
    name: str, clients: Sequence[str], *, with_known: bool = False
) -> tuple["DltSource", Mapping[str, str]]:
    return _that_go_together(clients, partial(_outline_of, name, with_known))


def _outline_of(name: str, with_known: bool, clients: Sequence[str]) -> "DltSource":
    from signalroom_dagster.registry.outlines import outline_of_files, outline_of_slices

    module: Any = source_module(name)
    if isinstance(module, ModuleType) and hasattr(module, "TABLES"):
        return _outline_of_package(name, module)
    configured = _configured(name, clients)
    if is_windowed(module):
        return outline_of_slices(name, described_tables(module, configured))
    if hasattr(module, "outline"):
        return module.outline(configured)
    return outline_of_files(name, module.file_tables(configured, with_known=with_known))


@functools.lru_cache(maxsize=64)
def _outline_of_package(name: str, package: Any) -> "DltSource":
    """Of a package whose tables no settings change."""
    from signalroom_dagster.registry.outlines import outline_of_slices

    return outline_of_slices(name, package.TABLES)


@once_per_settings
def _facts_of_clients(
    name: str, clients: Sequence[str], *, with_known: bool = False
) -> Mapping[str, TableFacts]:
    """Asked for again and again while definitions are made, and slow to make out."""
    if is_reference(name):
        return {}
    return _facts_in(known_outline(name) if with_known else outline(name))


@functools.lru_cache(maxsize=64)
def _facts_in(source: "DltSource") -> Mapping[str, TableFacts]:
    return {table: _facts(resource) for table, resource in source.resources.items()}


def _configured(name: str, clients: Sequence[str]) -> Iterator[BaseModel]:
    """What clients have configured of a source, unchecked, perhaps incomplete, without secrets.

    Read only when it is looked at: most sources have the same tables whoever uses them.
    """
    model = source_module(name).Settings
    yield from (_configured_of(model, name, client) for client in clients)


_configured_of = once_per_settings(unchecked_settings)


def _clients(name: str) -> Sequence[str]:
    """A source's clients, planned ones last: of two that do not fit, the active one counts."""
    if is_configured(source_module(name)):
        return ()  # its tables are the same, whoever uses it
    return tuple(client.id for client in sorted(clients_of(name), key=lambda client: client.status))


def tables_of(name: str) -> list[tuple[str, str]]:
    """Schema and table of everything that a source brings."""
    if is_reference(name):
        return [("public", table) for table in reference_tables(name)]
    return [(name, table) for table in table_facts(name)]


def tables_to_read(name: str) -> list[tuple[str, str]]:
    """Everything of a source that a model may read."""
    return (
        tables_of(name) if is_reference(name) else [(name, table) for table in known_tables(name)]
    )


def tables_loaded_by(name: str, load: str) -> list[str]:
    """The tables of a source that one kind of load fills: "files" or "slices"."""
    return [table for table, facts in table_facts(name).items() if facts.load == load]


def file_sources() -> list[str]:
    """The sources that load files."""
    return [name for name in source_names() if tables_loaded_by(name, "files")]


def is_read_by_day(name: str) -> bool:
    """Whether days of a source can be asked for."""
    module: Any = source_module(name)
    if is_configured(module):
        return module.days is not None
    return any(facts.day for facts in table_facts(name).values())


def schemas() -> list[str]:
    """Every schema of the warehouse that we keep tables in."""
    return sorted({*dlt_sources(), "public", "reports", "analysis", "events"})


def describe(name: str, resource: "DltResource") -> str:
    """The description of a resource's asset: what it holds, its key, its source's docstring."""
    facts = table_facts(name).get(resource.name)
    own = [facts.about] if facts else []
    if facts and facts.key:
        own.append(f"Grain: {', '.join(('client', *facts.key[1:]))}.")
    if facts and facts.proof:
        own.append(facts.proof)
    return f"{' '.join(own)}\n\n{inspect.getdoc(source_module(name)) or ''}".strip()


def source_file(name: str) -> Path:
    """The file that a reader of a source opens first."""
    return Path(str(cast("Any", source_module(name)).__file__))


def title(name: str) -> str:
    """A source's name as its vendor writes it: its `TITLE`, if it says one."""
    return getattr(source_module(name), "TITLE", name.replace("_", " ").capitalize())


def _facts(resource: "DltResource") -> TableFacts:
    schema: Any = resource.compute_table_schema()
    key = tuple(name for name, hint in schema["columns"].items() if hint.get("primary_key"))
    return TableFacts(
        load=schema.get("x-load"),
        key=key,
        day=schema.get("x-day"),
        total=schema.get("x-total") or "rows",
        about=schema.get("description") or "",
        columns={name: hint.get("data_type", "") for name, hint in schema["columns"].items()},
        renamed=schema.get("x-renamed") or {},
        needed=tuple(schema.get("x-needed") or ()),
        proof=schema.get("x-proof") or "",
        hints=schema["columns"],
    )
