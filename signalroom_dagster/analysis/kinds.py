"""The types of analysis that a job is made of, as data: what an entry is, and what it says of its
campaign.

Each result is `{"campaigns": [entry, ...]}`; a campaign may stand in it several times (an audience
per segment, a creative per picture), and its figures are summed. Money is in the client's currency,
as a string or a number of any precision; shares of a conversion come from attribution models, so
conversions need not be whole. A new type is an entry here and its name in a client's `[analysis]
required`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=10**12)]
Figures: TypeAlias = Mapping[str, Decimal]

MOST_ENTRIES = 1_000
COUNTS = frozenset({"people", "reached", "impressions", "clicks"})
"""The figures that are whole numbers."""
USUAL_CLICK_RATE = Decimal("0.02")
"""Clicks per impression of which half a creative's points are given."""


class Attributed(Struct, frozen=True):
    """What an attribution model credits a campaign with."""

    campaign: Name
    conversions: Decimal
    revenue: Decimal
    cost: Decimal


class Audience(Struct, frozen=True):
    """How many people an audience has, and how many of them the campaign reached."""

    campaign: Name
    people: Count
    reached: Count


class Creative(Struct, frozen=True):
    """How often a creative was shown, and how often clicked."""

    campaign: Name
    creative: Name
    impressions: Count
    clicks: Count


Entry: TypeAlias = Attributed | Audience | Creative


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of analysis: its entries, the figures that are summed per campaign, pairs (part,
    whole) of which the part cannot be more, and how good a campaign is: what speaks for it and what
    against it, and with what weight.
    """

    entry: type[Entry]
    figures: tuple[str, ...]
    within: tuple[tuple[str, str], ...]
    weight: Decimal
    speaks: Callable[[Figures], tuple[Decimal, Decimal]]


KINDS: Mapping[str, Kind] = {
    "attribution": Kind(
        entry=Attributed,
        figures=("conversions", "revenue", "cost"),
        within=(),
        weight=Decimal(5),
        speaks=lambda of: (of["revenue"], of["cost"]),
    ),
    "audience": Kind(
        entry=Audience,
        figures=("people", "reached"),
        within=(("reached", "people"),),
        weight=Decimal(2),
        speaks=lambda of: (of["reached"], of["people"] - of["reached"]),
    ),
    "creative": Kind(
        entry=Creative,
        figures=("impressions", "clicks"),
        within=(("clicks", "impressions"),),
        weight=Decimal(3),
        speaks=lambda of: (of["clicks"], of["impressions"] * USUAL_CLICK_RATE),
    ),
}
