"""The sources there are: every folder below `signalroom_dagster.sources`, every section of the
settings that names a dlt source (`configured_sources`), every API that is described as data
(`described_sources`).

A source package of an API offers a dlt source with the folder's name and plain arguments, `TABLES`
(what its resources hold, see `sources.tables`), or `tables(configured)` where clients' settings say
which there are, `Settings` (a pydantic model with a field for each argument that is a client's to
say) and `probe(settings)` (whether the account answers). One of files offers `Settings`,
`file_tables(configured, with_known)` (the columns that its tables are known to have),
`open_files(settings, client_id, zone, tables)` (the client's files by table, see `sources.files`),
`listing_digests(settings, client_id)` (what its sensor compares) and `probe(settings, client_id)`.
Optional is `check_shared(client_id, configured)` (what may not stand in two clients' settings at
once). A source of reference data offers `Settings`, `probe` and what `reference.ReferenceModule`
says instead. There is no list to keep. A folder that cannot be imported, or lacks any of that, is
no source: `refused_sources` says why.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from signalroom_dagster import sources
from signalroom_dagster.errors import ConfigurationError, WrongRequestError
from signalroom_dagster.registry.configured_sources import (
    DLT_SOURCE,
    configured_names,
    configured_source,
    is_configured,
)
from signalroom_dagster.registry.described_sources import (
    described_names,
    described_source,
    hidden_by,
)
from signalroom_dagster.sections import anchor_dlt, once_per_settings

if TYPE_CHECKING:
    from signalroom_dagster.sources.files import Files, TableColumns
    from signalroom_dagster.sources.tables import Table

_OF_API = ("Settings", "probe")
_OF_CONFIGURED = ("Settings", "outline")
_OF_FILES = ("Settings", "file_tables", "open_files", "listing_digests", "probe")
_OF_REFERENCE = ("Settings", "tables_of", "read", "ignored_files", "probe")


class SourceModule(Protocol):
    """What a source package offers; see the module's text."""

    Settings: type[BaseModel]

    def file_tables(
        self, configured: Iterable[BaseModel], *, with_known: bool = False
    ) -> Mapping[str, Mapping[str, str]]:
        """The columns that are known of each table that any client has, with their dlt types."""
        ...

    def open_files(
        self,
        settings: BaseModel,
        client_id: str,
        zone: ZoneInfo,
        tables: Mapping[str, "TableColumns"],
    ) -> Mapping[str, "Files"]:
        """One client's files, by table."""
        ...

    def listing_digests(self, settings: BaseModel, client_id: str) -> Mapping[str, str]:
        """What a client's files look like now, by resource."""
        ...

    def probe(self, settings: BaseModel, client_id: str) -> str:
        """Ask the account the cheapest thing that shows it answers; its answer in a few words."""
        ...


def source_names() -> list[str]:
    """Every source there is, by name."""
    return [name for name in openers() if not _opened(name)[1]]


def refused_sources() -> Mapping[str, str]:
    """What is declared as a source and is none, and what is wrong with each."""
    problems = {name: _opened(name)[1] for name in openers()}
    hidden = hidden_by([*_folders(), *configured_names()])
    twice = {
        f"[sources.{name}] {DLT_SOURCE}": f"a folder is called {name}, too: rename the section"
        for name in {*configured_names()} & {*_folders()}
    }
    found = {**problems, **hidden, **twice}
    return {name: problem for name, problem in found.items() if problem}


def openers() -> Mapping[str, Callable[[str], Any]]:
    """What gives each source by its name, as a package that offers what is said above: a folder is
    imported, what is configured or described is made. A folder goes before what else has its name.
    """
    return _openers(tuple(described_names()), tuple(sources.__path__))


@once_per_settings
def _openers(described: Sequence[str], paths: Sequence[str]) -> Mapping[str, Callable[[str], Any]]:
    made = {
        **dict.fromkeys(described, described_source),
        **dict.fromkeys(configured_names(), configured_source),
        **dict.fromkeys(_folders(), import_source),
    }
    return dict(sorted(made.items()))


def _folders() -> Sequence[str]:
    return _packages_in(tuple(sources.__path__))


@functools.lru_cache(maxsize=64)
def _packages_in(paths: Sequence[str]) -> Sequence[str]:
    """Asked for again and again; a new folder takes a new process."""
    return [module.name for module in pkgutil.iter_modules(paths) if module.ispkg]


@once_per_settings
def _opened(name: str) -> tuple[Any, str]:
    """What one source offers, and what keeps it from being one; that is empty when nothing does."""
    known, folder = openers(), f"signalroom_dagster/sources/{name}"
    if name not in known:
        raise WrongRequestError(f"no source {name!r} (there are: {', '.join(known)})")
    try:
        module = known[name](name)
        expected = _expected_of(module, name)
        missing = [part for part in expected if not hasattr(module, part)]
        if not missing and expected is _OF_CONFIGURED:
            module.outline(())
        elif not missing and expected is _OF_FILES:
            module.file_tables(())
        elif not missing and is_windowed(module):
            described_tables(module, ())
    except ConfigurationError as error:
        return None, str(error)
    except Exception as error:  # whatever its code raises: the other sources still load
        return None, f"{folder} cannot be imported: {type(error).__name__}: {error}"
    return module, f"{folder} does not offer {', '.join(missing)}" if missing else ""


def _expected_of(module: Any, name: str) -> Sequence[str]:
    if is_configured(module):
        return _OF_CONFIGURED
    if hasattr(module, "tables_of"):
        return _OF_REFERENCE
    if hasattr(module, "open_files"):
        return _OF_FILES
    return (*_OF_API, name) if is_windowed(module) else (*_OF_API, name, "TABLES")


def is_windowed(module: Any) -> bool:
    """Whether a source is one of an API, whose windows `loading.windowed` loads."""
    return hasattr(module, "TABLES") or hasattr(module, "tables")


def described_tables(module: Any, configured: Iterable[BaseModel]) -> Mapping[str, "Table"]:
    """The tables of a plain dlt source for clients with these, perhaps incomplete, settings."""
    return module.tables(configured) if hasattr(module, "tables") else module.TABLES


def source_module(name: str) -> SourceModule:
    """What one source offers. Raises ConfigurationError: what is wrong with it, or which sources
    there are.
    """
    module, problem = _opened(name)
    if problem:
        raise ConfigurationError(problem)
    return cast("SourceModule", module)


def import_source(name: str) -> ModuleType:
    """The package of a source that is a folder, whatever it offers."""
    anchor_dlt()
    return importlib.import_module(f"{sources.__name__}.{name}")
