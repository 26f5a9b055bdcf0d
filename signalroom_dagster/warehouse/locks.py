"""DuckDB takes one writing process at a time: others wait at a lock file beside the database.

The operating system frees the lock when its holder dies, kill -9 included.
"""

import errno
import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from signalroom_dagster.config import ConfigurationError, shown
from signalroom_dagster.warehouse.errors import WarehouseBusyError

log = logging.getLogger(__name__)

WAIT_SECONDS = 3_600.0
REMINDER_SECONDS = 30.0
NOT_WRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST})


@contextmanager
def writer_lock(database: Path, wait_seconds: float = WAIT_SECONDS) -> Generator[None]:
    """Hold the database for one writer; says every half minute that it waits.

    Raises WarehouseBusyError after `wait_seconds`, and ConfigurationError where nothing can be
    written.
    """
    lock = FileLock(f"{database}.lock", is_singleton=True)  # the same thread may ask again
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        _wait_for(lock, database, wait_seconds)
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise ConfigurationError(
            f"{shown(database)} cannot be written ({error.strerror}): let this user write in its"
            " folder, or name another file with DESTINATION__DUCKDB__CREDENTIALS"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _wait_for(lock: BaseFileLock, database: Path, wait_seconds: float) -> None:
    give_up = time.monotonic() + wait_seconds
    while True:
        try:
            lock.acquire(timeout=max(0.0, min(REMINDER_SECONDS, give_up - time.monotonic())))
            return
        except Timeout:
            if time.monotonic() >= give_up:
                raise WarehouseBusyError(
                    f"another writer held {database.name} for {wait_seconds:.0f} s; see who has"
                    f" {database.name}.lock"
                ) from None
            log.info("waiting for another writer of %s", database.name)
