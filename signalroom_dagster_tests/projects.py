"""A project in a temporary folder: two clients, their buckets as folders, and exports to put
there.
"""

import csv
import io
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from signalroom_dagster import sandboxed

ROOT = Path(__file__).parents[1]
LAYOUTS = tomllib.loads(
    files("signalroom_dagster.sources.s3_exports").joinpath("layouts.toml").read_text("utf-8")
)
HEADER: Sequence[str] = LAYOUTS["orders"]["columns"]
CLIENT = """
name = "{id}"
status = "{status}"
start_date = 2026-03-01
timezone = "America/New_York"
currency = "USD"
sources = {sources}
"""
CONFIG = """
[runtime]
log_level = "CRITICAL"
dlthub_telemetry = false

[load]
workers = 2
raise_on_max_retries = 1

[sources.s3_exports]
columns = { cc_num_masked = "drop", cc_expires = "drop" }
"""


class Project:
    """One temporary project."""

    def __init__(self, root: Path, setenv: Callable[[str, str], None]) -> None:
        self.root = root
        self.shared = False
        self.when_shared: Callable[[], None] = lambda: None
        self._environment: dict[str, str] = {}
        self.sources: dict[str, list[str]] = {}
        self._setenv = setenv
        self.set(
            SIGNALROOM_PROJECT_DIR=str(root),
            SIGNALROOM_WORK_DIR=str(root / "work"),
            DLT_PROJECT_DIR=str(root),
            SIGNALROOM_DESTINATION="duckdb",
            DESTINATION__DUCKDB__CREDENTIALS=str(root / "warehouse.duckdb"),
        )
        (root / ".dlt").mkdir(parents=True)
        (root / ".dlt" / "config.toml").write_text(CONFIG)

    def add_settings(self, text: str) -> None:
        """Write more into `.dlt/config.toml`, before anything is read of it."""
        file = self.root / ".dlt" / "config.toml"
        file.write_text(f"{file.read_text()}\n{text}")

    @property
    def environment(self) -> dict[str, str]:
        """What another process needs to work here: from now on this one is not alone with the
        warehouse.
        """
        self.shared = True
        self.when_shared()
        return self._environment

    def process_environment(self, **more: str) -> dict[str, str]:
        """The whole environment of a process that opens what this project names, and nothing
        else.
        """
        return {**sandboxed.only({**self.environment, **more}, os.environ), "PYTHONPATH": str(ROOT)}

    def add_client(
        self,
        client_id: str,
        *,
        status: str = "active",
        prefixes: Sequence[str] = ("orders-create",),
    ) -> Path:
        """A client with a bucket folder of its own; the folder."""
        folder = self.root / "data" / "clients" / client_id
        folder.mkdir(parents=True)
        (folder / "client.toml").write_text(client_toml(client_id, status=status))
        bucket = self.root / "buckets" / client_id
        bucket.mkdir(parents=True)
        self.configure(
            client_id,
            BUCKET_URL=f"file://{bucket}",
            PREFIXES="[" + ",".join(f'"{p}"' for p in prefixes) + "]",
        )
        return bucket

    def register(self, client_id: str, *, sources: Sequence[str], status: str = "active") -> None:
        """Write a client's registry entry anew."""
        folder = self.root / "data" / "clients" / client_id
        (folder / "client.toml").write_text(client_toml(client_id, status=status, sources=sources))

    def add_api_client(self, client_id: str, source: str, /, **settings: str) -> None:
        """A client that uses one more source, with its settings."""
        folder = self.root / "data" / "clients" / client_id
        folder.mkdir(parents=True, exist_ok=True)
        used = self.sources.setdefault(client_id, [])
        used += [source] if source not in used else []
        (folder / "client.toml").write_text(client_toml(client_id, sources=used))
        self.configure(client_id, source, **settings)

    def configure(self, client_id: str, source: str = "s3_exports", /, **settings: str) -> None:
        """A client's settings of a source, by their names."""
        path = f"SOURCES__{source}__CLIENTS__{client_id}"
        self.set(**{f"{path}__{key}".upper(): value for key, value in settings.items()})

    def use_postgres(self, url: str) -> None:
        """Load into this database from now on."""
        self.set(SIGNALROOM_DESTINATION="postgres", DESTINATION__POSTGRES__CREDENTIALS=url)

    def set(self, **variables: str) -> None:
        """Set environment variables, here and for the processes that are started with
        `environment`.
        """
        self._environment |= variables
        for key, value in variables.items():
            self._setenv(key, value)


def client_toml(
    client_id: str, *, status: str = "active", sources: Sequence[str] = ("s3_exports",)
) -> str:
    """The registry entry of a client."""
    return CLIENT.format(id=client_id, status=status, sources=json.dumps(list(sources)))


def orders(ids: Iterable[int | str], **values: str) -> list[dict[str, str]]:
    """Export rows by order id, with the same values in every row."""
    return [{"orders_id": str(number), "order_status": "NEW", **values} for number in ids]


def write_export(
    path: Path,
    rows: Sequence[Mapping[str, str]],
    *,
    header: Sequence[str] = HEADER,
    modified: datetime | None = None,
) -> Path:
    """A CSV export as Sticky.io writes it; `modified` sets the file's time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(export_bytes(rows, header))
    if modified:
        seconds = modified.astimezone(UTC).timestamp()
        os.utime(path, (seconds, seconds))
    return path


def export_bytes(rows: Sequence[Mapping[str, str]], header: Sequence[str] = HEADER) -> bytes:
    """The bytes of an export."""
    text = io.StringIO(newline="")
    writer: Any = csv.DictWriter(text, header, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")
