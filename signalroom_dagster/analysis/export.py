"""Each job's result as a file, `<folder>/<client>/<job>.json` or `.parquet`, for whoever reads files instead of tables.

A file is there whole or not at all, and made anew when its job is.
"""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from pydantic import BaseModel

from signalroom_dagster.analysis.results import COLUMNS, Result, row
from signalroom_dagster.config import project_dir, section_settings

if TYPE_CHECKING:
    import duckdb


class ExportSettings(BaseModel):
    """`[events.export]`, or `EVENTS__EXPORT__FOLDER` (below the project when it is relative) and `…__FORMAT`."""

    folder: Path | None = None
    format: Literal["json", "parquet"] = "json"


def is_exporting() -> bool:
    """Whether a folder is configured. Raises ConfigurationError."""
    return _settings().folder is not None


def export_files(results: Sequence[Result]) -> None:
    """Write each result as a file where a folder is configured. Raises OSError."""
    settings = _settings()
    if settings.folder is None:
        return
    write = {"json": _write_json, "parquet": _write_parquet}[settings.format]
    for result in results:
        folder = project_dir() / settings.folder / result.tenant_id
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{result.job_id}.{settings.format}"
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        write(unfinished, {name: value for name, value in row(result, result.last_event_at).items() if name in FIELDS})
        unfinished.replace(path)


FIELDS = tuple(name for name in COLUMNS if name != "_loaded_at")
"""When a file was written, the file system knows; without it, equal results are equal files."""


def _settings() -> ExportSettings:
    return section_settings(ExportSettings, "events", "export")


def _write_json(path: Path, fields: dict[str, Any]) -> None:
    nested = {name: msgspec.Raw(fields[name].encode()) for name in FIELDS if COLUMNS[name].startswith("json")}
    path.write_bytes(msgspec.json.encode({**fields, **nested}))


def _write_parquet(path: Path, fields: dict[str, Any]) -> None:
    columns = ", ".join(f"CAST(? AS {COLUMNS[name].removesuffix(' NOT NULL')}) AS {name}" for name in FIELDS)
    target = str(path).replace("'", "''")
    _engine().execute(f"COPY (SELECT {columns}) TO '{target}' (FORMAT parquet)", list(fields.values()))


@functools.cache
def _engine() -> "duckdb.DuckDBPyConnection":
    import duckdb

    return duckdb.connect()
