"""The steps from a job's results to its row, each a pure function of what the step before gave: no
clock, no store, and nothing kept in between. Whatever order the results came in, and whatever order
their entries stand in, the row is the same.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, TypeAlias

import msgspec

from signalroom_dagster.analysis.kinds import COUNTS, KINDS, MOST_ENTRIES, Entry, Figures
from signalroom_dagster.analysis.summary import Summary, hashed
from signalroom_dagster.errors import SignalRoomError

Entries: TypeAlias = Mapping[str, Sequence[Entry]]
Campaigns: TypeAlias = Mapping[str, Mapping[str, Figures]]
"""Figures by campaign and type, both in order of name."""

MOST = Decimal(10) ** 9
MOST_ROWS_HOLD = Decimal(10) ** 14
EXACT = Context(prec=60)
FINEST = Decimal("1e-12")
PLACES = Decimal("0.0001")


class InvalidResultError(SignalRoomError, ValueError):
    """A result that cannot be analysed; says where and why, without any of its values."""


def decode(payloads: Mapping[str, bytes]) -> Entries:
    """Results as they came, by type, as typed entries. Raises InvalidResultError."""
    return {kind: _decoded(kind, payloads[kind]) for kind in sorted(payloads)}


def validate(entries: Entries) -> Entries:
    """The same entries, when they can be right. Raises InvalidResultError."""
    for kind, listed in entries.items():
        if len(listed) > MOST_ENTRIES:
            raise InvalidResultError(f"{kind}: more than {MOST_ENTRIES} entries")
        for number, entry in enumerate(listed):
            if wrong := _wrong(kind, entry):
                raise InvalidResultError(f"{kind}: entry {number}: {wrong}")
    if not any(entries.values()):
        raise InvalidResultError("no result names a campaign")
    return entries


def merge(entries: Entries) -> Campaigns:
    """The figures of each campaign, summed over its entries, of all types that name it."""
    names = sorted({entry.campaign for listed in entries.values() for entry in listed})
    merged: dict[str, dict[str, Figures]] = {name: {} for name in names}
    for kind in sorted(entries):
        of_campaign: dict[str, list[Entry]] = {}
        for entry in entries[kind]:
            of_campaign.setdefault(entry.campaign, []).append(entry)
        for name, listed in of_campaign.items():
            merged[name][kind] = {figure: _sum(listed, figure) for figure in KINDS[kind].figures}
    return merged


def score(campaigns: Campaigns) -> Sequence[tuple[str, Decimal | None, Mapping[str, Figures]]]:
    """The campaigns with their points, 0 to 100: by type, what speaks for one against what speaks
    against it, weighted over the types that say anything. None where none does.
    """
    return [(name, _points(figures), figures) for name, figures in campaigns.items()]


def summarize(scored: Sequence[tuple[str, Decimal | None, Mapping[str, Figures]]]) -> Summary:
    """The job's row: sums over campaigns, ratios of these sums, the best campaign, and every
    campaign's own figures.
    """
    total = _total([of for _, _, of in scored])
    rated = [(-points, name) for name, points, _ in scored if points is not None]
    return hashed(
        Summary(
            campaign_count=len(scored),
            best_campaign=min(rated)[1] if rated else None,
            score=_weighted([(-points, Decimal(1)) for points, _ in rated]),
            conversions=total.get("conversions"),
            revenue=total.get("revenue"),
            cost=total.get("cost"),
            cpa=_ratio(total.get("cost"), total.get("conversions")),
            roas=_ratio(total.get("revenue"), total.get("cost")),
            people=_whole(total.get("people")),
            reached=_whole(total.get("reached")),
            reach_rate=_ratio(total.get("reached"), total.get("people")),
            impressions=_whole(total.get("impressions")),
            clicks=_whole(total.get("clicks")),
            click_rate=_ratio(total.get("clicks"), total.get("impressions")),
            campaigns=[_of_campaign(*each) for each in scored],
        )
    )


STEPS: Sequence[Callable[[Any], Any]] = (decode, validate, merge, score, summarize)


def analyse(payloads: Mapping[str, bytes]) -> Summary:
    """One job's row from its results by type. Raises InvalidResultError."""
    return functools.reduce(lambda value, step: step(value), STEPS, payloads)


def _decoded(kind: str, payload: bytes) -> Sequence[Entry]:
    if kind not in KINDS:
        raise InvalidResultError(
            f"{kind}: no such type of analysis (there are: {', '.join(KINDS)})"
        )
    try:
        return _decoder(kind).decode(payload).campaigns
    except UnicodeDecodeError:
        raise InvalidResultError(f"{kind}: not UTF-8") from None
    except msgspec.DecodeError as error:
        raise InvalidResultError(f"{kind}: {error}") from None


@functools.cache
def _decoder(kind: str) -> "msgspec.json.Decoder[Any]":
    shape = msgspec.defstruct(
        f"{kind}_result", [("campaigns", list[KINDS[kind].entry])], frozen=True
    )
    return msgspec.json.Decoder(shape)


def _wrong(kind: str, entry: Entry) -> str | None:
    for name in ("campaign", "creative"):
        if "\x00" in getattr(entry, name, ""):
            return f"{name} holds a character that no database takes"
    of = {figure: getattr(entry, figure) for figure in KINDS[kind].figures}
    for figure, value in of.items():
        if isinstance(value, Decimal) and not (value.is_finite() and 0 <= value <= MOST):
            return f"{figure} is not a number from 0 to {MOST:,}"
    for part, whole in KINDS[kind].within:
        if of[part] > of[whole]:
            return f"{part} is more than {whole}"
    return None


def _points(figures: Mapping[str, Figures]) -> Decimal | None:
    parts: list[tuple[Decimal, Decimal]] = []
    for kind, of in figures.items():
        good, bad = KINDS[kind].speaks(of)
        if good + bad:
            parts.append((100 * good / (good + bad), KINDS[kind].weight))
    return _weighted(parts)


def _weighted(parts: Sequence[tuple[Decimal, Decimal]]) -> Decimal | None:
    weight = _added(weight for _, weight in parts)
    return _rounded(_added(value * weight for value, weight in parts) / weight) if weight else None


def _sum(entries: Iterable[Entry], figure: str) -> Decimal:
    return _added(
        Decimal(getattr(entry, figure)).quantize(FINEST, ROUND_HALF_UP, EXACT) for entry in entries
    )


def _added(values: Iterable[Decimal]) -> Decimal:
    """Exact, so that the order of what is added cannot show."""
    return functools.reduce(EXACT.add, values, Decimal(0))


def _total(campaigns: Sequence[Mapping[str, Figures]]) -> Figures:
    """The sums over all campaigns, as a row shows them, of the types that there are."""
    there = {kind for of in campaigns for kind in of}
    return {
        figure: _rounded(_added(of[kind][figure] for of in campaigns if kind in of))
        for kind in sorted(there)
        for figure in KINDS[kind].figures
    }


def _of_campaign(name: str, points: Decimal | None, of: Mapping[str, Figures]) -> dict[str, Any]:
    figures = {
        figure: int(value) if figure in COUNTS else str(_rounded(value))
        for kind in of.values()
        for figure, value in kind.items()
    }
    return {"campaign": name, "score": None if points is None else str(points), **figures}


def _ratio(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """None where the divisor is 0, and where it is so small that the quotient fits no column and
    says nothing.
    """
    if part is None or not whole:
        return None
    quotient = _rounded(EXACT.divide(part, whole))
    return quotient if quotient < MOST_ROWS_HOLD else None


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(PLACES, ROUND_HALF_UP, EXACT)


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else int(value)
