"""When two sums of money are the same: to a cent, and to what rounding each row may cost."""

from decimal import Decimal

from signalroom_dagster.sources.tables import Figure

CENT = Decimal("0.01")
HALF = Decimal("0.5")


def is_another_sum(total: Figure, read: Figure, rows: int) -> bool:
    """Whether two sums of so many rows differ by more than a cent and what rounding each row may
    cost.
    """
    return abs(total - read) >= CENT + _rounding(read, rows)


def _rounding(read: Figure, rows: int) -> Decimal:
    """What a sum may differ by because each row is rounded: half of its last place. Whole numbers
    are exact.
    """
    exponent = read.as_tuple().exponent if isinstance(read, Decimal) else 0
    if not isinstance(exponent, int) or not exponent:
        return Decimal(0)
    return HALF.scaleb(min(exponent, -2)) * rows
