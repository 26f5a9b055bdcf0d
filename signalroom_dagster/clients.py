"""The client registry: `data/clients/<id>/client.toml`, one file per client.

What a client *is* belongs here. What a source needs to reach a client's accounts belongs in `.dlt/`.
"""

import functools
import os
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from signalroom_dagster.config import ConfigurationError, project_dir
from signalroom_dagster.naming import CLIENT_ID

FILE = "client.toml"


class Client(BaseModel):
    """One client of the agency. Every "day" of a client is a day in its `timezone`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str = Field(min_length=1)
    status: Literal["active", "planned"]
    start_date: date
    timezone: str
    currency: str = Field(pattern="^[A-Z]{3}$")
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

    @property
    def zone(self) -> ZoneInfo:
        """The client's time zone, for turning instants into days."""
        return ZoneInfo(self.timezone)


def load_clients(root: Path | None = None) -> dict[str, Client]:
    """Every client below `root` (the project folder by default), by id.

    Raises ConfigurationError naming the file and the key.
    """
    folder = f"{root or project_dir()}/data/clients"  # asked for all the time: text is cheaper than paths
    return {name: _read(f"{folder}/{name}/{FILE}", version) for name, version in _versions(folder).items()}


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
    return stat.st_ctime_ns, stat.st_mtime_ns, stat.st_size


def get_client(client_id: str) -> Client:
    """The client of that id. Raises ConfigurationError that lists the known ones."""
    clients = load_clients()
    if client_id not in clients:
        known = ", ".join(clients) or "none yet"
        raise ConfigurationError(f"no client {client_id!r} in data/clients/ (there are: {known})")
    return clients[client_id]


def clients_of(source: str) -> list[Client]:
    """The clients that use a source, planned ones included."""
    return [client for client in load_clients().values() if source in client.sources]


@functools.lru_cache(maxsize=4096)
def _read(file: str, version: tuple[int, int, int]) -> Client:
    path = Path(file)
    client_id = path.parent.name
    if not CLIENT_ID.match(client_id):
        raise ConfigurationError(
            f"{path}: the folder name {client_id!r} is the client's id; use lower-case letters, digits and single "
            "underscores"
        )
    try:
        return Client.model_validate({**tomllib.loads(path.read_text("utf-8")), "id": client_id})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"{path}: {found}") from None
