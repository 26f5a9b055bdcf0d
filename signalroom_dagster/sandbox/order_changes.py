"""What happens to an order after it was made: the reason why it comes again in a later export of
updates.
"""

import random
from collections.abc import Callable
from datetime import date
from typing import NamedTuple, TypeAlias

from signalroom_dagster.sandbox.order_columns import Columns
from signalroom_dagster.sandbox.orders import US_DATE, approval, below

Change: TypeAlias = Callable[[Columns, str, random.Random], Columns]

AGENT = "agent1"


class Likely(NamedTuple):
    """A change, and how many of a hundred updates of orders in one status are of it."""

    share: int
    change: Change


def change_order(order: Columns, day: date, rng: random.Random) -> Columns:
    """The order as it stands after something happened to it on that day."""
    likely = CHANGES[order["order_status"]]
    chosen = rng.choices(likely, [entry.share for entry in likely])[0]
    return {**order, **chosen.change(order, day.strftime(US_DATE), rng)}


def _shipped(order: Columns, today: str, rng: random.Random) -> Columns:
    return {
        "shipping_method": "Ground",
        "shipped_date": today,
        "tracking_num": f"TEST{below(10**10, rng):010d}",
    }


def _refunded(order: Columns, today: str, rng: random.Random) -> Columns:
    return {
        "order_status": "VOID/REFUNDED",
        "refund_flag": "YES",
        "refund_amount": order["total_amount"],
        "refund_date": today,
        "refund_user": AGENT,
    } | _stopped(order, today, rng)


def _voided(order: Columns, today: str, rng: random.Random) -> Columns:
    return {
        "order_status": "VOID/REFUNDED",
        "void_flag": "YES",
        "void_amount": order["total_amount"],
        "void_date": today,
        "void_user": AGENT,
    } | _stopped(order, today, rng)


def _charged_back(order: Columns, today: str, rng: random.Random) -> Columns:
    return {
        "chargeback_flag": "YES",
        "chargeback_date": today,
        "chargeback_user": AGENT,
        "blacklisted_flag": "YES",
    }


def _returned(order: Columns, today: str, rng: random.Random) -> Columns:
    return {
        "rma_flag": "YES",
        "rma_number": f"RMA-{below(10**5, rng):05d}",
        "rma_reason": "Changed mind",
        "rma_date": today,
        "rma_user": AGENT,
        "return_flag": "YES",
    }


def _stopped(order: Columns, today: str, rng: random.Random) -> Columns:
    return {
        "is_recurring": "NO",
        "recurring_date": "N/A",
        "hold_date": today,
        "cancelled_flag": "Yes",
    }


def _noted(order: Columns, today: str, rng: random.Random) -> Columns:
    return {"notes": f'Called on {today}, says "not mine"\nSent the receipt again'}


def _retried(order: Columns, today: str, rng: random.Random) -> Columns:
    return {"retry_date": today, "retry_attempt": str(1 + below(3, rng)), "Retries Left": "0"}


def _blocked(order: Columns, today: str, rng: random.Random) -> Columns:
    return {"fraud_flag": "YES", "fraud_date": today, "blacklisted_flag": "YES"}


def _recovered(order: Columns, today: str, rng: random.Random) -> Columns:
    return _retried(order, today, rng) | {
        "order_status": "NEW",
        "decline_reason": "",
        **approval(rng),
    }


CHANGES: dict[str, tuple[Likely, ...]] = {
    "NEW": (
        Likely(40, _shipped),
        Likely(20, _stopped),
        Likely(18, _refunded),
        Likely(8, _voided),
        Likely(6, _charged_back),
        Likely(4, _returned),
        Likely(4, _noted),
    ),
    "DECLINED": (Likely(85, _retried), Likely(10, _recovered), Likely(5, _blocked)),
    "VOID/REFUNDED": (Likely(70, _noted), Likely(30, _charged_back)),
}
