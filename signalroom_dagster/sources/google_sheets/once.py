"""A question that several threads have, and only the first one asks."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Answered = TypeVar("Answered")


class Once(Generic[Answered]):
    """Calling it asks the first time; later calls get the same answer, or the same error."""

    def __init__(self, ask: Callable[[], Answered]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._answer: Future[Answered] = Future()

    def __call__(self) -> Answered:
        """The answer. Raises what asking raised."""
        with self._lock:
            if not self._answer.done():
                try:
                    self._answer.set_result(self._ask())
                except Exception as error:
                    self._answer.set_exception(error)
        return self._answer.result()
