"""Jobs in one claim, and what is to become of them when it ends: nothing of it is stored before."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from signalroom_dagster.events.stores.store import JobKey, Kept, Ready


class Batch:
    """The claimed jobs, oldest first. Those that are neither done nor failed at the end stay ready.

    `cursor` is the DB-API cursor of the transaction that holds the jobs: what is written with it is
    committed with the claim, or not. None where nothing is held meanwhile. `settled` are, after the
    claim, the jobs that it has settled: not those that another claim has settled before.
    """

    def __init__(self, jobs: "Sequence[Ready]", cursor: Any = None) -> None:
        self.jobs = jobs
        self.cursor = cursor
        self.finished: list[JobKey] = []
        self.reasons: dict[JobKey, str] = {}
        self.results: list[Kept] = []
        self.settled: frozenset[JobKey] = frozenset()

    def done(self, keys: "Collection[JobKey]") -> None:
        """These are analysed."""
        self.finished += keys

    def failed(self, reasons: "Mapping[JobKey, str]") -> None:
        """These could not be analysed: ready again after 1, 2, 4, ... s, failed and a dead letter
        after 5 attempts.
        """
        self.reasons |= reasons

    def keep(self, results: "Iterable[Kept]") -> None:
        """Keep results in the store until they are published; a job's earlier result is
        replaced.
        """
        self.results += results

    def settle(self, held: "Collection[JobKey]") -> None:
        """The claim ends, and holds these of its jobs still: what is to become of the others,
        others have decided.
        """
        self.finished = [key for key in self.finished if key in held]
        self.reasons = {key: reason for key, reason in self.reasons.items() if key in held}
        self.results = [kept for kept in self.results if (kept.tenant_id, kept.job_id) in held]
        self.settled = frozenset((*self.finished, *self.reasons))
