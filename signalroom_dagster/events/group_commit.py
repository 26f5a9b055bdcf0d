"""Many requests, one commit: whatever waits while a batch is being committed is the next batch.

No timer: an idle gateway commits at once, a busy one in larger batches. A request is answered when
the commit of its batch is over, never from memory; and when the store takes too long, that it is to
come again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.events.intake import Intake
from signalroom_dagster.events.metrics import Metrics
from signalroom_dagster.events.stores.store import Outcome, Store, StoreError

QUEUE_BYTES = 64 * 1024 * 1024
"""Of contents that wait: while the store is slow, memory does not grow with what is sent."""

log = logging.getLogger(__name__)


class QueueFullError(SignalRoomError):
    """More waits to be committed than may: the sender is to come again."""


@dataclass(slots=True)
class _Waiting:
    intake: Intake
    answer: "asyncio.Future[Sequence[Outcome]]"

    @property
    def size(self) -> int:
        return len(self.intake.events) + len(self.intake.letters)

    @property
    def bytes(self) -> int:
        events, letters = self.intake
        return sum(len(event.payload) for event in events) + sum(
            len(letter.body) for letter in letters
        )


class GroupCommit:
    """Commits what is submitted; `writers` batches may be under way at once, and nobody waits
    longer than `seconds`.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        *,
        max_batch: int,
        max_queue: int,
        writers: int = 1,
        seconds: float = 2.0,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._seconds = seconds
        self._queue: deque[_Waiting] = deque()
        self._waiting = self._bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self.is_late = False
        """Whether somebody was told to come again because a commit takes too long, and it still
        does.
        """
        self._pool = ThreadPoolExecutor(writers, "commit")
        self._writers = [asyncio.create_task(self._write()) for _ in range(writers)]

    async def submit(self, intake: Intake) -> Sequence[Outcome]:
        """Wait for the commit of these: what became of each event.

        Raises QueueFullError at once, StoreError when the commit of its batch failed, or did not
        end in time: what was not begun by then is not stored, the rest may be.
        """
        waiting = _Waiting(intake, asyncio.get_running_loop().create_future())
        full = self._bytes and self._bytes + waiting.bytes > QUEUE_BYTES
        if full or self._waiting + waiting.size > self._max_queue:
            raise QueueFullError(f"{self._waiting} events wait to be stored")
        self._queue.append(waiting)
        self._add(waiting.size, waiting.bytes)
        self._wake.set()
        done, _ = await asyncio.wait((waiting.answer,), timeout=self._seconds)
        if not done:
            waiting.answer.cancel()
            self.is_late = True
            raise StoreError(f"the events' store has not answered within {self._seconds:g} s")
        return waiting.answer.result()

    async def close(self) -> None:
        """Commit what waits, then end."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._writers)
        self._pool.shutdown()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue or not self._closing:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._next()
            if not batch:
                continue
            try:
                outcomes = await loop.run_in_executor(self._pool, self._commit, batch)
            except StoreError as error:
                log.error("%s; %d requests are answered 503", error, len(batch))
                _refuse(batch, error)
            except Exception as error:  # a bug must not end the writer, nor be acknowledged
                log.error("storing a batch failed: %s", type(error).__name__)
                _refuse(batch, StoreError(f"storing a batch failed: {type(error).__name__}"))
            else:
                _answer(batch, outcomes)
            finally:
                self.is_late = False

    def _next(self) -> Sequence[_Waiting]:
        """The requests that fit into a batch, one at least, without those that were told to come
        again.
        """
        batch: list[_Waiting] = []
        size = 0
        while self._queue and (not batch or size + self._queue[0].size <= self._max_batch):
            waiting = self._queue.popleft()
            self._add(-waiting.size, -waiting.bytes)
            if not waiting.answer.done():
                batch.append(waiting)
                size += waiting.size
        return batch

    def _commit(self, batch: Sequence[_Waiting]) -> Sequence[Outcome]:
        events = [event for waiting in batch for event in waiting.intake.events]
        letters = [letter for waiting in batch for letter in waiting.intake.letters]
        with self._metrics.commit_seconds.time():
            outcomes = self._store.append(events) if events else []
            self._store.bury(letters)
        self._metrics.count_batch(events, outcomes, letters)
        return outcomes

    def _add(self, count: int, size: int) -> None:
        self._waiting += count
        self._bytes += size
        self._metrics.waiting.set(self._waiting)


def _answer(batch: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
    start = 0
    for waiting in batch:
        end = start + len(waiting.intake.events)
        if not waiting.answer.done():  # its client may be gone: the events are stored all the same
            waiting.answer.set_result(outcomes[start:end])
        start = end


def _refuse(batch: Sequence[_Waiting], error: StoreError) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
