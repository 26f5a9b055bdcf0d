"""The one reader of the environment: project folder, destination, each source's settings for a
client, and channels.

Values come from dlt's providers in dlt's order: environment, `.dlt/secrets.toml`,
`.dlt/config.toml`. What belongs to an account is read only from the client's own section, so no
client can ever load with another's credentials. No vendor knowledge here: a source says what it
needs with a pydantic model.

https://dlthub.com/docs/general-usage/credentials/setup
"""

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

from pydantic import BaseModel, Field, SecretStr, ValidationError

from signalroom_dagster.environment_settings import (
    closed,
    in_environment,
    is_table,
    lay_over,
    parsed,
    with_single_keys,
)
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.redaction import keep_password, keep_secret
from signalroom_dagster.sandboxed import check_sandbox
from signalroom_dagster.settings_files import (
    check_tables,
    explained,
    providers,
    take_byte_order_marks,
    unreadable,
)

if TYPE_CHECKING:
    from dlt.common.configuration.providers import ConfigProvider

Model = TypeVar("Model", bound=BaseModel)
DestinationName = Literal["duckdb", "postgres"]


class ClientOnly:
    """Marks a setting that identifies or opens an account: never read from a shared section."""


def project_dir() -> Path:
    """The folder that holds `data/` and `.dlt/`: `SIGNALROOM_PROJECT_DIR`, else the checkout, else
    here.

    Raises ConfigurationError for one that is not there.
    """
    chosen = os.environ.get("SIGNALROOM_PROJECT_DIR")
    return _resolved(chosen) if chosen else _checkout() or Path.cwd()


@functools.cache
def _resolved(folder: str) -> Path:
    """Raises ConfigurationError for a folder that is not there: it would look like a project
    without clients.
    """
    path = Path(folder).resolve()
    if not path.is_dir():
        raise ConfigurationError(
            f"SIGNALROOM_PROJECT_DIR is {folder}, which is no folder: name the one that holds"
            " data/clients/, or leave it out for the checkout"
        )
    return path


@functools.cache
def _checkout() -> Path | None:
    """The folder that the package lies in, when it is a project."""
    folder = Path(__file__).resolve().parent.parent
    return folder if (folder / "data" / "clients").is_dir() else None


def shown(path: Path) -> str:
    """A path as messages name it: from the project folder on, or whole where it lies elsewhere."""
    return str(path.relative_to(project_dir())) if path.is_relative_to(project_dir()) else str(path)


def work_dir() -> Path:
    """Where runs keep their scratch files; safe to delete whenever no run is active."""
    return Path(os.environ.get("SIGNALROOM_WORK_DIR") or project_dir() / ".signalroom" / "work")


def reports_dir() -> Path:
    """Where reports are written as files: `SIGNALROOM_REPORTS_DIR`, else `.signalroom/reports` in
    the project.
    """
    return Path(
        os.environ.get("SIGNALROOM_REPORTS_DIR") or project_dir() / ".signalroom" / "reports"
    )


def state_dir() -> Path:
    """Where what must outlive a run but is no client's data is kept: `SIGNALROOM_STATE_DIR` (a
    volume that several machines share), else `DAGSTER_HOME`, else `.signalroom/` in the project.
    """
    check_sandbox()
    chosen = os.environ.get("SIGNALROOM_STATE_DIR") or os.environ.get("DAGSTER_HOME")
    return Path(chosen) if chosen else project_dir() / ".signalroom"


def ui_url() -> str:
    """`SIGNALROOM_UI_URL`: where people open the Dagster UI; messages link to it."""
    return (os.environ.get("SIGNALROOM_UI_URL") or "http://127.0.0.1:3000").rstrip("/")


def webserver_url() -> str:
    """`SIGNALROOM_WEBSERVER_URL`: where processes reach Dagster's webserver, when that is not where
    people do.
    """
    check_sandbox()
    return (os.environ.get("SIGNALROOM_WEBSERVER_URL") or ui_url()).rstrip("/")


def plain_http_hosts() -> frozenset[str]:
    """`SIGNALROOM_PLAIN_HTTP_HOSTS`: hosts beside this machine that may be asked without https, as
    `a,b`.
    """
    return frozenset(
        (os.environ.get("SIGNALROOM_PLAIN_HTTP_HOSTS") or "").lower().replace(" ", "").split(",")
    )


def secrets_dir() -> Path:
    """The folder of `secrets.toml`: `SIGNALROOM_SECRETS_DIR` (a mounted secret, or the sandbox's
    own), else `.dlt/`.
    """
    return Path(os.environ.get("SIGNALROOM_SECRETS_DIR") or project_dir() / ".dlt")


def environment() -> Literal["dev", "production"]:
    """`SIGNALROOM_ENV`: whether schedules and sensors start out running (`production`) or stopped
    (`dev`).
    """
    name = os.environ.get("SIGNALROOM_ENV") or "dev"
    if name not in ("dev", "production"):
        raise ConfigurationError(f"SIGNALROOM_ENV is {name!r}; set it to dev or production")
    return name


def destination_name() -> DestinationName:
    """`SIGNALROOM_DESTINATION`: which warehouse every command and run loads into."""
    name = os.environ.get("SIGNALROOM_DESTINATION") or "duckdb"
    if name not in ("duckdb", "postgres"):
        raise ConfigurationError(
            f"SIGNALROOM_DESTINATION is {name!r}; set it to duckdb or postgres"
        )
    return name


def duckdb_path() -> Path:
    """The DuckDB file: `DESTINATION__DUCKDB__CREDENTIALS`, else `signalroom.duckdb` in the project
    folder.
    """
    check_sandbox()
    _check_files()
    stored = _value(str, "destination", "duckdb", "credentials")
    path = Path(str(stored).removeprefix("duckdb:///")) if stored else Path("signalroom.duckdb")
    return path if path.is_absolute() else project_dir() / path


def postgres_url() -> str:
    """The Postgres URL: `DESTINATION__POSTGRES__CREDENTIALS`, else composed from
    `SUPABASE_DB_*`.
    """
    check_sandbox()
    _check_files()
    if stored := _value(str, "destination", "postgres", "credentials"):
        keep_password(str(stored))
        return str(stored)
    if not (host := os.environ.get("SUPABASE_DB_HOST")):
        raise ConfigurationError(
            "the destination is postgres, but no database is configured: set"
            " DESTINATION__POSTGRES__CREDENTIALS (postgresql://user:password@host:port/database) or"
            " SUPABASE_DB_HOST, _PORT, _NAME, _USER and _PASSWORD"
        )
    from urllib.parse import quote

    keep_secret(os.environ.get("SUPABASE_DB_PASSWORD") or "")
    part = {
        name: quote(os.environ.get(f"SUPABASE_DB_{name}") or "", safe="")
        for name in ("USER", "PASSWORD")
    }
    port = os.environ.get("SUPABASE_DB_PORT") or "6543"
    if not port.isdecimal():
        raise ConfigurationError(
            f"SUPABASE_DB_PORT is {port!r}; set it to a number, or leave it out for 6543"
        )
    database = os.environ.get("SUPABASE_DB_NAME") or "postgres"
    return f"postgresql://{part['USER'] or 'postgres'}:{part['PASSWORD']}@{host}:{port}/{database}"


def anchor_dlt() -> None:
    """Let dlt read its own tuning from the project's `.dlt/`, wherever the process was started;
    nothing from a folder with a file that cannot be read, which dlt would raise for whatever it is
    asked for.
    """
    take_byte_order_marks()
    nowhere = str(work_dir() / "no-settings")
    if unreadable_settings():
        os.environ["DLT_PROJECT_DIR"] = nowhere
    elif os.environ.get("DLT_PROJECT_DIR", nowhere) == nowhere:
        os.environ["DLT_PROJECT_DIR"] = str(project_dir())


def unreadable_settings() -> Mapping[str, str]:
    """What is wrong with `config.toml` and `secrets.toml`, by file, where one cannot be read."""
    return unreadable(project_dir() / ".dlt", secrets_dir())


def _check_files() -> None:
    """Raises ConfigurationError for a file that cannot be read: no default may stand where it says
    something else.
    """
    if problems := unreadable_settings():
        raise ConfigurationError("; ".join(problems.values()))


def source_settings(model: type[Model], source: str, client_id: str) -> Model:
    """The settings of one source for one client, validated.

    Raises ConfigurationError naming client, source and key: for a required key that is missing, and
    for a value that does not fit.
    """
    check_sandbox()
    _check_files()
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
    """The settings of one section that belongs to no client, such as `[notifications.slack]`,
    validated.

    Raises ConfigurationError naming each key that is missing or does not fit. Alerts go out
    whatever a file is like.
    """
    check_sandbox()
    if section[0] != "notifications":
        _check_files()
    check_tables(section, _providers())
    found = {
        key: _value(field.annotation, *section, key) for key, field in model.model_fields.items()
    }
    try:
        return model.model_validate(
            {key: value for key, value in found.items() if value is not None}
        )
    except ValidationError as error:
        raise ConfigurationError(_explain(error, model, [section])) from None


class IngestSettings(BaseModel):
    """`[ingest]`: how long one load may take before it is ended; it then goes on where it
    stopped.
    """

    max_minutes: float = Field(default=30, gt=0)


def ingest_settings() -> IngestSettings:
    """The settings of loads: `INGEST__MAX_MINUTES`."""
    return section_settings(IngestSettings, "ingest")


def raw_setting(kind: Any, *path: str) -> Any:
    """What stands at a place of the settings, unchecked; None for nothing."""
    return _value(kind, *path)


def section(*path: str) -> dict[str, Any]:
    """Everything that stands in a section, in whichever file, with what the environment says over
    it. A variable's text stands as it is.
    """
    *above, key = path
    found: dict[str, Any] = {}
    for provider in reversed(_providers()[1:]):
        value = provider.get_value(key, dict, "", *above)[0]
        if isinstance(value, Mapping):
            lay_over(found, cast("Mapping[str, Any]", value))
    lay_over(found, in_environment("__".join(path).upper()))
    return found


def unchecked_settings(model: type[Model], source: str, client_id: str) -> Model:
    """Whatever is configured but secrets, unvalidated and possibly incomplete: for what is known
    without them.
    """
    return model.model_construct(**_found(model, source, client_id, secrets=False))


def wrong_settings(model: type[BaseModel], source: str, client_id: str) -> str:
    """What does not fit in what is configured of a source for a client; a key that is missing is
    not told.
    """
    sections = _sections(source, client_id)
    try:
        check_tables(sections[0], _providers())
        model.model_validate(_found(model, source, client_id))
    except ValidationError as error:
        return _explain(error, model, sections, missing=False)
    except ConfigurationError as error:
        return str(error)
    return ""


def settings_state() -> int:
    """A number that is another one when sources' settings in the environment, or the project, are
    others.
    """
    variables = frozenset(item for item in os.environ.items() if item[0].startswith("SOURCES__"))
    return hash((project_dir(), secrets_dir(), variables))


def _found(
    model: type[BaseModel], source: str, client_id: str, *, secrets: bool = True
) -> dict[str, Any]:
    section, shared = _sections(source, client_id)
    found: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        if not secrets and SecretStr in (field.annotation, *get_args(field.annotation)):
            continue
        value = _value(field.annotation, *section, key)
        if not _is_clients_own(model, key):
            value = _merge(_value(field.annotation, *shared, key), value)
        if value is not None:
            found[key] = value
    return found


def _sections(source: str, client_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where a client's settings of a source may stand: its own section, and the one of all
    clients.
    """
    return ("sources", source, "clients", client_id), ("sources", source)


def _is_clients_own(model: type[BaseModel], key: str) -> bool:
    return any(isinstance(mark, ClientOnly) for mark in model.model_fields[key].metadata)


def _merge(default: Any, own: Any) -> Any:
    """A client's own value, or the default; tables are merged key by key, so a client adds to a
    default table.
    """
    if isinstance(default, Mapping) and isinstance(own, Mapping):
        return {**cast("Mapping[str, Any]", default), **cast("Mapping[str, Any]", own)}
    return default if own is None else own


def _value(kind: Any, *path: str) -> Any:
    """The first provider's value at `path`, or None; over a table whatever of it stands alone in
    the environment.
    """
    *sections, key = path
    provided = (provider.get_value(key, str, "", *sections)[0] for provider in _providers())
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
