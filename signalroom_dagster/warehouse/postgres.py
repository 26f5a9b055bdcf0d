"""The Postgres engine (see `engine`): a server with roles, many writers at once.

Fit for a transaction pooler, which gives each transaction another server session: no startup
options, no search path, no session locks.

https://supabase.com/docs/guides/database/connecting-to-postgres
"""

import contextlib
import re
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.retries import causes
from signalroom_dagster.warehouse import row_security, transactions
from signalroom_dagster.warehouse.engine import Query, Result
from signalroom_dagster.warehouse.errors import (
    MEANINGS,
    DestinationUnreachableError,
    LoadError,
    TableInUseError,
)
from signalroom_dagster.warehouse.places import postgres_url
from signalroom_dagster.warehouse.transactions import (
    IDLE_SECONDS,
    asking,
    ddl_limit,
    limits,
    take_lock,
)

HAS_ROLES: bool = True
HAS_INDEXES: bool = True
CLOCK: str = "clock_timestamp()"
COLUMNS: str = (
    "SELECT c.relname, a.attname, col_description(a.attrelid, a.attnum), a.attisdropped FROM"
    " pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid ="
    " c.relnamespace WHERE n.nspname = %s AND c.relname = ANY(%s) AND a.attnum > 0"
)
COMMENT: str = "SELECT obj_description(to_regclass(%s), 'pg_class')"
RUNNING_NUMBER: str = "serial"
COPY_OF_CLIENT: str = 'text GENERATED ALWAYS AS ("client_id") STORED'
CONNECT_SECONDS = 10
CANCELLED, TOO_MANY_CONNECTIONS, IN_USE = "57014", "53300", "55P03"
_NO_URL = ("connection option", "invalid dsn", "invalid URI", "invalid port")
_REFUSALS = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "Tenant or user not found",
)
_SERVER = re.compile(r'server at "([^"]+)".*?, port (\d+)')


def connect(url: str) -> "psycopg2.extensions.connection":
    """Open a connection in autocommit mode, with no session state.

    Raises DestinationUnreachableError when the server does not answer, ConfigurationError when it
    refuses the login or the URL is none. The driver quotes what it cannot read of a URL, and with
    it the password: so it is not quoted here.
    """
    try:
        connection = psycopg2.connect(
            url,
            connect_timeout=CONNECT_SECONDS,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
        )
    except psycopg2.Error as error:
        if not isinstance(error, psycopg2.OperationalError) or any(
            part in str(error) for part in _NO_URL
        ):
            raise ConfigurationError(
                "connecting to Postgres: DESTINATION__POSTGRES__CREDENTIALS is not a URL that can"
                " be read (as in postgresql://user:password@host:port/database; write special"
                " characters of the password as %XX)"
            ) from None
        raise explain(error, "connecting to Postgres") from None
    connection.autocommit = True
    return connection


def exclusive(wait_seconds: float) -> AbstractContextManager[None]:
    """Nothing: the server takes many writers."""
    return nullcontext()


def kept_open() -> AbstractContextManager[object]:
    """Nothing."""
    return nullcontext()


@contextmanager
def connected() -> Generator[Query]:
    """Raises what `connect` raises, and DestinationUnreachableError for a statement of its own."""
    connection = connect(postgres_url())
    ask, alone = asking(connection), limits("reading")

    def query(sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        is_idle = connection.info.transaction_status == TRANSACTION_STATUS_IDLE
        is_alone = is_idle and not sql.startswith("BEGIN")
        try:
            # what is sent together is one transaction
            return ask(f"{alone}; {sql}" if is_alone else sql, *parameters)
        except Exception as error:
            if is_alone and connection.closed:  # in a transaction, that tells what it is about
                raise explain(error, "asking Postgres") from None
            raise

    try:
        yield query
    finally:
        connection.close()


def check_reachable() -> None:
    """Raises what `connect` raises."""
    connect(postgres_url()).close()


def begin(subject: str, *, one_state: bool) -> str:
    """See `transactions.limits` for what is set."""
    isolation = " ISOLATION LEVEL REPEATABLE READ" if one_state else ""
    return f"BEGIN{isolation}; {limits(subject)}"


def lock(query: Query, name: str) -> None:
    """Raises WarehouseBusyError after an hour."""
    take_lock(query, name)


@contextmanager
def held(name: str) -> Generator[Callable[[], object]]:
    """A transaction of its own holds the lock; a statement now and then keeps it alive."""
    over = threading.Event()
    with connected() as query:
        query(begin(name, one_state=False))
        take_lock(query, name)

        def check() -> object:
            try:
                return query("SELECT 1")
            except Exception as error:
                raise explain(error, name) from None

        def keep() -> None:
            while not over.wait(IDLE_SECONDS / 4):
                with contextlib.suppress(Exception):  # the next check tells
                    query("SELECT 1")

        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        try:
            yield check
        finally:
            over.set()
            keeper.join()


def limit_ddl(query: Query) -> None:
    """Everybody else would wait behind a statement that waits for a table."""
    query(ddl_limit())


def until_free(change: Callable[[], Result], schema: str, query: Query) -> Result:
    """Raises TableInUseError after 15 minutes."""
    return transactions.until_free(change, schema, query)


def secure(query: Query, table: str) -> None:
    """Row level security; see `row_security`."""
    query(row_security.secure(table))


def is_secured(query: Query, table: str) -> bool:
    """Whether the table has our policy."""
    policy = "SELECT 1 FROM pg_policy WHERE polrelid = to_regclass(%s) AND polname = %s"
    return bool(query(policy, table, row_security.POLICY))


def create_sequence(query: Query, name: str) -> None:
    """Nothing: `serial` makes its own."""


def now(query: Query) -> datetime:
    """The server's clock."""
    return query(f"SELECT {CLOCK}")[0][0].astimezone(UTC)


def json_rows(types: Mapping[str, str]) -> str:
    """See `Engine`."""
    columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
    return f"json_to_recordset(%s) AS given ({columns})"


def explain(error: Exception, what: str) -> Exception:
    """A driver's error as one of ours, without the row content that Postgres quotes."""
    found = next((cause for cause in causes(error) if isinstance(cause, psycopg2.Error)), None)
    if found is None:
        return error
    error = found
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if error.pgcode is None and any(refusal in text for refusal in _REFUSALS):
        return ConfigurationError(
            f"{what}: Postgres refused the login, or has no such database; check user, password and"
            " database in DESTINATION__POSTGRES__CREDENTIALS (or SUPABASE_DB_USER, _PASSWORD and"
            " _NAME)"
        )
    code = error.pgcode or ""
    if code == CANCELLED:
        return LoadError(
            f"{what}: Postgres cancelled a statement: it ran into statement_timeout, or somebody"
            " ended it"
        )
    if code == IN_USE:
        return TableInUseError(f"{what}: a table is to be altered, and somebody else uses it")
    if (
        code[:2] in ("08", "57")
        or code == TOO_MANY_CONNECTIONS
        or (not code and isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError))
    ):
        server = f" at {place[1]}:{place[2]}" if (place := _SERVER.search(text)) else ""
        why = code or text.rpartition(": ")[2]
        return DestinationUnreachableError(f"{what}: Postgres{server} is not reachable ({why})")
    return LoadError(
        f"{what}: Postgres refused it: {MEANINGS.get(code, f'{type(error).__name__} {code}')}", code
    )


class IdleConnections:
    """Connections kept for the next load job: a new session costs a twentieth of a load."""

    def __init__(self) -> None:
        self._idle: deque[psycopg2.extensions.connection] = deque()

    def take(self, url: str) -> "psycopg2.extensions.connection":
        """One that is idle, or a new one. Raises what `connect` raises."""
        try:
            return self._idle.pop()
        except IndexError:
            return connect(url)

    def give_back(self, connection: "psycopg2.extensions.connection") -> None:
        """Keep it if it is sound and outside a transaction, else close it."""
        if connection.info.transaction_status == TRANSACTION_STATUS_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            self._idle.pop().close()
