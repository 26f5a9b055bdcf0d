"""What the sandbox's clients bought and sold: clicks, sales and spend that fit the shops' orders.
All of it invented.

A sale is a paid first order of an export; before it came a click, through an affiliate and, for the
agency's own affiliates, through a traffic source that cost money. Every stand-in vendor tells its
part of the same story.
"""

import functools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from signalroom_dagster.sandbox.exports import orders_made
from signalroom_dagster.sandbox.orders import US_MOMENT
from signalroom_dagster.sandbox.shops import DAYS, ZONE, first_day, last_day

CLICKS_A_SALE = 8


class TrafficSource(NamedTuple):
    """A channel that the client pays for clicks, as RedTrack knows it. `cpc` is dollars a click."""

    id: str
    title: str
    alias: str
    cpc: str


class Affiliate(NamedTuple):
    """Who brings sales, as Everflow knows it; one with `sources` is the agency's own."""

    id: int
    label: str
    payout: str
    sources: tuple[TrafficSource, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One client's affiliates and channels. `unmapped` sources cost money and belong to no
    affiliate.
    """

    client_id: str
    advertiser_id: int
    advertiser_label: str
    offer_id: int
    offer_name: str
    revenue: str
    affiliates: tuple[Affiliate, ...]
    unmapped: tuple[TrafficSource, ...]


class Click(NamedTuple):
    """One click. `id` is Everflow's transaction, `tracked_as` RedTrack's click id; `at` is UTC."""

    id: str
    tracked_as: str
    affiliate: Affiliate
    source: TrafficSource | None
    at: datetime


class Sale(NamedTuple):
    """One conversion of a click; `at` is UTC, money in dollars."""

    order_id: str
    conversion_id: str
    click: Click
    at: datetime
    payout: Decimal
    revenue: Decimal
    amount: Decimal


def _source(number: int, title: str, alias: str, cpc: str) -> TrafficSource:
    return TrafficSource(f"65aa{number:020x}", title, alias, cpc)


_SOURCES = [
    _source(1, "Test Meta A ", "facebook", "3.87"),
    _source(2, "Test Meta B", "facebook", "4.12"),
    _source(3, "Test Google (No-redirect tracking)", "google", "5.03"),
    _source(4, "Test TikTok", "tiktok", "1.95"),
    _source(5, "Test Newsletter", "email", "0.40"),
    _source(11, "Lessons Meta", "facebook", "2.10"),
    _source(12, "Lessons Native", "taboola", "0.85"),
]

MARKETS: dict[str, Market] = {
    "713": Market(
        client_id="713",
        advertiser_id=1,
        advertiser_label="Harbor CCW",
        offer_id=15,
        offer_name="Home Safety Course",
        revenue="100",
        affiliates=(
            Affiliate(7, "Northwind Media ", "75"),
            Affiliate(12, "Blue Harbor LLC", "72.5"),
            Affiliate(23, "Lakeside Leads", "70"),
            Affiliate(41, "G2 - Meta", "0", (_SOURCES[0], _SOURCES[1])),
            Affiliate(52, "G2 - Google ", "0", (_SOURCES[2],)),
            Affiliate(68, "Summit Partners", "80.25"),
        ),
        unmapped=(_SOURCES[3], _SOURCES[4]),
    ),
    "cti": Market(
        client_id="cti",
        advertiser_id=3,
        advertiser_label="Clay Target Instruction",
        offer_id=21,
        offer_name="Clay Target Basics",
        revenue="49",
        affiliates=(
            Affiliate(7, "Northwind Media ", "20"),
            Affiliate(12, "Blue Harbor LLC", "22"),
            Affiliate(23, "Lakeside Leads", "21.75"),
            Affiliate(41, "G2 - Meta", "0", (_SOURCES[5],)),
            Affiliate(52, "Ridge Outdoor", "18"),
            Affiliate(68, "Summit Partners", "19.5"),
        ),
        unmapped=(_SOURCES[6],),
    ),
}


def span() -> Mapping[str, str]:
    """The settings that keep a source within the days that the sandbox has data of."""
    return {"start_date": first_day().isoformat(), "end_date": last_day().isoformat()}


def days() -> Iterator[date]:
    """The days that the sandbox has data of."""
    for number in range(DAYS):
        yield first_day() + timedelta(days=number)


@functools.cache
def sales_of(client_id: str) -> Sequence[Sale]:
    """Every sale of a client, in the order of its exports."""
    market = MARKETS[client_id]
    by_id = {str(affiliate.id): affiliate for affiliate in market.affiliates}
    found: list[Sale] = []
    for order in orders_made(client_id):
        if order["order_status"] == "NEW" and order["Click ID"] and order["is_test_cc"] != "YES":
            at = datetime.strptime(
                f"{order['order_date']} {order['order_time']}", US_MOMENT
            ).replace(tzinfo=ZONE)
            affiliate, rng = by_id[order["affid"]], random.Random(order["Click ID"])
            source = rng.choice(affiliate.sources) if affiliate.sources else None
            clicked = at - timedelta(seconds=60 + rng.randrange(3_600))
            click = Click(
                order["Click ID"], order["c1"], affiliate, source, clicked.astimezone(UTC)
            )
            found.append(
                Sale(
                    order_id=order["orders_id"],
                    conversion_id=f"{rng.getrandbits(128):032x}",
                    click=click,
                    at=at.astimezone(UTC),
                    payout=Decimal(affiliate.payout),
                    revenue=Decimal(market.revenue),
                    amount=Decimal(order["total_amount"]),
                )
            )
    return found


@functools.cache
def clicks_of(client_id: str) -> Sequence[Click]:
    """Every click of a client, newest first: those before its sales, and several times as many
    without one.
    """
    found: list[Click] = []
    for sale in sales_of(client_id):
        rng = random.Random(sale.conversion_id)
        found.append(sale.click)
        for _ in range(CLICKS_A_SALE - 1):
            at = sale.click.at - timedelta(seconds=rng.randrange(7_200))
            affiliate = sale.click.affiliate
            source = rng.choice(affiliate.sources) if affiliate.sources else None
            found.append(
                Click(
                    f"{rng.getrandbits(128):032x}",
                    f"{rng.getrandbits(96):024x}",
                    affiliate,
                    source,
                    at,
                )
            )
    return sorted(found, key=lambda click: click.at, reverse=True)


def local_day(moment: datetime) -> date:
    """The day of an instant where the sandbox's clients are."""
    return moment.astimezone(ZONE).date()
