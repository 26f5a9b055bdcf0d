"""What an analysis comes to: the figures of one job, and the hash that tells whether two are the
same.
"""

import hashlib
from decimal import Decimal
from typing import Any

import msgspec


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One job's figures. None where no result of the job speaks of it, and for ratios whose divisor
    is 0.

    `campaigns` are the figures of each campaign, in order of name. `hash` is of all the rest.
    """

    campaign_count: int
    best_campaign: str | None
    score: Decimal | None
    conversions: Decimal | None
    revenue: Decimal | None
    cost: Decimal | None
    cpa: Decimal | None
    roas: Decimal | None
    people: int | None
    reached: int | None
    reach_rate: Decimal | None
    impressions: int | None
    clicks: int | None
    click_rate: Decimal | None
    campaigns: list[dict[str, Any]]
    hash: str = ""


def hashed(summary: Summary) -> Summary:
    """The same figures with their hash: equal figures, equal hash, on any machine."""
    plain = msgspec.structs.replace(summary, hash="")
    return msgspec.structs.replace(
        plain, hash=hashlib.sha256(msgspec.json.encode(plain)).hexdigest()
    )
