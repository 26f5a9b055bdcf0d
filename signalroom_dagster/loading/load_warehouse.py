"""What a load job is offered by the destination it runs in: a lock, a copy, and errors in our
words.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from signalroom_dagster.errors import SignalRoomError


class RowCountError(SignalRoomError):
    """The database took another number of rows than were handed to it; the transaction was rolled
    back.
    """


class LoadWarehouse(Protocol):
    """A destination client, inside the transaction of one load job."""

    sql_client: Any

    @property
    def clock(self) -> str:
        """The time as SQL: the engine's own, which every machine goes by."""
        ...

    def renew_connection(self) -> None:
        """See that there is a connection after a while in which it was not used."""
        ...

    def lock(self, name: str) -> None:
        """Hold other loads of the same thing off until the transaction ends."""
        ...

    def copy_csv(
        self,
        table: str,
        columns: Sequence[str],
        types: Sequence[str],
        path: str,
        *,
        staged: bool = False,
    ) -> int:
        """Append a CSV file without header to a table, or to the stage of that name; how many rows
        were written.
        """
        ...

    def explain(self, error: Exception, what: str) -> Exception:
        """The same failure without row content, as an exception that says whether the database was
        there.
        """
        ...


def expect_rows(handed: int, written: int, subject: str) -> None:
    """Raises RowCountError when the database wrote another number of rows than it was handed."""
    if handed != written:
        raise RowCountError(f"{subject}: {handed} rows handed to the database, {written} written")
