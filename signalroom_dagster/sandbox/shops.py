"""What the sandbox's clients sell, through whom, how much of it and when. Every name and figure is
invented.

The sandbox has data of one week, which ends yesterday; but for its dates, the week is the same at
every start.
"""

import os
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
DAYS = 7
FIRST_DAY = "SANDBOX_FIRST_DAY"
"""The variable that holds on to a week once it has been loaded: YYYY-MM-DD."""
_AS_INVENTED = date(2026, 3, 1)
IDS_A_DAY = 20_000
"""Order ids that one day of a shop may take, and so the most rows that one export may have."""

AFFILIATES = ("7", "12", "23", "41", "52", "68")


class Product(NamedTuple):
    """One product; `rebills_as` is the next product of its subscription, or empty. Prices in
    dollars.
    """

    id: str
    name: str
    sku: str
    description: str
    price: str
    shipping: str
    offer_id: str
    rebills_as: str


class Gateway(NamedTuple):
    """One card processor's account."""

    id: str
    alias: str
    processing_percent: str
    reserve_percent: str
    transaction_fee: str
    chargeback_fee: str
    descriptor: str
    service_number: str
    processor_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """One client's shop. `orders_a_day` is the usual size of an export; single days differ by a
    thirtieth.
    """

    client_id: str
    first_order_id: int
    orders_a_day: int
    category: str
    campaigns: tuple[str, ...]
    products: tuple[Product, ...]
    gateways: tuple[Gateway, ...]

    def first_id(self, day: date) -> int:
        """The lowest order id of a day; days before the first one have theirs too."""
        return self.first_order_id + (day - first_day()).days * IDS_A_DAY


def first_day() -> date:
    """The first day of the sandbox's week, in its clients' zone: by default so that the last one is
    yesterday.
    """
    if chosen := os.environ.get(FIRST_DAY):
        return date.fromisoformat(chosen)
    return datetime.now(ZONE).date() - timedelta(days=DAYS)


def last_day() -> date:
    """The last day of the sandbox's week."""
    return first_day() + timedelta(days=DAYS - 1)


def as_invented(day: date) -> date:
    """The day that stands for this one in every seed, so that a day of the week has the same data
    in any year.
    """
    return _AS_INVENTED + (day - first_day())


_GATEWAYS = (
    Gateway(
        "31",
        "Harbor Merchant 31 (US) - Primary",
        "3.50",
        "10.00",
        "0.25",
        "25.00",
        "ONLINECOURSE 2025550100",
        "202-555-0100",
        "4",
    ),
    Gateway(
        "32",
        "Harbor Merchant 32 (US) - Overflow",
        "3.75",
        "10.00",
        "0.30",
        "25.00",
        "ONLINECOURSE 2025550101",
        "2025550101",
        "4",
    ),
    Gateway(
        "47",
        "Stonebridge Payments 47 (US)",
        "4.10",
        "5.00",
        "0.20",
        "35.00",
        "LEARNRANGE 2025550102",
        "202-555-0102",
        "9",
    ),
)

_COURSES = (
    Product(
        "1201",
        "Home Safety Course",
        "HSC-1",
        "Online home safety course with certificate of completion",
        "35",
        "0",
        "15",
        "1202",
    ),
    Product(
        "1202",
        "Home Safety Membership",
        "HSC-M",
        "Monthly membership of the home safety course library",
        "95",
        "0",
        "15",
        "1202",
    ),
    Product(
        "1203",
        "Printed Field Guide",
        "FG-2",
        "Spiral-bound field guide of 120 pages with range diagrams",
        "29",
        "6.95",
        "16",
        "",
    ),
)

_LESSONS = (
    Product(
        "2301",
        "Clay Target Basics",
        "CTB-1",
        "Six video lessons on stance and follow-through",
        "49",
        "0",
        "21",
        "2302",
    ),
    Product(
        "2302",
        "Clay Target Club",
        "CTB-M",
        "Monthly lessons and a score log",
        "19.50",
        "0",
        "21",
        "2302",
    ),
)

SHOPS: dict[str, Shop] = {
    "713": Shop(
        client_id="713",
        first_order_id=5_000_001,
        orders_a_day=1_500,
        category="CCW",
        campaigns=("301", "302", "318"),
        products=_COURSES,
        gateways=_GATEWAYS,
    ),
    "cti": Shop(
        client_id="cti",
        first_order_id=9_000_001,
        orders_a_day=400,
        category="CTI",
        campaigns=("410", "411"),
        products=_LESSONS,
        gateways=_GATEWAYS[2:],
    ),
}
