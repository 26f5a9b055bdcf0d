"""Where the warehouse is: the file of DuckDB, or the address of Postgres."""

import os
from pathlib import Path
from urllib.parse import quote

from signalroom_dagster.config import destination_name, project_dir
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.redaction import keep_password, keep_secret
from signalroom_dagster.sandboxed import check_sandbox
from signalroom_dagster.sections import check_files, raw_setting


def duckdb_path() -> Path:
    """The DuckDB file: `DESTINATION__DUCKDB__CREDENTIALS`, else the project's own."""
    check_sandbox()
    check_files()
    stored = raw_setting(str, "destination", "duckdb", "credentials")
    path = Path(str(stored).removeprefix("duckdb:///")) if stored else Path("signalroom.duckdb")
    return path if path.is_absolute() else project_dir() / path


def server_url() -> str | None:
    """The URL of a warehouse that is a server's; None for a file's."""
    return postgres_url() if destination_name() == "postgres" else None


def postgres_url() -> str:
    """The Postgres URL: `DESTINATION__POSTGRES__CREDENTIALS`, else made of `SUPABASE_DB_*`."""
    check_sandbox()
    check_files()
    if stored := raw_setting(str, "destination", "postgres", "credentials"):
        keep_password(str(stored))
        return str(stored)
    if not (host := os.environ.get("SUPABASE_DB_HOST")):
        raise ConfigurationError(
            "the destination is postgres, but no database is configured: set"
            " DESTINATION__POSTGRES__CREDENTIALS (postgresql://user:password@host:port/database) or"
            " SUPABASE_DB_HOST, _PORT, _NAME, _USER and _PASSWORD"
        )
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
