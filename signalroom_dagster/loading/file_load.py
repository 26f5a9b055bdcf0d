"""The load job that makes one file appear in the warehouse whole, once, or not at all.

One transaction: lock (client, table, file), look at the ledger again, delete what an earlier version left, copy the
rows and the rejects, write the ledger row. A job that is killed at any point leaves nothing; a job that runs twice
does it once. The destination says how to lock, copy and name its errors; nothing here knows a vendor.
"""

import logging
import time
from pathlib import Path
from typing import Any

from dlt.common.destination.client import RunnableLoadJob
from typing_extensions import override

from signalroom_dagster.files import REJECT_COLUMNS, TAGS, DeletedFiles, LoadFile
from signalroom_dagster.loading.errors import OvertakenError
from signalroom_dagster.loading.load_warehouse import LoadWarehouse, expect_rows
from signalroom_dagster.loading.tables import LEDGER, LEDGER_COLUMNS, LEDGER_KEY, REJECTED, upsert
from signalroom_dagster.logs import about
from signalroom_dagster.tickets import redeem

log = logging.getLogger(__name__)


class FileLoadJob(RunnableLoadJob):
    """Loads what one description says; see the module's text for the guarantee."""

    @override
    def run(self) -> None:
        described = redeem(Path(self._file_path))
        warehouse: Any = self._job_client
        try:
            with about(client=described.client_id), warehouse.sql_client.begin_transaction():
                if isinstance(described, DeletedFiles):
                    _mark_deleted(warehouse, described)
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
    table, ledger, rejected = (sql.make_qualified_table_name(name) for name in (file.table, LEDGER, REJECTED))
    key = (file.client_id, file.file_name)
    of_file = "WHERE _client_id = %s AND _file_name = %s"

    warehouse.lock(f"{file.table}|{file.client_id}|{file.file_name}")
    found = sql.execute_sql(f"SELECT etag FROM {ledger} {of_file}", *key)
    if (held := found[0][0] if found else None) != file.seen_etag:
        if held != file.etag:
            raise OvertakenError(f"{_subject(file)}: another load has just put another version there")
        log.info("%s: another load has just handled it, left as it is", _subject(file))
        return
    for name in (table, rejected):  # also of a file that the ledger does not know: its row may have been deleted
        sql.execute_sql(f"DELETE FROM {name} {of_file}", *key)
    if file.body:
        columns = (*TAGS, *file.columns)
        kinds = (*TAGS.values(), *("text" for _ in file.columns))
        expect_rows(file.rows_loaded, warehouse.copy_csv(file.table, columns, kinds, file.body), _subject(file))
    if file.rejects:
        copied = warehouse.copy_csv(REJECTED, tuple(REJECT_COLUMNS), tuple(REJECT_COLUMNS.values()), file.rejects)
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


def _mark_deleted(warehouse: LoadWarehouse, gone: DeletedFiles) -> None:
    sql = warehouse.sql_client
    ledger = sql.make_qualified_table_name(LEDGER)
    mark = f"UPDATE {ledger} SET status = 'deleted' WHERE _client_id = %s AND _file_name = %s AND etag = %s"
    for version in gone.versions:  # of another one, loaded meanwhile, the file is there
        sql.execute_sql(mark, gone.client_id, version.file_name, version.etag)


def _ledger_row(file: LoadFile) -> tuple[Any, ...]:
    return (
        file.client_id, file.file_name, file.table, file.etag, file.size, file.last_modified, file.rows_in_file,
        file.rows_loaded, file.rows_rejected, file.rows_filtered, file.status, file.reason, file.file_date,
        file.loaded_at, file.run_id,
    )  # fmt: skip


def _subject(described: LoadFile | DeletedFiles) -> str:
    what = described.file_name if isinstance(described, LoadFile) else f"{len(described.versions)} ledger rows"
    return f"client {described.client_id}: {what}"
