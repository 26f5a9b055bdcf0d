"""Who wants to hear that a slice or a file is in the warehouse for good: a progress bar, for
one.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

Listener: TypeAlias = Callable[[str], None]

_listeners: list[Listener] = []


@contextmanager
def heard_by(listener: Listener) -> Generator[None]:
    """Tell `listener` the table of everything that this process commits during the block, from
    whichever thread.
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def committed(table: str) -> None:
    """A slice or a file of a table has been committed."""
    for listener in [*_listeners]:
        listener(table)
