"""The sections of the settings: each source's for a client, channels', reports', events'.

Values come from dlt's providers in dlt's order: environment, `.dlt/secrets.toml`,
`.dlt/config.toml`. What belongs to an account is read only from the client's own section, so no
client can ever load with another's credentials. No vendor knowledge here: a source says what it
needs with a pydantic model.

https://dlthub.com/docs/general-usage/credentials/setup
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, get_args

from pydantic import BaseModel, Field, SecretStr, ValidationError

from signalroom_dagster.config import ClientOnly, project_dir, secrets_dir, work_dir
from signalroom_dagster.environment_settings import (
    closed,
    in_environment,
    is_table,
    lay_over,
    parsed,
    with_single_keys,
)
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.sandboxed import check_sandbox
from signalroom_dagster.settings_files import check_tables, explained, providers, unreadable

if TYPE_CHECKING:
    from dlt.common.configuration.providers import ConfigProvider

Asked = ParamSpec("Asked")
Model = TypeVar("Model", bound=BaseModel)
Result = TypeVar("Result")


def anchor_dlt() -> None:
    """Give dlt the project's files for its own tuning, as far as they can be read.

    It does not read them itself: it raises for a broken file, or one with a byte order mark,
    whatever it is asked for.
    """
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

    os.environ["DLT_PROJECT_DIR"] = str(work_dir() / "no-settings")
    read_by_dlt = Container()[PluggableRunContext].providers
    for provider in _providers()[1:]:
        read_by_dlt[provider.name] = provider


def unreadable_settings() -> Mapping[str, str]:
    """What is wrong with `config.toml` and `secrets.toml`, by file, where one cannot be read."""
    return unreadable(project_dir() / ".dlt", secrets_dir())


def check_files() -> None:
    """Raises ConfigurationError for an unreadable file: no default may replace what it says."""
    if problems := unreadable_settings():
        raise ConfigurationError("; ".join(problems.values()))


def source_settings(model: type[Model], source: str, client_id: str) -> Model:
    """The settings of one source for one client, validated.

    Raises ConfigurationError naming client, source and key: for a required key that is missing, and
    for a value that does not fit.
    """
    check_sandbox()
    check_files()
    sections = _sections(source, client_id)
    try:
        check_tables(sections[0], _providers())
        return model.model_validate(_found(model, source, client_id))
    except ValidationError as error:
        raise ConfigurationError(
            f"client {client_id}, source {source}: {_explain(error, model, sections)}"
        ) from None
    except ConfigurationError as error:
        raise ConfigurationError(f"client {client_id}, source {source}: {error}") from None


def section_settings(model: type[Model], *section: str) -> Model:
    """The validated settings of a section of no client, such as `[notifications.slack]`.

    Raises ConfigurationError naming each key that is missing or does not fit. Alerts go out
    whatever a file is like.
    """
    check_sandbox()
    if section[0] != "notifications":
        check_files()
    check_tables(section, _providers())
    asked = _providers()
    found = {
        key: _value(asked, field.annotation, *section, key)
        for key, field in model.model_fields.items()
    }
    try:
        return model.model_validate(
            {key: value for key, value in found.items() if value is not None}
        )
    except ValidationError as error:
        raise ConfigurationError(_explain(error, model, [section])) from None


class IngestSettings(BaseModel):
    """`[ingest]`: how long a load may take before it is ended; the next goes on from there."""

    max_minutes: float = Field(default=30, gt=0)


def ingest_settings() -> IngestSettings:
    """The settings of loads: `INGEST__MAX_MINUTES`."""
    return section_settings(IngestSettings, "ingest")


def raw_setting(kind: Any, *path: str) -> Any:
    """What stands at a place of the settings, unchecked; None for nothing."""
    return _value(_providers(), kind, *path)


def section(*path: str) -> dict[str, Any]:
    """A whole section, from all files, the environment over it; variables as plain text."""
    *above, key = path
    found: dict[str, Any] = {}
    for provider in reversed(_providers()[1:]):
        value = provider.get_value(key, dict, "", *above)[0]
        if isinstance(value, Mapping):
            lay_over(found, cast("Mapping[str, Any]", value))
    lay_over(found, in_environment("__".join(path).upper()))
    return found


def unchecked_settings(model: type[Model], source: str, client_id: str) -> Model:
    """What is configured but secrets, unvalidated: for what must be known without them."""
    return model.model_construct(**_found(model, source, client_id, secrets=False))


def wrong_settings(model: type[BaseModel], source: str, client_id: str) -> str:
    """What is wrong in a client's settings of a source, missing keys aside."""
    sections = _sections(source, client_id)
    try:
        check_tables(sections[0], _providers())
        model.model_validate(_found(model, source, client_id))
    except ValidationError as error:
        return _explain(error, model, sections, missing=False)
    except ConfigurationError as error:
        return str(error)
    return ""


def once_per_settings(work: Callable[Asked, Result]) -> Callable[Asked, Result]:
    """Remember what a function makes of its arguments and the sources' settings, until the project
    or a variable of theirs is another one.
    """

    @functools.lru_cache(maxsize=4096)
    def remembered(state: object, *args: Asked.args, **kwargs: Asked.kwargs) -> Result:
        return work(*args, **kwargs)

    @functools.wraps(work)
    def current(*args: Asked.args, **kwargs: Asked.kwargs) -> Result:
        variables = (each for each in os.environ.items() if each[0].startswith("SOURCES__"))
        return remembered((project_dir(), secrets_dir(), frozenset(variables)), *args, **kwargs)

    return current


def _found(
    model: type[BaseModel], source: str, client_id: str, *, secrets: bool = True
) -> dict[str, Any]:
    section, shared = _sections(source, client_id)
    asked = _providers()
    found: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        if not secrets and SecretStr in (field.annotation, *get_args(field.annotation)):
            continue
        value = _value(asked, field.annotation, *section, key)
        if not _is_clients_own(model, key):
            value = _merge(_value(asked, field.annotation, *shared, key), value)
        if value is not None:
            found[key] = value
    return found


def _sections(source: str, client_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where a client's settings of a source may stand: its own section, the one of all clients."""
    return ("sources", source, "clients", client_id), ("sources", source)


def _is_clients_own(model: type[BaseModel], key: str) -> bool:
    return any(isinstance(mark, ClientOnly) for mark in model.model_fields[key].metadata)


def _merge(default: Any, own: Any) -> Any:
    """A client's own value, or the default; a client's table adds to a default table."""
    if isinstance(default, Mapping) and isinstance(own, Mapping):
        return {**cast("Mapping[str, Any]", default), **cast("Mapping[str, Any]", own)}
    return default if own is None else own


def _value(asked: Sequence["ConfigProvider"], kind: Any, *path: str) -> Any:
    """The first provider's value at `path`, or None; a table with its keys in the environment."""
    *sections, key = path
    provided = (provider.get_value(key, str, "", *sections)[0] for provider in asked)
    value = next((value for value in provided if value is not None), None)
    value = closed(kind, parsed(kind, value)) if isinstance(value, str) else value
    return with_single_keys(kind, value, "__".join(path).upper()) if is_table(kind) else value


def _providers() -> Sequence["ConfigProvider"]:
    return providers(project_dir() / ".dlt", secrets_dir())


def _explain(
    error: ValidationError,
    model: type[BaseModel],
    sections: Sequence[tuple[str, ...]],
    missing: bool = True,
) -> str:
    clients_own = {key for key in model.model_fields if _is_clients_own(model, key)}
    return explained(error, model, sections, clients_own, _providers(), missing=missing)
