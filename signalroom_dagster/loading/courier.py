"""How a load's work travels through dlt, and how reading overlaps with loading.

dlt extracts first and loads afterwards: rows that passed through it would all lie on this machine's
disk before the first one is in the warehouse. So a lane hands dlt no rows. Its resources offer one
piece of work for each slice or file and yield a ticket, a file that dlt carries through extract and
normalize like any file of rows, while it creates tables and adds columns. In the load step dlt
makes a job of each ticket and runs several at once. A job looks its work up and does it: it reads
from the vendor or the bucket, then locks, deletes, copies and notes what it loaded, in one
transaction. One job reads while the database takes another one's rows, and what a job has committed
stays committed when a later one fails.

A load has one courier of its own, which both ends are given: the lanes with the load's context, the
jobs with the client of the destination that they run in. Tables whose hint `x-load` names none of
our lanes are dlt's to load.
"""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dlt.common.destination.client import RunnableLoadJob
from typing_extensions import override

from signalroom_dagster.errors import SignalRoomError

if TYPE_CHECKING:
    from dlt.destinations.job_client_impl import SqlJobClientWithStagingDataset

    Client = SqlJobClientWithStagingDataset
else:
    Client = ABC

LANES = frozenset({"files", "slices"})
"""What a table's hint `x-load` says when its tickets are a lane's."""


class RowCountError(SignalRoomError):
    """The database took another number of rows than it was handed; the transaction was rolled
    back.
    """


class Courier:
    """The work of one load, by the ticket that stands for it; safe to use from several threads."""

    def __init__(self) -> None:
        self._offered: dict[str, Work] = {}

    def offer(self, work: "Work", folder: Path) -> Path:
        """Leave work to be done in the load step; returns its ticket, for dlt to import."""
        ticket = uuid.uuid4().hex
        self._offered[ticket] = work
        path = folder / f"{ticket}.csv"
        path.write_text(ticket)
        return path

    def deliver(self, path: Path, client: "LoadClient") -> None:
        """Do the work of a ticket. Raises what it raises; it can then be asked for again."""
        ticket = path.read_text()
        self._offered[ticket](client)
        del self._offered[ticket]


class CourierJob(RunnableLoadJob):
    """dlt's job for one ticket."""

    def __init__(self, file_path: str, courier: Courier) -> None:
        super().__init__(file_path)
        self._courier = courier

    @override
    def run(self) -> None:
        client: Any = self._job_client
        self._courier.deliver(Path(self._file_path), client)


class LoadClient(Client):
    """What a lane's work is given by the destination it runs in. Stands before dlt's client among
    the bases of each engine's own.
    """

    courier: Courier | None = None
    sql_client: Any

    @override
    def create_load_job(
        self, table: Any, file_path: str, load_id: str, restore: bool = False
    ) -> Any:
        if self.courier and file_path.endswith(".csv") and is_ours(table):
            return CourierJob(file_path, self.courier)
        return super().create_load_job(table, file_path, load_id, restore)

    @property
    @abstractmethod
    def clock(self) -> str:
        """The time as SQL: the engine's own, which every machine goes by."""

    @abstractmethod
    def renew_connection(self) -> None:
        """See that there is a connection after a while in which it was not used."""

    @abstractmethod
    def lock(self, name: str) -> None:
        """Hold other loads of the same thing off until the transaction ends."""

    @abstractmethod
    def copy_csv(
        self, table: str, kinds: Mapping[str, str], path: Path, *, staged: bool = False
    ) -> int:
        """Append a CSV file without header, whose columns have these dlt types in this order, to a
        table, or to the temporary one of that name; returns how many rows were written.
        """

    def copy_whole(
        self,
        table: str,
        kinds: Mapping[str, str],
        path: Path,
        rows: int,
        subject: str,
        *,
        staged: bool = False,
    ) -> None:
        """`copy_csv`. Raises RowCountError when another number of rows than `rows` was written."""
        written = self.copy_csv(table, kinds, path, staged=staged)
        if written != rows:
            raise RowCountError(f"{subject}: {rows} rows handed to the database, {written} written")

    @abstractmethod
    def explain(self, error: Exception, what: str) -> Exception:
        """The same failure without row content, as an exception that says whether the database was
        there.
        """

    @abstractmethod
    def secure_tables(self) -> None:
        """Secure every table of the schema, also those that are there from before."""


Work: TypeAlias = Callable[[LoadClient], None]
"""Reads one slice or file and loads it, with the client of the job that runs it."""


def is_ours(table: Any) -> bool:
    """Whether a table's tickets are a lane's work."""
    return table.get("x-load") in LANES
