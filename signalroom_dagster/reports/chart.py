"""A report's chart as a PNG: one panel a figure, one column a day. A day that no source covers whole has no mark.

Imported only when something is drawn: matplotlib takes as long as a small load. https://matplotlib.org/
"""

import io
from collections.abc import Sequence, Set
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import thumbnail

from signalroom_dagster.reports.figures import Row
from signalroom_dagster.reports.templates import ChartSpec, Panel
from signalroom_dagster.reports.words import count, day, money

INK, FAINT, GAP = "#1f2937", "#6b7280", "#eef0f3"
COLOURS = ("#2563eb", "#0f766e", "#b45309", "#7c3aed")
WIDTH, PANEL_HEIGHT, DOTS = 5.0, 1.3, 240


def draw(spec: ChartSpec, rows: Sequence[Row], last: date, whole: Set[date], currency: str) -> bytes:
    """The chart of the days up to `last`; 1,200 pixels wide. A whole day without a row is a day of zeros."""
    days = [last - timedelta(days=back) for back in reversed(range(spec.days))]
    by_day = {row[spec.day]: row for row in rows}
    height = PANEL_HEIGHT * len(spec.panels)
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS)
    FigureCanvasAgg(figure)
    panels: Any = figure.subplots(len(spec.panels), 1, sharex=True, squeeze=False)
    for place, panel in enumerate(spec.panels):
        values = [_value(by_day.get(each), each, panel, whole) for each in days]
        _draw_panel(panels[place][0], panel, values, COLOURS[place % len(COLOURS)], currency)
    axis: Any = panels[-1][0]
    axis.set_xticks(
        range(len(days)), [day(each) if (len(days) - place) % 3 == 1 else "" for place, each in enumerate(days)]
    )
    figure.subplots_adjust(left=0.11, right=0.985, bottom=0.25 / height, top=1 - 0.22 / height, hspace=0.42)
    content = io.BytesIO()
    figure.savefig(content, format="png", facecolor="white", metadata={"Software": None})
    return content.getvalue()


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


def _draw_panel(axis: Any, panel: Panel, values: Sequence[float | None], colour: str, currency: str) -> None:
    places = range(len(values))
    marks = [float("nan") if value is None else value for value in values]
    if panel.kind == "bars":
        axis.bar(places, marks, width=0.72, color=colour)
    else:
        axis.plot(places, marks, color=colour, linewidth=1.8, marker="o", markersize=3)
    for place, value in enumerate(values):
        if value is None and panel.kind == "bars":
            axis.axvspan(place - 0.5, place + 0.5, color=GAP, linewidth=0)
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if known:
        place, value = known[-1]
        axis.annotate(written(value, panel, currency), (place, value), xytext=(0, 3), textcoords="offset points",
                      ha="center", va="bottom", fontsize=8, color=INK, fontweight="bold")  # fmt: skip
    axis.set_xlim(-0.6, len(values) - 0.2)
    axis.margins(y=0.25)
    axis.set_ylim(bottom=min(0.0, *(value for _, value in known)) if known else 0)
    axis.set_title(panel.label, loc="left", fontsize=9, color=INK, fontweight="bold", pad=3)
    axis.yaxis.set_major_formatter(partial(_tick, panel=panel, currency=currency))
    axis.tick_params(axis="both", labelsize=7.5, labelcolor=FAINT, length=0)
    axis.locator_params(axis="y", nbins=3)
    axis.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_visible(False)


def _tick(value: float, _: int, *, panel: Panel, currency: str) -> str:
    return written(value, panel, currency)


def written(value: float, panel: Panel, currency: str) -> str:
    """A mark's figure as the texts write it: a float with the four places of a stored one, rounded half up."""
    if panel.unit == "count":
        return count(round(value))
    return money(Decimal(str(round(value, 4))), currency, 2 if 0 < abs(value) < 100 else 0)
