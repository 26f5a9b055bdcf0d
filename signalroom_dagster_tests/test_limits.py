"""An account's pace and places: shared by threads and processes, and never stuck."""

import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster import limits
from signalroom_dagster.limits import Limit, account_name


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def _work_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALROOM_WORK_DIR", str(tmp_path))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    return clock


def turns(limit: Limit, clock: Clock, count: int) -> list[float]:
    """When each of so many turns came, in seconds from the first moment."""
    start, found = clock.now, list[float]()
    for _ in range(count):
        with limit.turn():
            found.append(round(clock.now - start, 6))
    return found


def test_a_burst_comes_at_once_and_the_rest_at_the_pace(clock: Clock) -> None:
    assert turns(Limit("a", 6, burst=1), clock, 3) == [0, 10, 20]
    assert turns(Limit("b", 10, burst=5), clock, 7) == [0, 0, 0, 0, 0, 10, 20]


@pytest.mark.parametrize(("per_minute", "burst"), [(20, 1), (20, 5), (20, 20), (60, 20), (1, 1)])
def test_in_no_minute_are_there_more_than_allowed(
    clock: Clock, per_minute: int, burst: int
) -> None:
    limit = Limit("a", per_minute, burst)
    moments = turns(limit, clock, per_minute * 3)
    clock.now += 600  # idle long enough for a new burst
    moments += [moment + clock.now - 1_000_000 for moment in turns(limit, clock, per_minute * 2)]
    for start in moments:
        assert sum(start <= moment < start + 59.999 for moment in moments) <= per_minute


def test_who_was_idle_gets_one_burst_and_not_two(clock: Clock) -> None:
    limit = Limit("a", 10, burst=5)
    turns(limit, clock, 5)
    clock.now += 3_600
    assert turns(limit, clock, 6) == [0, 0, 0, 0, 0, 10]


def test_accounts_do_not_wait_for_each_other(clock: Clock) -> None:
    assert turns(Limit("a", 1), clock, 1) + turns(Limit("b", 1), clock, 1) == [0, 0]


def test_a_clock_that_was_set_back_costs_a_minute_at_most(clock: Clock) -> None:
    limit = Limit("a", 60)
    turns(limit, clock, 3)
    clock.now -= 86_400
    assert turns(limit, clock, 3) == [0, 1, 2]
    clock.now -= 30
    assert turns(limit, clock, 2)[0] <= 60


@pytest.mark.parametrize("stored", ["", "12", "nonsense"])
def test_a_state_that_was_half_written_does_not_matter(
    clock: Clock, tmp_path: Path, stored: str
) -> None:
    limit = Limit("a", 60)
    turns(limit, clock, 1)
    (tmp_path / "limits" / "a" / "next").write_text(stored)
    assert turns(limit, clock, 2) == [0, 1]


def test_a_place_is_free_again_after_an_error() -> None:
    limit = Limit("a", 100_000, burst=100)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limit.turn():
            _ = 1 / 0


def test_no_more_are_in_flight_than_allowed_and_as_many_as_allowed_are() -> None:
    limit, lock, counts = Limit("a", 1_000_000, burst=1_000, at_once=3), threading.Lock(), [0, 0]
    meeting = threading.Barrier(3, timeout=20)

    def work() -> None:
        for turn in range(4):
            with limit.turn():
                with lock:
                    counts[0] += 1
                    counts[1] = max(counts)
                if not turn:
                    meeting.wait()  # nobody gets on before three are here
                with lock:
                    counts[0] -= 1

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert counts == [0, 3]


def take_a_turn(work_dir: str, begun: Any, seconds: float) -> None:
    os.environ["SIGNALROOM_WORK_DIR"] = work_dir
    with Limit("a", 1_000_000, burst=1_000, at_once=1).turn():
        begun.set()
        time.sleep(seconds)


def test_processes_share_an_accounts_places_and_a_killed_one_gives_its_place_back(
    tmp_path: Path,
) -> None:
    processes = multiprocessing.get_context("forkserver")
    holds, waits = processes.Event(), processes.Event()
    holder = processes.Process(target=take_a_turn, args=(str(tmp_path), holds, 60))
    waiter = processes.Process(target=take_a_turn, args=(str(tmp_path), waits, 0))
    holder.start()
    assert holds.wait(30)
    waiter.start()
    assert not waits.wait(0.5)
    holder.kill()
    assert waits.wait(30)
    for process in (holder, waiter):
        process.join(30)


def test_an_account_is_told_apart_by_its_key_without_telling_it() -> None:
    ours = account_name("everflow", "https://api.eflow.team", "key-713")
    assert ours == account_name("everflow", "https://api.eflow.team", "key-713")
    assert ours == account_name("everflow", "https://api.eflow.team/", "key-713")
    assert ours != account_name("everflow", "https://api-eu.eflow.team", "key-713")
    assert ours != account_name("everflow", "https://api.eflow.team", "key-cti")
    assert "key" not in ours
