"""What a described API offers, as a module like that of a source folder: `TITLE`, `TABLES`,
`Settings`, a dlt source with the file's name and plain arguments, and `probe`.

It runs alone as well, without clients, Dagster or SignalRoom's settings:
`module_of(Path("crm.toml")).crm(api_key="...")` is a dlt source for any pipeline.
"""

import inspect
from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import dlt
from dlt.extract import DltResource
from pydantic import BaseModel, SecretStr

from signalroom_dagster.config import shown
from signalroom_dagster.described.accounts import account_of, reader_of
from signalroom_dagster.described.authentication import authentication
from signalroom_dagster.described.braces import client_names, filled
from signalroom_dagster.described.files import Api, lacking, read_description
from signalroom_dagster.described.paging import paginator_from
from signalroom_dagster.described.settings import described_settings
from signalroom_dagster.described.tables import described_table
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.sources.resources import asked_days, days_resource, list_resource


def module_of(file: Path) -> ModuleType:
    """The module of a described API. Raises ConfigurationError with the file's name, and what to
    mend in it.
    """
    description = read_description(file, shown(file))
    try:
        if problems := list(lacking(description)):
            raise ConfigurationError(
                f"{'; '.join(problems)}. `signalroom source try {file.stem} --client ID` proposes"
                " what is missing"
            )
        authentication(description.client.auth)
        for resource in description.resources.values():
            paginator_from(description.paginator_of(resource) or {})
        tables = {
            name: described_table(name, resource)
            for name, resource in description.resources.items()
        }
        return _made(file, Api(file.stem, description, client_names(description), tables))
    except ConfigurationError as error:
        raise ConfigurationError(f"{shown(file)}: {error}") from None


def _made(file: Path, api: Api) -> ModuleType:
    module: Any = ModuleType(f"described.{api.name}", api.description.about)
    module.__file__ = str(file)
    if api.description.title:
        module.TITLE = api.description.title
    module.TABLES, module.Settings = api.tables, described_settings(api)
    module.API = api
    module.probe = partial(_probe, api)
    setattr(module, api.name, _source(api))
    return module


def _source(api: Api) -> Any:
    """The dlt source: its arguments are the names in braces, and what all such sources take."""

    def read(**given: Any) -> Iterator[DltResource]:
        account = account_of(api, given)
        for name, resource in api.description.resources.items():
            reader = reader_of(api, name, account, given)
            if resource.window:
                days = asked_days(given.get("since"), given.get("until"), reader.zone)
                yield days_resource(reader.table, reader.read_days, *days)
            else:
                yield list_resource(reader.table, reader.read_list)

    read.__name__, read.__doc__ = api.name, api.description.about
    setattr(read, "__signature__", _signature(_arguments(api)))  # noqa: B010 - typed otherwise
    return dlt.source(read, name=api.name, section=api.name, max_table_nesting=0)


def _arguments(api: Api) -> dict[str, Any]:
    """The source's arguments, by name, with their defaults."""
    client, timezone = api.description.client, api.description.timezone or "UTC"
    arguments: dict[str, Any] = {
        name: dlt.secrets.value if is_secret else dlt.config.value
        for name, is_secret in api.names.items()
    }
    if api.description.windows:
        arguments |= {"since": None, "until": None}
    arguments |= {"timezone": timezone, "currency": "USD"}
    arguments["base_url"] = dlt.config.value if api.has_own_address else client.base_url
    return {**arguments, "requests_per_minute": client.requests_per_minute}


def _signature(arguments: Mapping[str, Any]) -> inspect.Signature:
    kinds: Mapping[str, Any] = {
        "since": date | str | None,
        "until": date | str | None,
        "requests_per_minute": int,
    }
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [
            inspect.Parameter(name, keyword, default=default, annotation=kinds.get(name, str))
            for name, default in arguments.items()
        ]
    )


def _probe(api: Api, settings: BaseModel) -> str:
    """Ask for the path that the file names, or for the first page of its first table."""
    given = plain(settings)
    account = account_of(api, given)
    if path := api.description.client.probe:
        account.send(account.request("GET", filled(path, given, in_address=True)))
        return "the account answers"
    name, resource = next(iter(api.description.resources.items()))
    reader = reader_of(api, name, account, given)
    days = asked_days(None, None, reader.zone)[1:] if resource.window else ()
    return f"the account answers: {len(reader.first_page(days))} {name} on a page"


def plain(settings: BaseModel) -> dict[str, Any]:
    """Settings as plain arguments."""
    pairs: list[tuple[str, Any]] = list(settings)
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in pairs
    }
