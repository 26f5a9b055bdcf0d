"""Stores that hold an append back, or refuse it, when a test says so."""

import threading
from collections.abc import Sequence

from signalroom_dagster.events.stores.store import Outcome, Received, StoreError
from signalroom_dagster_tests.events.memory import MemoryStore


class GatedStore(MemoryStore):
    """Waits at a gate before each append; `entered` counts those that came to it. Closed gates open
    with `open`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.refused: set[str] = set()
        self.batches: list[list[str]] = []

    def append(self, events: Sequence[Received]) -> Sequence[Outcome]:
        self.entered.release()
        assert self.gate.wait(20)
        self.batches.append([event.job_id for event in events])
        if self.refused & set(self.batches[-1]):
            raise StoreError("disk full")
        return super().append(events)


class DownStore(MemoryStore):
    """A store that cannot be reached while `down` is set."""

    down = True

    def _check(self) -> None:
        if self.down:
            raise StoreError("postgresql://user:password@host cannot be reached")

    def create(self) -> None:
        self._check()

    def ping(self) -> None:
        self._check()

    def append(self, events: Sequence[Received]) -> Sequence[Outcome]:
        self._check()
        return super().append(events)
