"""What must hold after files were loaded, asked of the database itself, for the files of one
run.
"""

from collections.abc import Mapping

from signalroom_dagster.sources.files import TO_LOOK_AT
from signalroom_dagster.warehouse.access import Query, table_exists
from signalroom_dagster.warehouse.bookkeeping import LEDGER, REJECTED
from signalroom_dagster.warehouse.finding import Finding
from signalroom_dagster.warehouse.ledger import files_of_run, unreadable_files

REASONS = 3
"""How many reasons a check tells of each file."""


def row_balance(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """Rows in each file, counted independently, are the rows in the table, the rejected ones and
    other clients'.
    """
    files = files_of_run(query, dataset, table, client_id, run_id)
    if not files:
        return Finding(True, "no file was loaded in this run")
    stored = _count_by_file(query, dataset, table, table, client_id, run_id)
    rejected = _count_by_file(query, dataset, REJECTED, table, client_id, run_id)
    off = [
        f"{file.file_name}: {file.rows_in_file} in the file, {stored.get(file.file_name, 0)} in the"
        f" table, {rejected.get(file.file_name, 0)} rejected, {file.rows_filtered} of other clients"
        for file in files
        if file.rows_in_file
        != stored.get(file.file_name, 0) + rejected.get(file.file_name, 0) + file.rows_filtered
    ]
    figures: dict[str, int | str] = {
        "files": len(files),
        "rows_in_files": sum(file.rows_in_file for file in files),
        "rows_in_table": sum(stored.values()),
        "rows_rejected": sum(rejected.values()),
        "rows_of_other_clients": sum(file.rows_filtered for file in files),
    }
    return Finding(
        not off, "; ".join(off[:10]) or "every row of every file is accounted for", figures
    )


def all_rows_read(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """No file was unreadable or quarantined, no row rejected, and each column has a place; what has
    none stands in rejected_rows and in the ledger.
    """
    files = files_of_run(query, dataset, table, client_id, run_id)
    unreadable = unreadable_files(query, dataset, table, client_id)
    odd = [
        file
        for file in files
        if file.status == "quarantined"
        or (file not in unreadable and (file.rows_rejected or TO_LOOK_AT in (file.reason or "")))
    ]
    why = _reasons(query, dataset, table, client_id, run_id) if odd else {}
    said = "; ".join(
        [f"{file.file_name} {file.reason}; each load tries it again" for file in unreadable[:10]]
        + [
            f"{file.file_name}: {file.status}, {file.rows_rejected} rows rejected"
            + (
                f": {', '.join(why[file.file_name])}"
                if file.file_name in why and file.status == "loaded"
                else ""
            )
            + (f" ({file.reason})" if file.reason else "")
            for file in odd[:10]
        ]
    )
    figures: dict[str, int | str] = {
        "files_unreadable": len(unreadable),
        "files_to_look_at": len(odd),
        "rows_rejected": sum(file.rows_rejected for file in odd),
    }
    return Finding(not (odd or unreadable), said or "every row was read", figures)


def client_tagged(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """No row of this run's files is without its client."""
    if not table_exists(query, dataset, table):
        return Finding(True, "the table does not exist yet")
    found = query(
        f"SELECT count(*) FROM {dataset}.{table} t WHERE t._client_id IS NULL AND t._file_name IN"
        f" (SELECT _file_name FROM {dataset}.{LEDGER} WHERE _client_id = %s AND table_name = %s AND"
        " run_id = %s)",
        client_id,
        table,
        run_id,
    )
    untagged = int(found[0][0])
    return Finding(
        not untagged, f"{untagged} rows without a client", {"rows_without_client": untagged}
    )


def key_unique(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """(_client_id, _file_name, _row_id) names one row."""
    if not table_exists(query, dataset, table):
        return Finding(True, "the table does not exist yet")
    found = query(
        f"SELECT count(*) - count(DISTINCT (t._file_name, t._row_id)) FROM {dataset}.{table} t "
        f"JOIN {dataset}.{LEDGER} f ON f._client_id = t._client_id AND f._file_name = t._file_name "
        "WHERE f._client_id = %s AND f.table_name = %s AND f.run_id = %s",
        client_id,
        table,
        run_id,
    )
    repeated = int(found[0][0])
    return Finding(not repeated, f"{repeated} rows repeat a key", {"repeated_keys": repeated})


def _reasons(
    query: Query, dataset: str, table: str, client_id: str, run_id: str
) -> Mapping[str, list[str]]:
    """Why rows of each file of a run were rejected, the most frequent reasons first."""
    rows = query(
        f"SELECT t._file_name, t.reason, count(*) FROM {dataset}.{REJECTED} t JOIN"
        f" {dataset}.{LEDGER} f ON f._client_id = t._client_id AND f._file_name = t._file_name"
        " WHERE f._client_id = %s AND f.table_name = %s AND f.run_id = %s GROUP BY 1, 2 ORDER BY 3"
        " DESC, 2",
        client_id,
        table,
        run_id,
    )
    reasons: dict[str, list[str]] = {}
    for name, reason, _ in rows:
        told = reasons.setdefault(str(name), [])
        if len(told) < REASONS:
            told.append(str(reason))
    return reasons


def _count_by_file(
    query: Query, dataset: str, counted: str, table: str, client_id: str, run_id: str
) -> Mapping[str, int]:
    rows = query(
        f"SELECT t._file_name, count(*) FROM {dataset}.{counted} t "
        f"JOIN {dataset}.{LEDGER} f ON f._client_id = t._client_id AND f._file_name = t._file_name "
        "WHERE f._client_id = %s AND f.table_name = %s AND f.run_id = %s GROUP BY 1",
        client_id,
        table,
        run_id,
    )
    return {str(name): int(count) for name, count in rows}
