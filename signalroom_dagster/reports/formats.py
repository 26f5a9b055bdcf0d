"""How figures and days are written in a report: the filters of its templates.

Money is rounded half up. None is written as `n/a`, never as 0.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from signalroom_dagster.freshness.coverage import Coverage

UNKNOWN = "n/a"
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}


def money(value: Decimal | int | None, currency: str, places: int = 2) -> str:
    """1234.5 -> $1,234.50; a currency without a sign of its own stands before the amount."""
    if value is None:
        return UNKNOWN
    rounded = _rounded(value, places)
    sign = "-" if rounded < 0 else ""
    return f"{sign}{SYMBOLS.get(currency, currency + ' ')}{abs(rounded):,.{places}f}"


def count(value: int | None) -> str:
    """1234 -> 1,234."""
    return UNKNOWN if value is None else f"{value:,}"


def ratio(value: Decimal | None) -> str:
    """1.3332 -> 1.33."""
    return UNKNOWN if value is None else f"{_rounded(value, 2):,.2f}"


def percent(now: Decimal | int | None, before: Decimal | int | None) -> str:
    """How much more (or less) something is than before: +12.5%; n/a against nothing."""
    if now is None or not before:
        return UNKNOWN
    change = _rounded((Decimal(now) - Decimal(before)) * 100 / abs(Decimal(before)), 1)
    return f"{change:+,.1f}%" if change else "0.0%"


def day(value: date) -> str:
    """2 Mar."""
    return f"{value.day} {value:%b}"


def long_day(value: date) -> str:
    """Mon 2 Mar 2026."""
    return f"{value:%a} {value.day} {value:%b %Y}"


def moment(value: datetime, zone: ZoneInfo) -> str:
    """3 Mar 06:15 EST."""
    local = value.astimezone(zone)
    return f"{local.day} {local:%b %H:%M %Z}"


def freshness(item: Coverage, on: date, zone: ZoneInfo) -> str:
    """One line on how far a source reaches, seen from the reported day."""
    if item.read_at is None:
        return f"{item.title}: never read"
    read = moment(item.read_at, zone)
    state = item.state(on)
    if state == "whole":
        unread = ", ".join(day(each) for each in sorted(item.unread))
        return f"{item.title}: whole day, read {read}" + (
            f", without what could not be read of {unread}" * bool(unread)
        )
    if state == "begun":
        return f"{item.title}: read {read}, before {day(on)} was over"
    last = f"its last whole day is {day(item.last_whole)}, " if item.last_whole else ""
    return f"{item.title}: nothing of {day(on)}; {last}last read {read}"


def columns(rows: Sequence[Sequence[Any]], header: Sequence[str], width: int = 24) -> str:
    """Rows as text in columns: the first to the left, cut at `width`, the others to the right."""
    cells = [[_cut(str(row[0]), width), *map(str, row[1:])] for row in (header, *rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(header))]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def without_backticks(value: Any) -> Any:
    """A value that does not end the code block it stands in."""
    return value.replace("`", "'") if isinstance(value, str) else value


def plain(mrkdwn: str) -> str:
    """Slack's text without its marks."""
    text = re.sub(r"(?<!\w)([*_])(\S(?:[^\n]*?\S)?)\1(?!\w)", r"\2", mrkdwn)
    text = text.replace(":warning: ", "").replace("```\n", "").replace("```", "")
    for mark, character in {"&lt;": "<", "&gt;": ">", "&amp;": "&"}.items():
        text = text.replace(mark, character)
    return text


def markdown(mrkdwn: str) -> str:
    """Slack's text as Markdown."""
    parts = mrkdwn.split("```")
    parts[::2] = [
        re.sub(r"(?<!\w)\*(\S(?:[^\n]*?\S)?)\*(?!\w)", r"**\1**", part).replace("\n", "  \n")
        for part in parts[::2]
    ]
    return "\n```\n".join(part.strip("\n") for part in parts)


def filters(currency: str, zone: ZoneInfo, on: date) -> Mapping[str, Any]:
    """The filters of a template, for one client and day."""
    return {
        "money": partial(_money, currency),
        "count": count,
        "ratio": ratio,
        "change": percent,
        "day": day,
        "long_day": long_day,
        "freshness": partial(freshness, on=on, zone=zone),
        "columns": columns,
    }


def _money(currency: str, value: Decimal | int | None, places: int = 2) -> str:
    return money(value, currency, places)


def _rounded(value: Decimal | int, places: int) -> Decimal:
    return (
        Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP) + 0
    )  # no negative zero


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
