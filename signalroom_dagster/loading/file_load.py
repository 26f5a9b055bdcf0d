"""How one file appears in the warehouse: whole, once, or not at all.

One transaction: lock (client, table, file), look at the ledger again, delete what an earlier
version left, copy the rows and the rejects, write the ledger row. A load that is killed at any
point leaves nothing; one that runs twice does it once. Nothing here knows a vendor.
"""

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from signalroom_dagster.loading.context import LoadContext
from signalroom_dagster.loading.courier import LoadClient
from signalroom_dagster.logs import about
from signalroom_dagster.sources.files import (
    OTHER_COLUMNS,
    REJECT_COLUMNS,
    TAGS,
    FileStatus,
    FileVersion,
    ListedFile,
    TaggedFile,
)
from signalroom_dagster.warehouse.bookkeeping import LEDGER, LEDGER_KEY, REJECTED, insert, upsert
from signalroom_dagster.warehouse.errors import OvertakenError
from signalroom_dagster.warehouse.ledger import HANDLED

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """One file as it was read: `body` (its rows) and `rejects` (records that could not be read) are
    CSV files without a header.
    """

    table: str
    listed: ListedFile
    tagged: TaggedFile
    body: Path
    rejects: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMark:
    """What the ledger is to say of one file that is not loaded now: `listed`, or gone."""

    version: FileVersion
    status: FileStatus
    reason: str
    listed: ListedFile | None = None


def load_file(client: LoadClient, context: LoadContext, file: ReadFile) -> None:
    """Load one file; see the module's text for the guarantee. Raises what the database raises, and
    OvertakenError where the ledger holds a third version meanwhile: it has to be compared anew.
    """
    name = file.listed.version.file_name
    with _transaction(client, context, file.table, name):
        _replace(client, context, file)
    file.body.unlink(missing_ok=True)
    file.rejects.unlink(missing_ok=True)


def _replace(client: LoadClient, context: LoadContext, file: ReadFile) -> None:
    started, sql = time.monotonic(), client.sql_client
    version, tagged, table = file.listed.version, file.tagged, file.table
    subject = f"client {context.client_id}: {version.file_name}"
    ledger, *filled = map(sql.make_qualified_table_name, (LEDGER, table, REJECTED))
    where, key = "WHERE _client_id = %s AND _file_name = %s", (context.client_id, version.file_name)

    client.lock(f"{table}|{context.client_id}|{version.file_name}")
    rows = sql.execute_sql(f"SELECT etag, size, status FROM {ledger} {where}", *key)
    etag, size, status = rows[0] if rows else (None, None, None)
    if (etag, size) == (version.etag, version.size) and status in HANDLED:
        log.info("%s: another load has just handled it, left as it is", subject)
        return
    if etag not in (_seen_etag(context, version), version.etag):
        raise OvertakenError(f"{subject}: another load has just put another version there")
    # also of a file that the ledger does not know: its row may have been deleted
    for name in filled:
        sql.execute_sql(f"DELETE FROM {name} {where}", *key)
    if tagged.rows_loaded:
        kinds = {**TAGS, **dict.fromkeys(tagged.columns, "text")}
        kinds |= {OTHER_COLUMNS: "json"} if OTHER_COLUMNS in kinds else {}
        client.copy_whole(table, kinds, file.body, tagged.rows_loaded, subject)
    if tagged.rows_rejected:
        client.copy_whole(REJECTED, REJECT_COLUMNS, file.rejects, tagged.rows_rejected, subject)
    row = {
        "_client_id": context.client_id,
        "_file_name": version.file_name,
        "table_name": table,
        "etag": version.etag,
        "size": version.size,
        "last_modified": file.listed.modified.isoformat(),
        "rows_in_file": tagged.rows_in_file,
        "rows_loaded": tagged.rows_loaded,
        "rows_rejected": tagged.rows_rejected,
        "rows_filtered": tagged.rows_filtered,
        "status": tagged.status,
        "reason": tagged.reason,
        "_file_date": file.listed.file_date(context.zone).isoformat(),
        "_loaded_at": context.loaded_at,
        "run_id": context.run_id,
    }
    sql.execute_sql(upsert(ledger, row, LEDGER_KEY), *row.values())
    rejected = f", {tagged.rows_rejected:,} rejected" if tagged.rows_rejected else ""
    remark = f" ({tagged.status}: {tagged.reason})" if tagged.reason else ""
    seconds = f"{time.monotonic() - started:.2f} s"
    log.info("%s: %s rows%s in %s%s", subject, f"{tagged.rows_loaded:,}", rejected, seconds, remark)


def mark_files(
    client: LoadClient, context: LoadContext, table: str, marks: Sequence[FileMark]
) -> None:
    """Say in the ledger what became of files that are not loaded; of one that another load has
    handled meanwhile nothing.

    The version that the ledger holds stays: it is the one whose rows are in the table.
    """
    sql = client.sql_client
    ledger = sql.make_qualified_table_name(LEDGER)
    with _transaction(client, context, table, f"{len(marks)} ledger rows"):
        for mark in marks:
            version, listed = mark.version, mark.listed
            row = {
                "_client_id": context.client_id,
                "_file_name": version.file_name,
                "table_name": table,
                "etag": version.etag,
                "size": version.size,
                "last_modified": listed.modified.isoformat() if listed else None,
                "rows_in_file": 0,
                "rows_loaded": 0,
                "rows_rejected": 0,
                "rows_filtered": 0,
                "status": mark.status,
                "reason": mark.reason,
                "_file_date": listed.file_date(context.zone).isoformat() if listed else None,
                "run_id": context.run_id,
            }
            sql.execute_sql(
                f"{insert(ledger, row)} ON CONFLICT ({', '.join(LEDGER_KEY)}) DO UPDATE SET"
                " status = EXCLUDED.status, reason = EXCLUDED.reason WHERE old.etag = %s",
                *row.values(),
                _seen_etag(context, version),
            )
            what = f"{version.file_name}: {mark.status} ({mark.reason})"
            log.info("client %s: %s", context.client_id, what)


def _seen_etag(context: LoadContext, version: FileVersion) -> str | None:
    """The version that the ledger held when this load began."""
    entry = context.ledger.get(version.file_name)
    return entry.etag if entry else None


@contextmanager
def _transaction(
    client: LoadClient, context: LoadContext, table: str, what: str
) -> Generator[None]:
    try:
        with about(client=context.client_id, table=table), client.sql_client.begin_transaction():
            yield
    except Exception as error:
        raise client.explain(error, f"client {context.client_id}: {what}") from None
