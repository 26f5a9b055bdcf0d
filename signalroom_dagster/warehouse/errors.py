"""What can go wrong with the warehouse. Messages hold no row content, which may be personal."""

import errno

from signalroom_dagster.errors import SignalRoomError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
READ_ONLY = "25006"
TABLE_FULL = (
    "a table takes no more columns (1,600 of them, dropped ones counted, and 8 KB in a row), and"
    " all clients share it: lower new_columns in [sources.s3_exports.clients.<id>], so that a"
    " client's unknown columns stand together in _other_columns"
)
MEANINGS = {
    READ_ONLY: (
        "it takes no writes now (its disk may be full, or it is a standby): let it take some again"
    ),
    "53100": "its disk is full: free space there",
    "54000": TABLE_FULL,
    "54011": TABLE_FULL,
}
"""What Postgres's SQLSTATEs mean that a person has to do something about."""


class DestinationUnreachableError(SignalRoomError, ConnectionError):
    """The warehouse did not answer, or went away: waited for, then tried again."""

    concerns = "warehouse"


class DestinationLostError(SignalRoomError, ConnectionError):
    """The warehouse stayed unreachable for as long as a load waits; the next tick asks again."""

    retried = False
    concerns = "warehouse"


class OvertakenError(SignalRoomError):
    """Another load has loaded another version of a file: the next attempt compares anew."""


class LoadError(SignalRoomError):
    """The warehouse refused a load; names the client, the file and the SQLSTATE."""

    def __init__(self, said: str, sql_state: str = "") -> None:
        super().__init__(said)
        self.sql_state = sql_state


class TableInUseError(LoadError):
    """A table to be altered was in use all the time: the next attempt tries again."""


class WarehouseBusyError(SignalRoomError, TimeoutError):
    """Another writer held what it holds, such as the DuckDB file, for longer than a load waits."""

    retried = False
    concerns = "warehouse"
