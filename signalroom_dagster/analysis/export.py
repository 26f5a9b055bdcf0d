"""Each job's result as a file, `<folder>/<client>/<job>.json` or `.parquet`, for whoever reads
files instead of tables.

A file is there whole or not at all, and made anew when its job is.
"""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from pydantic import BaseModel

from signalroom_dagster.analysis.results import Result, given_rows, row
from signalroom_dagster.config import project_dir
from signalroom_dagster.sections import section_settings
from signalroom_dagster.warehouse.errors import LoadError

if TYPE_CHECKING:
    import duckdb


class ExportSettings(BaseModel):
    """`[events.export]`, or `EVENTS__EXPORT__FOLDER` (below the project when it is relative) and
    `…__FORMAT`.
    """

    folder: Path | None = None
    format: Literal["json", "parquet"] = "json"


def is_exporting() -> bool:
    """Whether a folder is configured. Raises ConfigurationError."""
    return _settings().folder is not None


def export_files(results: Sequence[Result]) -> None:
    """Write each result as a file where a folder is configured. Raises LoadError."""
    import duckdb

    settings = _settings()
    if settings.folder is None:
        return
    try:
        _export(results, settings.folder, settings.format)
    except (OSError, duckdb.Error) as error:
        raise LoadError(
            f"results cannot be exported to {settings.folder} ({type(error).__name__}): let this"
            " user write there, or set EVENTS__EXPORT__FOLDER; until then they stay in the store"
        ) from None


def _export(results: Sequence[Result], folder: Path, kind: Literal["json", "parquet"]) -> None:
    write = {"json": _write_json, "parquet": _write_parquet}[kind]
    for result in results:
        own = project_dir() / folder / result.tenant_id
        own.mkdir(parents=True, exist_ok=True)
        path = own / f"{result.job_id}.{kind}"
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        fields = row(result, result.last_event_at)
        del fields[
            "_loaded_at"
        ]  # when a file was written, the file system knows; so equal results are equal files
        write(unfinished, msgspec.json.encode(fields))
        unfinished.replace(path)


def _settings() -> ExportSettings:
    return section_settings(ExportSettings, "events", "export")


def _write_json(path: Path, fields: bytes) -> None:
    path.write_bytes(fields)


def _write_parquet(path: Path, fields: bytes) -> None:
    from signalroom_dagster.warehouse import duckdb as engine

    rows = given_rows(engine).replace("%s", "?")
    target = str(path).replace("'", "''")
    statement = f"COPY (SELECT * EXCLUDE (_loaded_at) FROM {rows}) TO '{target}' (FORMAT parquet)"
    _engine().execute(statement, [f"[{fields.decode()}]"])


@functools.cache
def _engine() -> "duckdb.DuckDBPyConnection":
    import duckdb

    return duckdb.connect()
