"""A report's chart as a PNG: one panel a figure, one column a day. A day that no source covers
whole is hatched.

The latest figure stands beside a panel's name, where no mark can cover it; texts are measured
before they are placed.

Imported only when something is drawn: matplotlib takes as long as a small load.
https://matplotlib.org/
"""

import io
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import thumbnail

from signalroom_dagster.reports.figures import Row
from signalroom_dagster.reports.formats import count, day, money
from signalroom_dagster.reports.templates import ChartSpec, Panel

INK, FAINT, GAP = "#1f2937", "#6b7280", "#f3f4f6"
HATCH = "#d1d5db"
COLOURS = ("#2563eb", "#0f766e", "#b45309", "#7c3aed")
WIDTH, PANEL_HEIGHT, DOTS = 5.0, 1.3, 240
RIGHT, BESIDE_TICKS = 0.985, 0.06
LABEL, TICKS, NO_DATA = 9, 7.5, 6.5
MOST_DAYS_NAMED = 5
SHORT_FROM = 10_000
SHORTENED = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K"))


def draw(
    spec: ChartSpec, rows: Sequence[Row], last: date, whole: Set[date], currency: str
) -> bytes:
    """The chart of the days up to `last`; 1,200 pixels wide. A whole day without a row is a day of
    zeros.
    """
    content = io.BytesIO()
    figure = arranged(spec, rows, last, whole, currency)
    figure.savefig(content, format="png", facecolor="white", metadata={"Software": None})
    return content.getvalue()


def arranged(
    spec: ChartSpec, rows: Sequence[Row], last: date, whole: Set[date], currency: str
) -> Figure:
    """The chart with every mark and text in its place."""
    days = [last - timedelta(days=back) for back in reversed(range(spec.days))]
    height = PANEL_HEIGHT * len(spec.panels)
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS)
    FigureCanvasAgg(figure)
    panels: Any = figure.subplots(len(spec.panels), 1, sharex=True, squeeze=False)
    figure.subplots_adjust(right=RIGHT, bottom=0.25 / height, top=1 - 0.22 / height, hspace=0.42)
    by_day = {row[spec.day]: row for row in rows}
    for place, panel in enumerate(spec.panels):
        values = [_value(by_day.get(each), each, panel, whole) for each in days]
        _draw_panel(panels[place][0], panel, values, COLOURS[place % len(COLOURS)], currency)
    _name_days(panels[-1][0], days)
    _make_room_for_ticks(figure, [row[0] for row in panels])
    _keep_within(figure, panels[-1][0])
    for place, panel in enumerate(spec.panels):
        axis = panels[place][0]
        _hatch(axis, [place for place, each in enumerate(days) if each not in whole])
        _label(axis, panel, _latest(panel, by_day, days, whole, currency))
    return figure


def halved(png: bytes) -> bytes:
    """The same picture in half its width and height."""
    content = io.BytesIO()
    thumbnail(io.BytesIO(png), content, scale=0.5)
    return content.getvalue()


def _value(row: Row | None, on: date, panel: Panel, whole: Set[date]) -> float | None:
    if on not in whole:
        return None
    value: Decimal | int | None = row[panel.column] if row else 0 if panel.kind == "bars" else None
    return None if value is None else float(value)


def _latest(
    panel: Panel, by_day: Mapping[date, Row], days: Sequence[date], whole: Set[date], currency: str
) -> str:
    """The last figure that there is, with its day when that is not the last one."""
    for each in reversed(days):
        value = _value(by_day.get(each), each, panel, whole)
        if value is not None:
            return written(value, panel, currency) + (
                f" on {day(each)}" if each != days[-1] else ""
            )
    return ""


def _draw_panel(
    axis: Any, panel: Panel, values: Sequence[float | None], colour: str, currency: str
) -> None:
    places = range(len(values))
    marks = [float("nan") if value is None else value for value in values]
    if panel.kind == "bars":
        axis.bar(places, marks, width=0.72, color=colour)
    else:
        axis.plot(
            places, marks, color=colour, linewidth=1.8, marker="o", markersize=3, clip_on=False
        )
    figures = [value for value in values if value is not None]
    low, high = min(0.0, *figures) if figures else 0.0, max(0.0, *figures) if figures else 0.0
    room = 0.1 * ((high - low) or 1.0)
    axis.set_ylim(low - (room if low else 0), high + (room if high or not low else 0))
    axis.set_xlim(-0.6, len(values) - 0.4)
    axis.yaxis.set_major_formatter(partial(_tick, panel=panel, currency=currency))
    axis.tick_params(axis="both", labelsize=TICKS, labelcolor=FAINT, length=0)
    if figures:
        axis.locator_params(axis="y", nbins=3, integer=panel.unit == "count")
    else:
        axis.set_yticks([])
    axis.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_visible(False)


def _name_days(axis: Any, days: Sequence[date]) -> None:
    """Names as many days, the last one among them, as stand beside each other."""
    step = -(-len(days) // MOST_DAYS_NAMED)
    named = range((len(days) - 1) % step, len(days), step)
    axis.set_xticks(named, [day(days[place]) for place in named])


def _make_room_for_ticks(figure: Figure, axes: Sequence[Any]) -> None:
    """As far to the left as the longest figure of a scale needs."""
    renderer: Any = figure.canvas.get_renderer()  # pyright: ignore[reportAttributeAccessIssue]
    widest = max(
        (
            text.get_window_extent(renderer).width
            for axis in axes
            for text in axis.get_yticklabels()
        ),
        default=0,
    )
    figure.subplots_adjust(left=(widest / DOTS + BESIDE_TICKS + 0.05) / WIDTH)


def _keep_within(figure: Figure, axis: Any) -> None:
    """The name of the last day ends where the picture does."""
    label = axis.get_xticklabels()[-1]
    if label.get_window_extent().x1 > figure.bbox.x1:
        label.set_horizontalalignment("right")


def _hatch(axis: Any, missing: Sequence[int]) -> None:
    """Says of each stretch of missing days that there are no data: across, upright, or by the
    hatching alone.
    """
    unit = axis.get_window_extent().width / (axis.get_xlim()[1] - axis.get_xlim()[0])
    for first, last in _stretches(missing):
        axis.axvspan(
            first - 0.5, last + 0.5, facecolor=GAP, edgecolor=HATCH, hatch="////", linewidth=0
        )
        text = axis.text(
            (first + last) / 2,
            0.5,
            "no data",
            transform=axis.get_xaxis_transform(),
            ha="center",
            va="center",
            fontsize=NO_DATA,
            color=FAINT,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
        size = text.get_window_extent()
        room = (last - first + 1) * unit
        if size.width > room:
            text.set_rotation(90)
        if size.height > room:
            text.remove()


def _stretches(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each stretch of neighbours."""
    for number, place in enumerate(places):
        if not number or place != places[number - 1] + 1:
            last = place
            while last + 1 in places:
                last += 1
            yield place, last


def _label(axis: Any, panel: Panel, latest: str) -> None:
    """A panel's name, cut to what its latest figure leaves of the line."""
    style: dict[str, Any] = {"fontsize": LABEL, "color": INK, "fontweight": "bold", "pad": 3}
    right = axis.set_title(latest, loc="right", **style)
    room = axis.get_window_extent().width - right.get_window_extent().width
    left = axis.set_title(panel.label, loc="left", **style)
    while left.get_window_extent().width > room - LABEL * DOTS / 72 and len(left.get_text()) > 1:
        left.set_text(f"{left.get_text().removesuffix('…')[:-1].rstrip()}…")


def _tick(value: float, _: int, *, panel: Panel, currency: str) -> str:
    """A figure of a scale: from ten thousand on in short, as there is little room."""
    for size, letter in SHORTENED:
        if abs(value) >= max(size, SHORT_FROM):
            return f"{_sign(value, panel, currency)}{abs(value) / size:,.4g}{letter}"
    return written(value, panel, currency)


def _sign(value: float, panel: Panel, currency: str) -> str:
    """What stands before an amount: its minus, and the currency of money."""
    before = money(Decimal(0), currency, 0).removesuffix("0") if panel.unit == "money" else ""
    return ("-" if value < 0 else "") + before


def written(value: float, panel: Panel, currency: str) -> str:
    """A mark's figure as the texts write it: a float with the four places of a stored one, rounded
    half up.
    """
    if panel.unit == "count":
        return count(round(value))
    return money(Decimal(str(round(value, 4))), currency, 2 if 0 < abs(value) < 100 else 0)
