"""The client registry: `data/clients/<id>/client.toml`, one file per client.

What a client *is* belongs here. What a source needs to reach a client's accounts belongs in
`.dlt/`. A client whose file cannot be read is none until it is mended: it is told of, and keeps
nobody else from being loaded.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from signalroom_dagster.config import ConfigurationError, project_dir, shown
from signalroom_dagster.errors import WrongRequestError
from signalroom_dagster.naming import CLIENT_ID
from signalroom_dagster.refused_values import refused
from signalroom_dagster.settings_files import read_toml

FILE = "client.toml"


class Client(BaseModel):
    """One client of the agency. Every "day" of a client is a day in its `timezone`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str = Field(min_length=1)
    status: Literal["active", "planned"]
    start_date: date
    timezone: str
    currency: str = Field(pattern="^[A-Z]{3}$", examples=["USD"])
    sources: tuple[str, ...]
    reports: tuple[Mapping[str, Any], ...] = ()
    notify_on_success: tuple[str, ...] = ()
    analysis: Mapping[str, Any] = Field(default_factory=dict)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not a time zone name such as America/New_York") from None

    @field_validator("sources")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({name for name in value if value.count(name) > 1}):
            raise ValueError(f"names {', '.join(twice)} twice")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The client's time zone, for turning instants into days."""
        return ZoneInfo(self.timezone)


def load_clients(root: Path | None = None) -> dict[str, Client]:
    """Every client below `root` (the project folder by default) whose file can be read, by id."""
    return {name: client for name, client in _read_all(root).items() if isinstance(client, Client)}


def unreadable_clients(root: Path | None = None) -> dict[str, str]:
    """What is wrong with each client that `load_clients` leaves out, by folder: file and key."""
    return {
        name: str(client)
        for name, client in _read_all(root).items()
        if not isinstance(client, Client)
    }


def _read_all(root: Path | None = None) -> Mapping[str, Client | ConfigurationError]:
    folder = (  # asked for all the time: text is cheaper than paths
        f"{root or project_dir()}/data/clients"
    )
    return {
        name: _read(f"{folder}/{name}/{FILE}", version)
        for name, version in _versions(folder).items()
    }


def registry_state() -> int:
    """A number that is another one when a client was added or removed, or its file written."""
    return hash(tuple(_versions(f"{project_dir()}/data/clients").items()))


def _versions(folder: str) -> Mapping[str, tuple[int, int, int]]:
    found = {name: _version(f"{folder}/{name}/{FILE}") for name in sorted(_names(folder))}
    return {name: version for name, version in found.items() if version}


def _names(folder: str) -> Sequence[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except FileNotFoundError:
        return ()


def _version(file: str) -> tuple[int, int, int] | None:
    """What is another one whenever the file was written again; None when there is no such file."""
    try:
        stat = os.stat(file)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return 0, 0, 0  # it is there, and reading it will say what is wrong
    return stat.st_ctime_ns, stat.st_mtime_ns, stat.st_size


def get_client(client_id: str) -> Client:
    """The client of that id. Raises ConfigurationError: its file is wrong, or is not there."""
    client = _read_all().get(client_id)
    if isinstance(client, Client):
        return client
    if client:
        raise ConfigurationError(str(client))
    known = ", ".join(load_clients()) or "none yet"
    raise WrongRequestError(f"no client {client_id!r} in data/clients/ (there are: {known})")


def clients_of(source: str) -> list[Client]:
    """The clients that use a source, planned ones included."""
    return [client for client in load_clients().values() if source in client.sources]


@functools.lru_cache(maxsize=4096)
def _read(file: str, version: tuple[int, int, int]) -> Client | ConfigurationError:
    path = Path(file)
    client_id, where = path.parent.name, shown(path)
    if not CLIENT_ID.match(client_id):
        return ConfigurationError(
            f"{where}: the folder name {client_id!r} is the client's id; use lower-case letters,"
            " digits and single underscores"
        )
    try:
        return Client.model_validate({**read_toml(path), "id": client_id})
    except ValidationError as error:
        return ConfigurationError(f"{where}: {refused(error, Client)}")
    except OSError as error:
        return ConfigurationError(f"{where}: cannot be read: {error.strerror}")
    except (
        ValueError,
        RecursionError,
    ) as error:  # TOML's own, text that is not UTF-8, numbers that are too long
        return ConfigurationError(f"{where}: not valid TOML: {error}")
