"""The load job that makes one file appear in the warehouse whole, once, or not at all.

One transaction: lock (client, table, file), look at the ledger again, delete what an earlier
version left, copy the rows and the rejects, write the ledger row. A job that is killed at any point
leaves nothing; a job that runs twice does it once. The destination says how to lock, copy and name
its errors; nothing here knows a vendor.
"""

import logging
import time
from pathlib import Path
from typing import Any

from dlt.common.destination.client import RunnableLoadJob
from typing_extensions import override

from signalroom_dagster.files import (
    HANDLED,
    OTHER_COLUMNS,
    REJECT_COLUMNS,
    TAGS,
    LoadFile,
    MarkedFiles,
)
from signalroom_dagster.loading.load_warehouse import LoadWarehouse, expect_rows
from signalroom_dagster.logs import about
from signalroom_dagster.tickets import redeem
from signalroom_dagster.warehouse.bookkeeping import (
    LEDGER,
    LEDGER_COLUMNS,
    LEDGER_KEY,
    REJECTED,
    upsert,
)
from signalroom_dagster.warehouse.errors import OvertakenError

log = logging.getLogger(__name__)


class FileLoadJob(RunnableLoadJob):
    """Loads what one description says; see the module's text for the guarantee."""

    @override
    def run(self) -> None:
        described: LoadFile | MarkedFiles | None = redeem(Path(self._file_path))
        if described is None:  # it waits for the next attempt
            return
        warehouse: Any = self._job_client
        try:
            with about(client=described.client_id), warehouse.sql_client.begin_transaction():
                if isinstance(described, MarkedFiles):
                    _mark(warehouse, described)
                else:
                    _load_file(warehouse, described)
        except Exception as error:
            raise warehouse.explain(error, _subject(described)) from None
        if isinstance(described, LoadFile):
            for path in (described.body, described.rejects):
                if path:
                    Path(path).unlink(missing_ok=True)


def _load_file(warehouse: LoadWarehouse, file: LoadFile) -> None:
    started = time.monotonic()
    sql = warehouse.sql_client
    table, ledger, rejected = (
        sql.make_qualified_table_name(name) for name in (file.table, LEDGER, REJECTED)
    )
    key = (file.client_id, file.file_name)
    of_file = "WHERE _client_id = %s AND _file_name = %s"

    warehouse.lock(f"{file.table}|{file.client_id}|{file.file_name}")
    found = sql.execute_sql(f"SELECT etag, size, status FROM {ledger} {of_file}", *key)
    etag, size, status = found[0] if found else (None, None, None)
    if (etag, size) == (file.etag, file.size) and status in HANDLED:
        log.info("%s: another load has just handled it, left as it is", _subject(file))
        return
    if etag not in (file.seen_etag, file.etag):
        raise OvertakenError(f"{_subject(file)}: another load has just put another version there")
    for name in (
        table,
        rejected,
    ):  # also of a file that the ledger does not know: its row may have been deleted
        sql.execute_sql(f"DELETE FROM {name} {of_file}", *key)
    if file.body:
        columns = (*TAGS, *file.columns)
        kinds = (
            *TAGS.values(),
            *("json" if name == OTHER_COLUMNS else "text" for name in file.columns),
        )
        expect_rows(
            file.rows_loaded,
            warehouse.copy_csv(file.table, columns, kinds, file.body),
            _subject(file),
        )
    if file.rejects:
        copied = warehouse.copy_csv(
            REJECTED, tuple(REJECT_COLUMNS), tuple(REJECT_COLUMNS.values()), file.rejects
        )
        expect_rows(file.rows_rejected, copied, _subject(file))
    sql.execute_sql(upsert(ledger, LEDGER_COLUMNS, LEDGER_KEY), *_ledger_row(file))
    log.info(
        "%s: %s rows%s in %.2f s%s",
        _subject(file),
        f"{file.rows_loaded:,}",
        f", {file.rows_rejected:,} rejected" if file.rows_rejected else "",
        time.monotonic() - started,
        f" ({file.status}: {file.reason})" if file.reason else "",
    )


def _mark(warehouse: LoadWarehouse, marked: MarkedFiles) -> None:
    """Say in the ledger what became of files; of one that another load has handled meanwhile
    nothing.

    The version that the ledger holds stays: it is the one whose rows are in the table.
    """
    sql = warehouse.sql_client
    ledger = sql.make_qualified_table_name(LEDGER)
    statement = (
        f"INSERT INTO {ledger} AS old (_client_id, _file_name, table_name, etag, size,"
        " last_modified, rows_in_file, rows_loaded, rows_rejected, rows_filtered, status, reason,"
        " _file_date, run_id) VALUES (%s, %s, %s, %s, %s, %s, 0, 0, 0, 0, %s, %s, %s, %s) ON"
        " CONFLICT (_client_id, _file_name) DO UPDATE SET status = EXCLUDED.status, reason ="
        " EXCLUDED.reason WHERE old.etag = %s"
    )
    for mark in marked.marks:
        version = mark.version
        sql.execute_sql(
            statement,
            marked.client_id,
            version.file_name,
            marked.table,
            version.etag,
            version.size,
            mark.last_modified,
            mark.status,
            mark.reason,
            mark.file_date,
            marked.run_id,
            mark.seen_etag,
        )
        log.info(
            "client %s: %s: %s (%s)", marked.client_id, version.file_name, mark.status, mark.reason
        )


def _ledger_row(file: LoadFile) -> tuple[Any, ...]:
    return (
        file.client_id,
        file.file_name,
        file.table,
        file.etag,
        file.size,
        file.last_modified,
        file.rows_in_file,
        file.rows_loaded,
        file.rows_rejected,
        file.rows_filtered,
        file.status,
        file.reason,
        file.file_date,
        file.loaded_at,
        file.run_id,
    )


def _subject(described: LoadFile | MarkedFiles) -> str:
    what = (
        described.file_name
        if isinstance(described, LoadFile)
        else f"{len(described.marks)} ledger rows"
    )
    return f"client {described.client_id}: {what}"
