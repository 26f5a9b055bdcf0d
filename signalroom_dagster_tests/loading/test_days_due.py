"""Which days are read: those never read, those that were not over, the last few, and none twice in
a run.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from signalroom_dagster.loading.plan import days_to_read, finished, is_read, stretches
from signalroom_dagster.loading.spans import Span
from signalroom_dagster.sources.days import DaySettings, day_of, each_day, midnight
from signalroom_dagster_tests.sources.contexts import NEW_YORK, NOON, context, march, read_at

LATER = datetime(2026, 3, 20, tzinfo=UTC)


def test_a_first_load_reads_every_day_from_the_clients_start_to_today(tmp_path: Path) -> None:
    assert days_to_read(context(tmp_path), "clicks", DaySettings()) == march(range(1, 11))


def test_today_is_the_clients_day_and_not_the_servers(tmp_path: Path) -> None:
    late_evening = datetime(2026, 3, 11, 3, tzinfo=UTC)  # 23:00 on the 10th in New York
    now = context(tmp_path, started_at=late_evening)
    assert days_to_read(now, "clicks", DaySettings())[-1] == date(2026, 3, 10)


def test_a_sources_own_start_and_end_go_before_the_clients(tmp_path: Path) -> None:
    settings = DaySettings(start_date=date(2026, 2, 27), end_date=date(2026, 3, 2))
    assert days_to_read(context(tmp_path), "clicks", settings) == [
        date(2026, 2, 27),
        date(2026, 2, 28),
        *march([1, 2]),
    ]


def test_what_was_read_whole_is_read_again_only_within_the_lookback(tmp_path: Path) -> None:
    known = context(tmp_path, windows={"clicks": read_at(NOON, *march(range(1, 10)))})
    assert days_to_read(known, "clicks", DaySettings()) == march([9, 10])
    assert days_to_read(known, "clicks", DaySettings(lookback_days=4)) == march([7, 8, 9, 10])
    assert days_to_read(known, "conversions", DaySettings()) == march(range(1, 11))


def test_a_runs_own_lookback_goes_before_the_settings(tmp_path: Path) -> None:
    windows = {"clicks": read_at(LATER, *march(range(1, 11)))}
    deep = context(tmp_path, windows=windows, span=Span(lookback_days=5))
    assert days_to_read(deep, "clicks", DaySettings()) == march(range(6, 11))


def test_a_gap_and_a_day_that_was_not_over_when_it_was_read_are_read_again(tmp_path: Path) -> None:
    on_the_third = datetime(2026, 3, 4, 4, 59, tzinfo=UTC)  # 23:59 on the 3rd in New York
    windows = {**read_at(NOON, *march([1, 2, 5, 6, 7, 8])), **read_at(on_the_third, *march([3]))}
    known = context(tmp_path, windows={"clicks": windows})
    assert days_to_read(known, "clicks", DaySettings()) == march([3, 4, 9, 10])


def test_a_run_that_asks_for_days_gets_these_and_no_others(tmp_path: Path) -> None:
    windows = {"clicks": read_at(NOON, *march(range(1, 10)))}

    def days(since: date | None, until: date | None) -> list[date]:
        asking = context(tmp_path, windows=windows, span=Span(since, until))
        return days_to_read(asking, "clicks", DaySettings())

    assert days(date(2026, 3, 4), date(2026, 3, 6)) == march([4, 5, 6])
    assert days(date(2026, 2, 28), date(2026, 3, 1)) == [date(2026, 2, 28), date(2026, 3, 1)]
    assert days(date(2026, 3, 9), None) == march([9, 10])
    assert days(date(2026, 3, 9), date(2026, 12, 31)) == march([9, 10])
    assert days(None, date(2026, 3, 2)) == march([1, 2])


def test_what_the_vendor_no_longer_keeps_is_never_read_even_when_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    oldest = date(2026, 3, 8)
    first = context(tmp_path)
    assert days_to_read(first, "clicks", DaySettings(), oldest=oldest) == march([8, 9, 10])
    assert (first.notes, caplog.messages) == ({}, [])
    asking = context(tmp_path, span=Span(since=date(2026, 3, 1)))
    assert days_to_read(asking, "clicks", DaySettings(), oldest=oldest) == march([8, 9, 10])
    assert asking.notes == {
        "clicks": {"not_kept": "the vendor keeps nothing from before 2026-03-08"}
    }
    said = (
        "client 713, clicks: the vendor keeps nothing from before 2026-03-08; what is loaded of"
        " those days stays"
    )
    assert caplog.messages == [said]


@pytest.mark.parametrize("span", [Span(), Span(since=date(2026, 3, 1))])
def test_days_that_this_run_has_committed_are_not_read_again(tmp_path: Path, span: Span) -> None:
    windows = {"clicks": read_at(NOON, *march([1, 2, 10]), run_id="now")}
    again = context(tmp_path, windows=windows, span=span)
    assert days_to_read(again, "clicks", DaySettings()) == march(range(3, 10))


def test_a_list_is_read_once_this_run_has_committed_it(tmp_path: Path) -> None:
    windows = {
        "offers": read_at(NOON, date(2026, 3, 10), run_id="now"),
        "affiliates": read_at(NOON, *march([9, 10])),
    }
    known = context(tmp_path, windows=windows)
    assert is_read(known, "offers")
    assert not is_read(known, "affiliates")
    assert not is_read(known, "advertisers")


def test_a_day_is_finished_once_it_was_read_after_its_end(tmp_path: Path) -> None:
    known = context(tmp_path, windows={"clicks": read_at(NOON, *march([8, 9, 10]))})
    assert finished(march([7, 8, 9, 10]), known, "clicks") == frozenset(march([8, 9]))


def test_stretches_are_days_that_follow_each_other_and_no_longer_than_allowed() -> None:
    days = march([1, 2, 3, 4, 5, 8, 9, 12])
    assert [[day.day for day in stretch] for stretch in stretches(days, 3)] == [
        [1, 2, 3],
        [4, 5],
        [8, 9],
        [12],
    ]
    assert list(stretches([], 3)) == []


def test_each_day_goes_from_the_first_to_the_last() -> None:
    assert list(each_day(date(2026, 2, 28), date(2026, 3, 1))) == [
        date(2026, 2, 28),
        date(2026, 3, 1),
    ]
    assert list(each_day(date(2026, 3, 2), date(2026, 3, 1))) == []


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (NEW_YORK, date(2026, 3, 8), 23),
        (NEW_YORK, date(2026, 11, 1), 25),
        (NEW_YORK, date(2026, 6, 1), 24),
        (ZoneInfo("America/Santiago"), date(2026, 9, 6), 23),  # has no midnight
        (ZoneInfo("America/Havana"), date(2026, 11, 1), 25),  # has it twice
    ],
    ids=str,
)
def test_a_day_lasts_from_midnight_to_midnight_also_when_the_clocks_change(
    zone: ZoneInfo, day: date, hours: int
) -> None:
    start, end = midnight(day, zone), midnight(date.fromordinal(day.toordinal() + 1), zone)
    assert (end - start).total_seconds() == hours * 3600
    assert day_of(start, zone) == day
    assert start.tzinfo is UTC


@pytest.mark.parametrize("days", [0, -3, {"daily_stats": 0}])
def test_a_look_back_of_no_day_is_refused(days: object) -> None:
    with pytest.raises(ValidationError):
        DaySettings.model_validate({"lookback_days": days})
