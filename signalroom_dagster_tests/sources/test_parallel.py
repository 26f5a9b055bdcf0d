"""Several requests at once: never more than allowed, answers in order, the first failure is the one
that is told.
"""

import threading
import time

import pytest

from signalroom_dagster.sources.parallel import read_ahead


def test_answers_come_in_the_order_they_are_wanted_in() -> None:
    def read(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * 10

    assert list(read_ahead(read, range(10), 4)) == [number * 10 for number in range(10)]
    assert list(read_ahead(read, [], 4)) == []


def test_no_more_than_allowed_are_under_way_and_they_are_under_way_together() -> None:
    meeting, lock, counts = threading.Barrier(3, timeout=10), threading.Lock(), [0, 0]

    def read(number: int) -> int:
        with lock:
            counts[0] += 1
            counts[1] = max(counts)
        meeting.wait()  # nobody gets on before three are here
        with lock:
            counts[0] -= 1
        return number

    assert list(read_ahead(read, range(9), 3)) == list(range(9))
    assert counts == [0, 3]


def test_the_first_failure_is_raised_and_what_has_not_begun_is_not_asked() -> None:
    asked: list[int] = []

    def read(number: int) -> int:
        asked.append(number)
        if number == 2:
            raise ConnectionError(f"number {number}")
        return number

    answers = read_ahead(read, range(100), 2)
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(ConnectionError, match="number 2"):
        next(answers)
    assert len(asked) <= 7


def test_who_stops_reading_stops_asking() -> None:
    asked: list[int] = []

    def read(number: int) -> int:
        asked.append(number)
        return number

    answers = read_ahead(read, range(100), 2)
    assert next(answers) == 0
    answers.close()
    assert len(asked) <= 3
