"""A folder of its own for each load, which ends with it; those of killed runs are removed by the
next one.
"""

import logging
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from signalroom_dagster import config

log = logging.getLogger(__name__)


@contextmanager
def scratch_folder(name: str) -> Generator[Path]:
    """A new folder for one run, removed at its end; folders that killed runs left behind are
    removed first.
    """
    base = config.work_dir() / name
    base.mkdir(parents=True, exist_ok=True)
    for left in base.glob("[!.]*"):
        _remove_if_abandoned(left)
    folder = base / uuid.uuid4().hex
    making = (
        base / f".{folder.name}"
    )  # under its name only once it is locked: nobody takes it for abandoned
    making.mkdir()
    with FileLock(making / ".lock"):
        making.rename(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        with FileLock(folder / ".lock", timeout=0):
            log.info("removing what an interrupted run left in %s", folder.name)
            shutil.rmtree(folder, ignore_errors=True)
    except (Timeout, OSError):
        return
