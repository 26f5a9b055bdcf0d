"""The Postgres engine: how it is connected to, and its errors in our words.

Fit for a transaction pooler, which gives each transaction another server session: no startup
options, no search path, no session locks.

https://supabase.com/docs/guides/database/connecting-to-postgres
"""

import re
from collections import deque

import psycopg2

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.retries import causes
from signalroom_dagster.warehouse.errors import (
    MEANINGS,
    DestinationUnreachableError,
    LoadError,
    TableInUseError,
)

CLOCK = "clock_timestamp()"
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


def explain(error: Exception, what: str) -> Exception:
    """A driver's error as one of ours: reachable or not, without the row content that Postgres
    quotes.
    """
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
    """Connections that a load job is done with, kept for the next one: a new session costs a
    twentieth of a load.
    """

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
        if connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            self._idle.pop().close()
