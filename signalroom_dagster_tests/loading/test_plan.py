"""What is due of a table: its days, those that were read too early once more, in stretches as long
as may be asked.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from signalroom_dagster.loading.context import LoadContext
from signalroom_dagster.loading.plan import slices_due
from signalroom_dagster.loading.spans import Span
from signalroom_dagster.sources.days import DaySettings
from signalroom_dagster.sources.tables import Table, columns_of
from signalroom_dagster.warehouse.windows import Window
from signalroom_dagster_tests.sources.contexts import NOON, context, march, read_at

TABLE = Table(
    name="visits",
    about="",
    key=("id",),
    columns=columns_of({"id": "bigint", "day": "date"}),
    day="day",
    longest=4,
    settles=True,
)
HALF_DAY = "2026-03-05T17:00:00+00:00"
WHOLE_DAY = "2026-03-06T05:00:00+00:00"
"""When the fifth ends in New York."""


class Settling(DaySettings):
    """Settings of a source whose rows settle for a while, and that asks for few days at once."""

    settle_minutes: int = 3
    days_at_once: int = 2


def known(cursor: str, run_id: str = "before", **values: Any) -> dict[str, Any]:
    """All days up to the ninth read by now, the fifth up to a cursor."""
    fifth = Window(NOON, run_id, 1, cursor)
    return {
        "windows": {"visits": {**read_at(NOON, *march(range(1, 10))), date(2026, 3, 5): fifth}},
        **values,
    }


def due(table: Table, settings: DaySettings, at: LoadContext) -> list[tuple[date, ...]]:
    return [piece.days for piece in slices_due(table, lambda **_: (), settings, at)]


def test_a_day_whose_reading_ended_before_it_did_is_due_again_though_it_was_over(
    tmp_path: Path,
) -> None:
    usual = [tuple(march([9, 10]))]
    assert due(TABLE, DaySettings(), context(tmp_path, **known(HALF_DAY))) == [
        tuple(march([5])),
        *usual,
    ]
    assert due(TABLE, DaySettings(), context(tmp_path, **known(WHOLE_DAY))) == usual
    assert due(TABLE, DaySettings(), context(tmp_path, **known(HALF_DAY, run_id="now"))) == usual
    assert (
        due(replace(TABLE, settles=False), DaySettings(), context(tmp_path, **known(HALF_DAY)))
        == usual
    )


def test_where_days_are_asked_for_none_is_added(tmp_path: Path) -> None:
    span = Span(since=date(2026, 3, 7), until=date(2026, 3, 8))
    assert due(TABLE, DaySettings(), context(tmp_path, **known(HALF_DAY, span=span))) == [
        tuple(march([7, 8]))
    ]


def test_a_day_that_has_only_minutes_which_may_still_change_is_not_due(tmp_path: Path) -> None:
    just_begun = datetime(2026, 3, 10, 4, 2, tzinfo=UTC)  # two minutes into the tenth in New York
    assert due(TABLE, Settling(), context(tmp_path, **known(WHOLE_DAY, started_at=just_begun))) == [
        (march([9])[0],)
    ]
    later = datetime(2026, 3, 10, 4, 4, tzinfo=UTC)
    assert due(TABLE, Settling(), context(tmp_path, **known(WHOLE_DAY, started_at=later))) == [
        tuple(march([9, 10]))
    ]


def test_stretches_are_as_long_as_the_settings_say_else_as_the_table_does(tmp_path: Path) -> None:
    assert [len(days) for days in due(TABLE, DaySettings(), context(tmp_path))] == [4, 4, 2]
    assert [len(days) for days in due(TABLE, Settling(), context(tmp_path))] == [2, 2, 2, 2, 2]
