"""Several requests of one account at once, their answers in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


def read_ahead(
    read: Callable[[Asked], Answered], wanted: Iterable[Asked], at_once: int
) -> Iterator[Answered]:
    """The answers in the order they are wanted in, with at most `at_once` requests under way and as
    many answers kept.

    Raises what the first failed request raises; requests that have not begun by then are not made.
    """
    with ThreadPoolExecutor(at_once) as pool:
        under_way: deque[Future[Answered]] = deque()
        try:
            for item in wanted:
                if (
                    len(under_way) == 2 * at_once
                ):  # the next can begin while the oldest is still waited for
                    yield under_way.popleft().result()
                under_way.append(pool.submit(read, item))
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
