"""Sticky.io's daily exports of the sandbox's clients: but for their dates the same at every start.

One week of orders made and orders changed, as a bucket holds them; `oddities` says which files are
out of the ordinary. `prospects-create` is a prefix of every bucket and holds nothing.
"""

import random
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from datetime import date, timedelta

from signalroom_dagster.sandbox.oddities import LINE_END, ORDINARY, PLANNED, Oddity
from signalroom_dagster.sandbox.order_changes import change_order
from signalroom_dagster.sandbox.order_columns import Columns, header
from signalroom_dagster.sandbox.orders import EXPORTED_AT, orders_of
from signalroom_dagster.sandbox.shops import DAYS, SHOPS, Shop, as_invented, first_day

CREATED = "orders-create"
UPDATED = "orders-update"
PREFIXES = (CREATED, UPDATED, "prospects-create")
DAYS_OF_CHANGES = 3

_SPECIAL = re.compile(r'[",\r\n]')


def exports_of(client_id: str) -> Iterator[tuple[str, bytes]]:
    """The key and the content of every object in one client's bucket. Raises KeyError for a client
    without a shop.
    """
    shop = SHOPS[client_id]
    recent: deque[list[Columns]] = deque(maxlen=DAYS_OF_CHANGES)
    for number in range(1 - DAYS_OF_CHANGES, DAYS + 1):
        day = first_day() + timedelta(days=number - 1)
        if number > 0:
            yield _stored(shop, UPDATED, day, _update(recent, day, shop))
        created = list(orders_of(shop, day, _row_count(shop, CREATED, day)))
        recent.append(created)
        if number > 0:
            yield _stored(shop, CREATED, day, created)


def orders_made(client_id: str) -> Iterator[Columns]:
    """Every order that a client's exports tell of, as it was when it was made."""
    shop = SHOPS[client_id]
    for number in range(DAYS):
        day = first_day() + timedelta(days=number)
        yield from orders_of(shop, day, _row_count(shop, CREATED, day))


def export_file(client_id: str, day: date, rows: int) -> bytes:
    """One ordinary file of orders made, with so many rows; no two days share an order id."""
    return ORDINARY.encode(_records(orders_of(SHOPS[client_id], day, rows)))


def _stored(shop: Shop, prefix: str, day: date, orders: Iterable[Columns]) -> tuple[str, bytes]:
    number = (day - first_day()).days + 1
    oddity = PLANNED.get((shop.client_id, prefix, number), ORDINARY)
    return _key(shop, prefix, day, oddity), oddity.encode(_records(orders))


def _key(shop: Shop, prefix: str, day: date, oddity: Oddity) -> str:
    suffix = f"{_rng(shop, prefix, day).getrandbits(24):06x}"
    ending = "csv.gz" if oddity.zipped else "csv"
    return f"{prefix}/report_{day}T{EXPORTED_AT:%H%M}_{suffix}.{ending}"


def _update(recent: Iterable[list[Columns]], day: date, shop: Shop) -> list[Columns]:
    """Change some orders of each recent day, in place, and return them, newest first."""
    rng = _rng(shop, UPDATED, day)
    share = _row_count(shop, UPDATED, day) // DAYS_OF_CHANGES
    changed: list[Columns] = []
    for orders in recent:
        for at in rng.sample(range(len(orders)), share):
            orders[at] = change_order(orders[at], day, rng)
            changed.append(orders[at])
    return sorted(changed, key=lambda order: int(order["orders_id"]), reverse=True)


def _row_count(shop: Shop, prefix: str, day: date) -> int:
    spread = shop.orders_a_day // 30
    seed = f"{shop.client_id} {prefix} {as_invented(day)} rows"
    return shop.orders_a_day + random.Random(seed).randint(-spread, spread)


def _rng(shop: Shop, prefix: str, day: date) -> random.Random:
    return random.Random(f"{shop.client_id} {prefix} {as_invented(day)}")


def _records(orders: Iterable[Columns]) -> Iterator[str]:
    """The header and the orders as CSV records, each with its line end."""
    yield _record(header())
    for order in orders:
        yield _record(order.values())


def _record(cells: Collection[str]) -> str:
    line = ",".join(cells)
    if '"' in line or "\n" in line or line.count(",") >= len(cells):
        line = ",".join([cell if cell.isalnum() else _quoted(cell) for cell in cells])
    return line + LINE_END


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _SPECIAL.search(cell) else cell
