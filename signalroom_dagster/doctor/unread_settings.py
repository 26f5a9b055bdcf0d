"""Settings of sources that nothing reads: misspelled, or in the wrong section."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from signalroom_dagster.config import ClientOnly, project_dir, secrets_dir
from signalroom_dagster.freshness.ages import Expected
from signalroom_dagster.registry import catalog
from signalroom_dagster.registry.clients import load_clients, unreadable_clients
from signalroom_dagster.registry.configured_sources import Declaration, is_configured
from signalroom_dagster.settings_files import read_toml


def unread_settings() -> Iterator[tuple[str, str]]:
    """Where such a setting stands, as file and section, and what is wrong; never its value."""
    files = (project_dir() / ".dlt" / "config.toml", secrets_dir() / "secrets.toml")
    written = {path.name: _table(_read(path).get("sources")) for path in files}
    for name, sections in {**written, "environment": _named_in_the_environment()}.items():
        for source, section in sections.items():
            where = f"{name} [sources.{source}]"
            if source in catalog.source_names():
                yield from _of_source(source, _table(section), where)
            else:
                yield (
                    where,
                    f"there is no source {source} (there are: {', '.join(catalog.source_names())})",
                )


def _of_source(source: str, section: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    module: Any = catalog.source_module(source)
    takes_any = is_configured(module)  # a client's keys are its source's to know
    fields = (Declaration if takes_any else module.Settings).model_fields
    clients_own = {
        key
        for key, field in fields.items()
        if any(isinstance(mark, ClientOnly) for mark in field.metadata)
    }
    known = {*fields, *Expected.model_fields}
    for key in section:
        if key in clients_own:
            yield (
                where,
                f"{key} is a client's own: it is read from [sources.{source}.clients.<id>] alone",
            )
        elif key not in {*known, "clients", "schedules"}:
            yield where, f"{key} is not read; there are: {', '.join(sorted(known - clients_own))}"
    for client_id, own in _table(section.get("clients")).items():
        where_own = f"{where[:-1]}.clients.{client_id}]"
        if client_id not in {*load_clients(), *unreadable_clients()}:
            yield (
                where_own,
                f"there is no client {client_id} (there are: {', '.join(load_clients())})",
            )
        for key in () if takes_any else _table(own).keys() - known:
            yield where_own, f"{key} is not read; there are: {', '.join(sorted(known))}"


def _named_in_the_environment() -> Mapping[str, Any]:
    """The sections of variables such as SOURCES__EVERFLOW__CLIENTS__713__API_KEY, no values."""
    sections: dict[str, Any] = {}
    for variable in os.environ:
        first, *names = variable.lower().split("__")
        if first != "sources" or len(names) < 2:
            continue
        source, key, *own = names
        section = sections.setdefault(source, {})
        if key == "clients" and len(own) > 1:
            section = section.setdefault("clients", {}).setdefault(own[0], {})
            key = own[1]
        section.setdefault(key, None)
    return sections


def _read(path: Path) -> Mapping[str, Any]:
    """A file of settings; nothing for an unreadable one, which `declarations` reports."""
    try:
        return read_toml(path)
    except (OSError, ValueError, RecursionError):
        return {}


def _table(found: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}
