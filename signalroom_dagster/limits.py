"""How often, and how many at once, a vendor account may be asked: shared by every run on this
machine.

The state is a file per account, changed under a lock that the operating system frees when its
holder dies. A request takes the next free moment and sleeps until it comes, so nobody is refused
and nobody polls the vendor.
"""

import hashlib
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from signalroom_dagster.config import work_dir

POLL_SECONDS = 0.02
LOOK_SECONDS = 0.001  # the file is held for as long as it takes to write a number


def account_name(source: str, *identity: str) -> str:
    """One name for one vendor account, whichever client uses it; keys are told apart without being
    told.

    An address is the same with a slash at its end.
    """
    told = "|".join(part.rstrip("/") for part in identity)
    return f"{source}__{hashlib.sha256(told.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Limit:
    """One account's pace: `per_minute` requests, of which `burst` may come at once, at most
    `at_once` in flight.

    In any minute there are no more than `per_minute` requests: what a burst takes ahead is missing
    from the pace after it.
    """

    account: str
    per_minute: int
    burst: int = 1
    at_once: int = 1

    @contextmanager
    def turn(self) -> Generator[None]:
        """Wait for the account's next free moment and place, and hold the place for the length of
        the block.
        """
        folder = work_dir() / "limits" / self.account
        folder.mkdir(parents=True, exist_ok=True)
        place = self._place(folder)
        try:
            wait = self._book(folder)
            if wait > 0:
                time.sleep(wait)
            yield
        finally:
            place.release()

    def _book(self, folder: Path) -> float:
        """Take the next free moment; seconds until it comes."""
        step = 60.0 / max(1, self.per_minute - self.burst + 1)
        file = folder / "next"
        with FileLock(folder / "next.lock").acquire(poll_interval=LOOK_SECONDS):
            now = time.time()  # processes share no other clock
            booked = _stored(file)
            if booked > now + max(60.0, step * (self.at_once + 1)):
                # further ahead than those in flight can have booked: the clock was set back
                booked = now
            moment = max(booked, now - step * (self.burst - 1))
            file.write_text(repr(moment + step))
        return moment - now

    def _place(self, folder: Path) -> FileLock:
        while True:
            for number in range(self.at_once):
                lock = FileLock(folder / f"place-{number}.lock", thread_local=False)
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                return lock
            time.sleep(POLL_SECONDS)


def _stored(file: Path) -> float:
    try:
        return float(file.read_text())
    except (OSError, ValueError):
        return 0.0
