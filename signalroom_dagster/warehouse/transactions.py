"""How every transaction on Postgres begins, and how it waits for others.

Whatever is said here ends with its transaction, so that a transaction pooler may stand in between.
A process that is stopped or lost in the middle of a transaction is noticed by the server, which
undoes it and frees what it held. Who waits says for whom.

https://www.postgresql.org/docs/current/runtime-config-client.html
"""

import logging
import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from signalroom_dagster.retries import FIRST_WAIT_SECONDS, backoff, causes
from signalroom_dagster.warehouse.errors import TableInUseError, WarehouseBusyError

if TYPE_CHECKING:
    import psycopg2.extensions

log = logging.getLogger(__name__)

Query: TypeAlias = Callable[..., Sequence[Sequence[Any]] | None]
Result = TypeVar("Result")

IDLE_SECONDS = 120
"""A process silent for so long in a transaction counts as stopped, and its work is undone."""
SILENT_SECONDS = 60
"""After so long without an answer to what the server sent, a machine counts as lost."""
STATEMENT_SECONDS = 3_600
"""The longest a statement may take; the server's own limit is for people's queries."""
COPY_BYTES_PER_SECOND = 100_000
"""A slower copy counts as stopped: the server does not see a copying process as idle."""
DDL_WAIT_SECONDS = 1
"""How long a statement that alters a table waits for it: everybody else waits behind it."""
DDL_PATIENCE_SECONDS = 15 * 60.0
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 3_600.0
REMINDER_SECONDS = 30.0
_LOCK_NOT_AVAILABLE = "55P03"

_HOLDERS = """
SELECT string_agg(coalesce(nullif(application_name, ''), usename, 'somebody')
    || ' (server process ' || pid
    || coalesce(' for ' || client_addr, '') || coalesce(', ' || state, '')
    || coalesce(', for ' || round(extract(epoch FROM clock_timestamp() - xact_start)) || ' s', '')
    || ')', ', ')
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND pid IN (SELECT pid FROM pg_locks WHERE granted AND """
_OF_LOCK = (
    "locktype = 'advisory' AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint ="
    " hashtextextended(%s, 0))"
)
_OF_SCHEMA = "relation IN (SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace(%s)))"


def limits(subject: str) -> str:
    """The statements that a transaction begins with; those that wait for it read `subject`.

    No query is among them, so that the transaction's isolation can still be chosen.
    """
    who = f"signalroom {os.getpid()}@{socket.gethostname()[:20]} {subject}"
    settings = {
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "lock_timeout": "0",
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": f"{SILENT_SECONDS}s",
        "application_name": re.sub(r"[^\w .,:@-]", "?", who, flags=re.ASCII)[:63],
    }
    return "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())


def copy_limit(size: int) -> str:
    """The statement before a copy of so many bytes."""
    return f"SET LOCAL statement_timeout = '{60 + size // COPY_BYTES_PER_SECOND}s'"


def statement_limit() -> str:
    """The statement after a copy: whatever follows may take as long as other statements."""
    return f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'"


def ddl_limit() -> str:
    """Statements after this one fail on a table in use, rather than make everybody wait."""
    return f"SET LOCAL lock_timeout = '{DDL_WAIT_SECONDS}s'"


def asking(
    connection: "psycopg2.extensions.connection",
) -> Callable[..., Sequence[tuple[Any, ...]]]:
    """Runs a statement on a connection; after an error its caller ends the transaction."""

    def query(sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    return query


def take_lock(query: Query, name: str) -> None:
    """Hold a lock by name until the transaction ends; says every half minute for whom it waits.

    Raises WarehouseBusyError after an hour, and what `query` raises.
    """
    if _first(query("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", name)):
        return
    started = time.monotonic()
    while not _locked(query, name):
        waited, holder = (
            time.monotonic() - started,
            _first(query(_HOLDERS + _OF_LOCK, name)) or "somebody",
        )
        log.info("waiting for %s of %s", name, holder)
        if waited > LONGEST_WAIT_SECONDS:
            raise WarehouseBusyError(
                f"{holder} held {name} for {waited:.0f} s: end it if it is stuck"
            )


def _locked(query: Query, name: str) -> bool:
    """Wait in the server's own queue for a lock, until it is time to say so."""
    query(f"SAVEPOINT waiting; SET LOCAL lock_timeout = '{REMINDER_SECONDS:g}s'")
    try:
        query("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", name)
    except Exception as error:
        if not is_in_use(error):
            raise
        query("ROLLBACK TO SAVEPOINT waiting")
        return False
    query("SET LOCAL lock_timeout = 0")
    return True


def until_free(
    change: Callable[[], Result],
    schema: str,
    query: Query,
    pause: Callable[[float], None] = time.sleep,
) -> Result:
    """Do a transaction that alters tables of a schema, again and again while somebody uses them.

    Between two tries it holds nothing; `query` then tells for whom it waits. Raises TableInUseError
    after 15 minutes.
    """
    started, attempt = time.monotonic(), 0
    while True:
        attempt += 1
        try:
            return change()
        except Exception as error:
            if not is_in_use(error):
                raise
        delay = backoff(attempt, FIRST_WAIT_SECONDS, LONGEST_PAUSE_SECONDS)
        holders = _first(query(_HOLDERS + _OF_SCHEMA, schema)) or "somebody who has just gone"
        if time.monotonic() - started + delay > DDL_PATIENCE_SECONDS:
            raise TableInUseError(
                f"tables of schema {schema} are to be altered, and were in use for"
                f" {DDL_PATIENCE_SECONDS / 60:.0f} minutes by {holders}: the next attempt tries"
                " again"
            )
        log.warning(
            "a table of schema %s is to be altered: waiting for %s; again in %.0f s",
            schema,
            holders,
            delay,
        )
        pause(delay)


def is_in_use(error: BaseException) -> bool:
    """Whether a statement gave up on a table that somebody else uses."""
    return any(
        isinstance(cause, TableInUseError) or getattr(cause, "pgcode", None) == _LOCK_NOT_AVAILABLE
        for cause in causes(error)
    )


def _first(rows: Sequence[Sequence[Any]] | None) -> Any:
    return rows[0][0] if rows else None
