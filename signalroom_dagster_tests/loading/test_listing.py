"""A listing against the ledger: what has to be loaded, decided by name, entity tag and size
alone.
"""

import random
from collections.abc import Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from signalroom_dagster.loading.listing import find_changes
from signalroom_dagster.sources.files import FileStatus, FileVersion, ListedFile, digest
from signalroom_dagster.warehouse.ledger import LedgerEntry

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def listed(name: str, etag: str = "e1", size: int = 10, modified: datetime = NOON) -> ListedFile:
    return ListedFile(FileVersion(name, etag, size), f"bucket/{name}", modified)


def entry(etag: str = "e1", size: int = 10, status: FileStatus = "loaded") -> LedgerEntry:
    return LedgerEntry(etag, size, status)


def test_a_file_that_the_ledger_does_not_know_is_new() -> None:
    changes = find_changes([listed("a.csv")], {})
    assert [item.version.file_name for item in changes.to_load] == ["a.csv"]
    assert (changes.why, changes.gone) == ({"a.csv": "new"}, ())


@pytest.mark.parametrize("status", ["loaded", "quarantined", "empty"])
def test_a_file_that_the_ledger_knows_is_never_asked_for_again(status: FileStatus) -> None:
    changes = find_changes([listed("a.csv")], {"a.csv": entry(status=status)})
    assert (changes.to_load, changes.gone) == ((), ())


@pytest.mark.parametrize("status", ["loaded", "quarantined", "empty", "deleted"])
@pytest.mark.parametrize(
    "known",
    [
        pytest.param(("e0", 10), id="other content of the same size"),
        pytest.param(("e1", 99), id="fewer rows"),
        pytest.param(("e0", 99), id="both"),
    ],
)
def test_a_file_with_another_tag_or_size_is_loaded_again(
    known: tuple[str, int], status: FileStatus
) -> None:
    changes = find_changes([listed("a.csv")], {"a.csv": entry(*known, status)})
    assert changes.why == {"a.csv": "changed since it was loaded"}
    assert (len(changes.to_load), changes.gone) == (1, ())


def test_a_late_file_is_loaded_however_old_its_name_and_its_time_are() -> None:
    ledger = {f"report_2026-03-0{day}.csv": entry() for day in (2, 3)}
    late = listed("report_2026-03-01.csv", modified=datetime(2020, 1, 1, tzinfo=UTC))
    changes = find_changes([late, *(listed(name) for name in ledger)], ledger)
    assert changes.to_load == (late,)


def test_files_of_the_same_second_and_the_same_content_are_all_loaded() -> None:
    same = [listed(f"{letter}.csv", modified=NOON) for letter in "abc"]
    assert find_changes(same, {}).to_load == tuple(same)


@pytest.mark.parametrize("status", ["loaded", "quarantined", "empty"])
def test_a_file_that_is_not_listed_any_more_is_gone(status: FileStatus) -> None:
    changes = find_changes([listed("a.csv")], {"a.csv": entry(), "b.csv": entry(status=status)})
    assert (changes.to_load, changes.gone) == ((), ("b.csv",))


def test_a_file_is_said_to_be_gone_only_once() -> None:
    assert find_changes([], {"a.csv": entry(status="deleted")}).gone == ()


def test_a_deleted_file_that_is_back_unchanged_is_loaded_again() -> None:
    changes = find_changes([listed("a.csv")], {"a.csv": entry(status="deleted")})
    assert changes.why == {"a.csv": "back in the bucket"}
    assert (len(changes.to_load), changes.gone) == (1, ())


def test_an_empty_listing_and_an_empty_ledger_ask_for_nothing() -> None:
    changes = find_changes([], {})
    assert (changes.to_load, changes.why, changes.gone) == ((), {}, ())


def test_the_order_of_the_listing_does_not_matter() -> None:
    files = [listed(f"{number}.csv") for number in range(9)]
    ledger: Mapping[str, LedgerEntry] = {"3.csv": entry(), "x.csv": entry()}
    shuffled = random.Random(1).sample(files, len(files))
    found, again = find_changes(files, ledger), find_changes(shuffled, ledger)
    assert set(found.to_load) == set(again.to_load)
    assert (found.why, found.gone) == (again.why, again.gone)


@pytest.mark.parametrize(
    ("name", "modified", "day"),
    [
        pytest.param(
            "orders/report_2025-09-22T1849_x.csv", NOON, date(2025, 9, 22), id="dated name"
        ),
        pytest.param(
            "2020-01-01/report.csv", NOON, date(2026, 3, 2), id="only the folder is dated"
        ),
        pytest.param(
            "r_2025-13-45_2025-01-31.csv", NOON, date(2025, 1, 31), id="the first date that exists"
        ),
        pytest.param("r_2025-02-30.csv", NOON, date(2026, 3, 2), id="no date that exists"),
        pytest.param(
            "report.csv",
            NOON.replace(hour=3),
            date(2026, 3, 1),
            id="undated, evening before in New York",
        ),
        pytest.param(
            "report.csv", NOON.replace(hour=5), date(2026, 3, 2), id="undated, midnight in New York"
        ),
        pytest.param(
            "r.csv",
            datetime(2026, 7, 1, 3, 59, tzinfo=UTC),
            date(2026, 6, 30),
            id="undated, summer time",
        ),
    ],
)
def test_the_day_of_a_file_is_in_its_name_or_else_when_it_was_written(
    name: str, modified: datetime, day: date
) -> None:
    assert listed(name, modified=modified).file_date(NEW_YORK) == day


def test_a_digest_is_the_same_in_any_order() -> None:
    versions = [FileVersion(f"{number}.csv", "e", number) for number in range(9)]
    assert digest(versions) == digest(reversed(versions))


@pytest.mark.parametrize(
    "changed",
    [
        [],
        [FileVersion("a", "e", 1)],
        [FileVersion("a", "e", 1), FileVersion("b", "e", 3)],
        [FileVersion("a", "e", 1), FileVersion("b", "f", 2)],
        [FileVersion("a", "e", 1), FileVersion("c", "e", 2)],
        [FileVersion("a", "e", 2), FileVersion("b", "e", 1)],
        [FileVersion("a", "e", 1), FileVersion("b", "e", 2), FileVersion("c", "e", 3)],
    ],
)
def test_a_digest_differs_when_any_file_comes_goes_or_changes(changed: list[FileVersion]) -> None:
    assert digest(changed) != digest([FileVersion("a", "e", 1), FileVersion("b", "e", 2)])
