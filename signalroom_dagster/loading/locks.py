"""DuckDB takes one writing process at a time: everybody else waits at a lock file beside the database.

The operating system frees the lock when its holder dies, kill -9 included.
"""

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from signalroom_dagster.loading.errors import WarehouseBusyError

log = logging.getLogger(__name__)

WAIT_SECONDS = 3_600.0
REMINDER_SECONDS = 30.0


@contextmanager
def writer_lock(database: Path, wait_seconds: float = WAIT_SECONDS) -> Generator[None]:
    """Hold the database for one writer; says every half minute that it waits.

    Raises WarehouseBusyError after `wait_seconds`.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{database}.lock", is_singleton=True)  # the same thread may ask again
    give_up = time.monotonic() + wait_seconds
    while True:
        try:
            lock.acquire(timeout=max(0.0, min(REMINDER_SECONDS, give_up - time.monotonic())))
            break
        except Timeout:
            if time.monotonic() >= give_up:
                raise WarehouseBusyError(
                    f"another writer held {database.name} for {wait_seconds:.0f} s; see who has {database.name}.lock"
                ) from None
            log.info("waiting for another writer of %s", database.name)
    try:
        yield
    finally:
        lock.release()
