"""The tables that the load itself keeps beside a source's data: the ledger of files, and the rejected rows.

Written once in SQL that Postgres and DuckDB both read. They change only inside the transaction that loads a file.
"""

LEDGER = "files"
REJECTED = "rejected_rows"

LEDGER_COLUMNS = {
    "_client_id": "varchar NOT NULL",
    "_file_name": "varchar NOT NULL",
    "table_name": "varchar NOT NULL",
    "etag": "varchar",
    "size": "bigint",
    "last_modified": "timestamp with time zone",
    "rows_in_file": "bigint",
    "rows_loaded": "bigint",
    "rows_rejected": "bigint",
    "rows_filtered": "bigint",
    "status": "varchar NOT NULL",
    "reason": "varchar",
    "_file_date": "date",
    "_loaded_at": "timestamp with time zone",
    "run_id": "varchar",
}
"""The file ledger; one row per (client, file), its key."""

REJECTED_COLUMNS = {
    "_client_id": "varchar NOT NULL",
    "_file_name": "varchar NOT NULL",
    "_row_id": "bigint NOT NULL",
    "_file_date": "date",
    "_loaded_at": "timestamp with time zone",
    "reason": "varchar",
    "line": "bigint",
    "raw": "varchar",
}
"""Records that could not be read; `line` is the physical line in the file, `raw` only where policy allows it."""


def create_statements(ledger: str, rejected: str) -> list[str]:
    """DDL for both tables under their qualified names; harmless where they exist."""
    return [
        _create(ledger, LEDGER_COLUMNS, "PRIMARY KEY (_client_id, _file_name)"),
        _create(rejected, REJECTED_COLUMNS),
    ]


def upsert_ledger(ledger: str) -> str:
    """INSERT … ON CONFLICT for one ledger row, with %s for every column of LEDGER_COLUMNS in order."""
    names = list(LEDGER_COLUMNS)
    updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in names[2:])
    return (
        f"INSERT INTO {ledger} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))}) "
        f"ON CONFLICT (_client_id, _file_name) DO UPDATE SET {updates}"
    )


def _create(table: str, columns: dict[str, str], key: str = "") -> str:
    parts = [f"{name} {kind}" for name, kind in columns.items()] + ([key] if key else [])
    return f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(parts)})"
