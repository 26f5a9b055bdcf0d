"""What the RedTrack stand-in tells of: one client's account, its traffic, its conversions, and its
lists.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from signalroom_dagster.sandbox.market import (
    MARKETS,
    Sale,
    TrafficSource,
    clicks_of,
    days,
    sales_of,
)
from signalroom_dagster.sandbox.shops import ZONE, as_invented

UNSTORED = "sandbox-secret-token"
"""What the vendor gives away in its lists, and no warehouse may hold."""

CREATED, UPDATED = "2025-01-10T12:00:00Z", "2026-02-01T08:00:00Z"


class Hit(NamedTuple):
    """Clicks of a source at one moment, and their cost. Those of no source may carry a name that is
    left of one.
    """

    at: datetime
    source_id: str
    clicks: int = 1
    cost: Decimal = Decimal(0)
    source_name: str = ""


@dataclass
class RedTrackAccount:
    """One client's account. Moments of conversions are instants; `zone` is what the account is set
    to.

    The switches stand for what the vendor was seen to do, or may: `reports_a_minute` is refused
    beyond (0: never), `honours_dates` and `honours_groups` switch grouping off, `wraps` answers
    lists as `items`, `counts` with their number, `longest_page` cuts them, `unstable` moves a row
    between two pages of a list, `lost` are rows that are counted and never given.
    """

    key: str
    traffic: list[Hit] = field(default_factory=list[Hit])
    conversions: list[dict[str, Any]] = field(default_factory=list[Any])
    sources: list[dict[str, Any]] = field(default_factory=list[Any])
    campaigns: list[dict[str, Any]] = field(default_factory=list[Any])
    offers: list[dict[str, Any]] = field(default_factory=list[Any])
    zone: str = "America/New_York"
    reports_a_minute: int = 20
    clock: Callable[[], float] = time.monotonic
    reported: deque[float] = field(default_factory=deque[float])
    honours_dates: bool = True
    honours_groups: bool = True
    wraps: bool = False
    counts: bool = False
    nothing: Any = field(default_factory=list[Any])
    longest_page: int = 1_000
    longest_log: int = 10_000
    unstable: int = 0
    lost: int = 0
    moments: Literal["utc", "offset", "naive"] = "utc"


def sandbox_account(client_id: str) -> RedTrackAccount:
    """A client's account, told from the sandbox's market."""
    market = MARKETS[client_id]
    bought = [
        (source, affiliate.id) for affiliate in market.affiliates for source in affiliate.sources
    ]
    everything: list[tuple[TrafficSource, int | None]] = [
        *bought,
        *((source, None) for source in market.unmapped),
    ]
    account = RedTrackAccount(key=redtrack_key(client_id))
    for source, affiliate in everything:
        account.sources.append(source_row(source.id, source.title, source.alias))
        account.campaigns.append(
            campaign_row(_numbered("cc", source), f"{source.title.strip()} US", source.id)
        )
        link = f"oid={market.offer_id}&" + (f"affid={affiliate}&" if affiliate else "")
        account.offers.append(
            offer_row(_numbered("dd", source), market.offer_name, f"{link}sub1={{clickid}}")
        )
    for click in clicks_of(client_id):
        if click.source:
            account.traffic.append(Hit(click.at, click.source.id, 1, Decimal(click.source.cpc)))
    for sale in sales_of(client_id):
        if sale.click.source:
            account.conversions.append(_purchase(sale, sale.click.source))
    for day in days():
        noon = datetime.combine(day, time_of_day(12), ZONE)
        account.traffic.append(Hit(noon, "", 3))
        for source in market.unmapped:
            clicks = 60 + random.Random(f"{client_id} {source.id} {as_invented(day)}").randrange(60)
            account.traffic.append(Hit(noon, source.id, clicks, clicks * Decimal(source.cpc)))
            account.conversions += _leads(client_id, source, noon, day)
    return account


def redtrack_key(client_id: str) -> str:
    """The key that the sandbox hands out for one client's account."""
    return f"sandbox-redtrack-{client_id}"


def conversion_row(number: str, at: datetime, source_id: str, **values: Any) -> dict[str, Any]:
    """A conversion as the log tells it, with what the vendor sends and nobody should store."""
    return {
        "id": number,
        "clickid": "",
        "type": "Purchase",
        "default_type": 1,
        "event": "",
        "status": "approved",
        "duplicate_status": 0,
        "attribution_type": "",
        "is_transaction": 1,
        "track_time": at - timedelta(minutes=10),
        "conv_time": at,
        "created_at": at,
        "source_id": source_id,
        "network": "Everflow",
        "payout": 75,
        "cost": 0,
        "currency": "USD",
        "country": "US",
        "region": "Ohio",
        "city": "Testville",
        "ip": "192.0.2.10",
        "postback_ip": "192.0.2.11",
        "user_agent": "Mozilla/5.0 (test)",
        "referer": "https://example.test/?secret",
        "page_url": "https://example.test/?email=buyer@example.test",
        "fingerprint": "f00d",
        "browser": "Chrome",
        "deduplicate_token": UNSTORED,
        **{f"sub{place}": "" for place in range(1, 21)},
        **values,
    }


def source_row(number: str, title: str, alias: str, **values: Any) -> dict[str, Any]:
    """A traffic source as its list tells it, tokens included; its status is text, unlike that of
    the others.
    """
    return {
        "id": number,
        "title": title,
        "alias": alias,
        "type": "",
        "status": "1",
        "currency": "USD",
        "cost_level": "ad",
        "campaign_count": 1,
        "serial_number": 3,
        "subs": [{"alias": "sub1", "value": "{{ad.id}}"}],
        "pixels": [{"facebook": {"conversions_apikey": UNSTORED}}],
        "stat": {"clicks": 0},
        "created_at": CREATED,
        "updated_at": UPDATED,
        **values,
    }


def campaign_row(number: str, title: str, source_id: str, **values: Any) -> dict[str, Any]:
    """A campaign as its list tells it."""
    return {
        "id": number,
        "title": title,
        "status": 1,
        "source_id": source_id,
        "source_title": title,
        "cost_model": "auto",
        "cpc": 0,
        "streams": [],
        "tags": ["us"],
        "notes": [],
        "stat": {"clicks": 10},
        "created_at": CREATED,
        "updated_at": UPDATED,
        "postback_url": "https://trk.example.test/postback?token=sandbox-secret-token",
        "postback_token": UNSTORED,
        **values,
    }


def offer_row(number: str, title: str, query: str, **values: Any) -> dict[str, Any]:
    """An offer as its list tells it; `query` is the end of its link to Everflow."""
    return {
        "id": number,
        "title": title,
        "status": 1,
        "url": f"https://trk.example.test/?{query}",
        "network_title": "Everflow",
        "payment": {"amount": 75},
        "country_codes": ["US"],
        "tags": [],
        "stat": {},
        "pixels": [{"tiktok": {"pixel_token": UNSTORED}}],
        "created_at": CREATED,
        "updated_at": UPDATED,
        "expires_at": "0001-01-01T00:00:00Z",
        **values,
    }


def _numbered(kind: str, source: TrafficSource) -> str:
    return f"65{kind}{source.id[4:]}"


def _purchase(sale: Sale, source: TrafficSource) -> dict[str, Any]:
    return conversion_row(
        f"65bb{int(sale.order_id):020x}",
        sale.at,
        source.id,
        **_parties(source),
        clickid=sale.click.tracked_as,
        track_time=sale.click.at,
        payout=float(sale.revenue),
        order=sale.order_id,
    )


def _leads(
    client_id: str, source: TrafficSource, noon: datetime, day: date
) -> Iterator[dict[str, Any]]:
    """Conversions that are none by default: they count as `total_conversions` alone."""
    rng = random.Random(f"{client_id} {source.id} {as_invented(day)} leads")
    for _ in range(rng.randrange(1, 4)):
        at = noon + timedelta(seconds=rng.randrange(3_600))
        lead = {"type": "Lead", "default_type": 0, "type1": 1, "payout": 0, "status": ""}
        clickid = f"{rng.getrandbits(96):024x}"
        yield conversion_row(
            f"65be{rng.getrandbits(80):020x}",
            at,
            source.id,
            **_parties(source),
            **lead,
            clickid=clickid,
        )


def _parties(source: TrafficSource) -> dict[str, str]:
    return {
        "source": source.title,
        "campaign": f"{source.title.strip()} US",
        "campaign_id": _numbered("cc", source),
        "offer_id": _numbered("dd", source),
    }
