"""Invented orders in Sticky.io's words: what the rows of one export say, every column in the
export's order.

How orders become a file belongs in `exports`, what happens to them later in `order_changes`.
"""

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from signalroom_dagster.sandbox.order_columns import Columns, customer_orders, purchases
from signalroom_dagster.sandbox.shops import AFFILIATES, IDS_A_DAY, Shop, as_invented

EXPORTED_AT = time(18, 49)
US_DATE = "%m/%d/%Y"
US_MOMENT = f"{US_DATE} %I:%M %p"
BILLING_DAYS = 30


class Kind(NamedTuple):
    """A kind of order attempt; `share` is how many of a hundred are of it."""

    share: int
    paid: bool
    rebill: bool
    test: bool = False


KINDS = (
    Kind(share=51, paid=False, rebill=False),
    Kind(share=25, paid=False, rebill=True),
    Kind(share=12, paid=True, rebill=False),
    Kind(share=7, paid=True, rebill=True),
    Kind(share=5, paid=True, rebill=True, test=True),
)

DECLINES = (
    "Insufficient funds REFID:{}",
    "Do Not Honor REFID:{}",
    "Pick up card - call the issuer REFID:{}",
    "Activity limit exceeded REFID:{}",
    "Issuer Declined MCC REFID:{}",
)


def orders_of(shop: Shop, day: date, count: int) -> Iterator[Columns]:
    """The orders of one export, newest first; the same for the same arguments.

    The window ends when the export was made, so it begins on the evening before. Raises ValueError
    for more rows than a day has ids.
    """
    if count > IDS_A_DAY:
        raise ValueError(f"one day of a shop has {IDS_A_DAY} order ids, {count} were asked for")
    rng = random.Random(f"{shop.client_id} orders {as_invented(day)}")
    buyers = rng.choices(customer_orders(shop.client_id), k=count)
    bought = rng.choices(purchases(shop), k=count)
    kinds = rng.choices(KINDS, [kind.share for kind in KINDS], k=count)
    newest, end = shop.first_id(day) + count - 1, datetime.combine(day, EXPORTED_AT)
    for at in range(count):
        order = {**buyers[at], **bought[at], "orders_id": str(newest - at)}
        _attempt(order, kinds[at], end - timedelta(days=at / count), rng)
        yield order


def _attempt(order: Columns, kind: Kind, moment: datetime, rng: random.Random) -> None:
    order["order_date"], order["order_time"] = moment.strftime(US_MOMENT).split(" ", 1)
    depth = 0
    if kind.rebill:
        depth = 11 + below(4, rng) if kind.test else 1 + below(6, rng)
        _rebill(order, depth, rng)
    else:
        _first_order(order, rng)
    if kind.paid:
        _payment(order, moment, rng)
    else:
        _decline(order, kind, rng)
    if kind.paid or kind.rebill:
        _customer(order, moment - timedelta(days=BILLING_DAYS * depth), rng)
    if kind.test:
        order["is_test_cc"] = "YES"
        order["transaction_id"] = order["auth_id"] = "Not Available"


def _first_order(order: Columns, rng: random.Random) -> None:
    order["created_by"] = "Checkout API"
    order["affid"] = AFFILIATES[below(len(AFFILIATES), rng)]
    order["c1"] = f"{rng.getrandbits(96):024x}"
    order["Click ID"] = f"{rng.getrandbits(128):032x}"


def _rebill(order: Columns, depth: int, rng: random.Random) -> None:
    parent = int(order["orders_id"]) - 1_000 - below(600_000, rng)
    order["rebill_depth"] = str(depth)
    order["parent_order_id"] = str(parent)
    order["ancestor_id"] = str(parent if depth == 1 else parent - 1_000 - below(90_000, rng))


def _customer(order: Columns, since: datetime, rng: random.Random) -> None:
    order["customers_id"] = str(400_000 + below(100_000, rng))
    order["customer_creation_date"] = since.date().isoformat()
    order["acquisition_date"] = since.strftime(US_MOMENT)


def _payment(order: Columns, moment: datetime, rng: random.Random) -> None:
    order["order_status"] = "NEW"
    order["fulfillment_number"] = "1"
    order.update(approval(rng))
    if order["recurring_prod_id"]:
        order["is_recurring"] = "YES"
        order["recurring_date"] = (moment + timedelta(days=BILLING_DAYS)).strftime(US_DATE)


def _decline(order: Columns, kind: Kind, rng: random.Random) -> None:
    reason = DECLINES[below(len(DECLINES), rng)]
    order["order_status"] = "DECLINED"
    order["decline_reason"] = reason.format(below(10**9, rng))
    order["Retries Left"] = str(below(4, rng))
    if kind.rebill and rng.random() < 0.6:
        order["cascade_flag"] = "YES"
        order["orig_gateway"] = str(20 + below(10, rng))
        order["cascade_reason"] = reason.format(below(10**9, rng))


def approval(rng: random.Random) -> Columns:
    """A processor's yes to a charge."""
    return {
        "transaction_id": str(10**10 + below(9 * 10**10, rng)),
        "auth_id": f"{below(10**6, rng):06d}",
    }


def below(limit: int, rng: random.Random) -> int:
    """A whole number from 0 up to `limit`, without it: several times faster than `randrange`."""
    return int(rng.random() * limit)
