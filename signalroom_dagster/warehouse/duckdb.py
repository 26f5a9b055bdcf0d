"""The DuckDB engine: its errors in our words."""

import os
from pathlib import Path

import duckdb as engine

from signalroom_dagster.config import shown
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.retries import causes
from signalroom_dagster.warehouse.errors import DISK_FULL, LoadError, WarehouseBusyError
from signalroom_dagster.warehouse.places import duckdb_path

CLOCK = "now()"
_SQL_STATES: dict[type[Exception], str] = {
    engine.BinderException: "42703",
    engine.CatalogException: "42P01",
    engine.ConversionException: "22P02",
    engine.ConstraintException: (
        "23502"
    ),  # of a source's tables NOT NULL alone: no index of theirs is unique here
}
"""DuckDB has no codes of its own: what Postgres calls the same."""


def explain(error: Exception, what: str) -> Exception:
    """DuckDB quotes the offending line in its errors: keep only their class, and whether its disk
    is full.
    """
    cause = next((cause for cause in causes(error) if isinstance(cause, engine.Error)), None)
    if cause is None:
        return error
    if full := [words for words in map(os.strerror, DISK_FULL) if words in str(cause)]:
        return LoadError(
            f"{what}: DuckDB cannot write {duckdb_path()} ({full[0]}): free space there"
        )
    return LoadError(
        f"{what}: DuckDB refused it: {type(cause).__name__}", _SQL_STATES.get(type(cause), "")
    )


def unopened(path: Path, error: Exception) -> Exception:
    """Why a DuckDB file could not be opened: it is none, or not one for us, or another program has
    it open.
    """
    where, words = shown(path), str(error)
    another = "name another file with DESTINATION__DUCKDB__CREDENTIALS"
    if path.is_dir():
        return ConfigurationError(
            f"{where} is a folder, not a DuckDB file: {another}, such as one in it"
        )
    if not path.is_file() and path.exists():
        return ConfigurationError(f"{where} is no regular file: {another}")
    if not os.access(path, os.R_OK | os.W_OK):
        return ConfigurationError(
            f"{where} may not be read and written by this user: let it, or {another}"
        )
    if "not a valid DuckDB" in words:
        kind = "is an empty file" if not path.stat().st_size else "is another kind of file"
        return ConfigurationError(f"{where} {kind}, no DuckDB database: move it away, or {another}")
    if "version number" in words:
        return ConfigurationError(
            f"{where} was written by another version of DuckDB: open it with that, or {another}"
        )
    if "Could not set lock" in words:
        return WarehouseBusyError(
            f"{where} cannot be opened: another program has it open (a DuckDB shell, a notebook);"
            " close it there"
        )
    if any(full in words for full in map(os.strerror, DISK_FULL)):
        return explain(error, "opening the warehouse")
    what = (
        "is damaged"
        if "orrupt" in words or "checksum" in words
        else f"cannot be opened ({type(error).__name__})"
    )
    return ConfigurationError(
        f"{where} {what}: restore it from a backup, or {another} and load anew"
    )
