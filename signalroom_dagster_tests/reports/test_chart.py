"""A chart whose texts never stand in each other's way, and that says where there are no data."""

import itertools
from collections.abc import Set
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from matplotlib.figure import Figure

from signalroom_dagster.reports.chart import arranged
from signalroom_dagster.reports.templates import ChartSpec, Panel

LAST = date(2026, 3, 14)
LONG = "A panel whose label is as long as somebody thought it had to be, and then some more words"


def spec(days: int = 14, label: str = "Cost per conversion") -> ChartSpec:
    panels = (
        Panel(column="cost", label="Spend", kind="bars", unit="money"),
        Panel(column="conversions", label="Conversions", kind="bars", unit="count"),
        Panel(column="cpa", label=label, kind="line", unit="money"),
    )
    return ChartSpec(query="days", title="Spend", days=days, panels=panels)


def back(*days: int) -> Set[date]:
    return {LAST - timedelta(days=number) for number in days}


def chart(of: ChartSpec, whole: Set[date], factor: int = 1, currency: str = "USD") -> Figure:
    """Figures that rise to the last day, which is what a label at the mark would not survive."""
    rows = [
        {
            "date": day,
            "cost": Decimal(100 + number * 40) * factor,
            "conversions": (5 + number) * abs(factor),
            "cpa": Decimal(number * number) * factor,
        }
        for number, day in enumerate(sorted(whole))
    ]
    return arranged(of, rows, LAST, whole, currency)


def texts(figure: Figure) -> list[Any]:
    """Every text that is drawn."""
    found: list[Any] = []
    for axis in figure.axes:
        (low, high), ticks = (
            sorted(axis.get_ylim()),
            zip(axis.get_yticks(), axis.get_yticklabels(), strict=True),
        )
        found += [label for value, label in ticks if low <= value <= high]
        found += [*axis.texts, axis._left_title, axis._right_title]  # pyright: ignore
    found += figure.axes[-1].get_xticklabels()
    return [text for text in found if text.get_text()]


ALL = back(*range(62))


@pytest.mark.parametrize(
    ("of", "whole", "factor", "currency"),
    [
        (spec(), ALL, 1, "USD"),
        (spec(), ALL - back(0, 5, 6), 1, "USD"),
        (spec(), back(0), 1, "USD"),
        (spec(), frozenset(), 1, "USD"),
        (spec(), ALL, 1_000_000, "JPY"),
        (spec(), ALL, -7_000, "CHF"),
        (spec(label=LONG), ALL, 1_000, "USD"),
        (spec(days=62), ALL - back(20), 10, "USD"),
        (spec(days=3), ALL - back(1), 10, "USD"),
        (spec(days=1), ALL, 1, "USD"),
    ],
    ids=[
        "whole",
        "gaps",
        "one day",
        "nothing",
        "large",
        "negative",
        "long label",
        "two months",
        "three days",
        "a day",
    ],
)
def test_no_text_covers_another_or_leaves_the_picture(
    of: ChartSpec, whole: Set[date], factor: int, currency: str
) -> None:
    figure = chart(of, whole, factor, currency)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not first.overlaps(second), (one, other)
    for text, box in boxes:
        assert (
            box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1
        ), text


@pytest.mark.parametrize("factor", [1, -1])
def test_marks_keep_away_from_the_edges_of_their_panel(factor: int) -> None:
    for axis in chart(spec(), ALL, factor).axes:
        (low, high), edges = axis.get_ylim(), axis.dataLim
        assert low < edges.y0 or edges.y0 == 0
        assert high > edges.y1 or edges.y1 == 0
        assert axis.get_xlim()[0] < 0 and axis.get_xlim()[1] > 13


def test_stretches_of_missing_days_are_hatched_and_named_in_every_panel() -> None:
    for axis in chart(spec(), ALL - back(0, 5, 6)).axes:
        hatched = [patch.get_x() for patch in axis.patches if patch.get_hatch()]  # pyright: ignore
        assert hatched == [6.5, 12.5]
        assert [text.get_text() for text in axis.texts] == ["no data"] * 2
    assert [axis.get_title("right") for axis in chart(spec(), ALL - back(0)).axes] == [
        "$2,500 on 13 Mar",
        "65 on 13 Mar",
        "$3,600 on 13 Mar",
    ]


def test_a_whole_day_without_a_figure_is_not_a_missing_one() -> None:
    rows = [{"date": LAST, "cost": Decimal(5), "conversions": 0, "cpa": None}]
    figure = arranged(spec(days=2), rows, LAST, back(0, 1), "USD")
    assert not [patch for axis in figure.axes for patch in axis.patches if patch.get_hatch()]
    assert [axis.get_title("right") for axis in figure.axes] == ["$5.00", "0", ""]
