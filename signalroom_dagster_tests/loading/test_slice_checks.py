"""What the checks after a load say of days that were cut, doubled or lost on the way."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from signalroom_dagster.loading import pipelines, slice_checks
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.finding import Finding
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project

MON, TUE = date(2026, 3, 2), date(2026, 3, 3)
AFTER = datetime(2026, 3, 4, 5, 30, tzinfo=UTC)  # 00:30 in New York on the 4th
Check = Callable[[Any, str, str, str, str], Finding]


@pytest.fixture(autouse=True)
def account(any_warehouse: Project) -> Iterator[Project]:
    any_warehouse.add_api_client("713", "everflow")
    pipelines.create_tables("everflow")
    yield any_warehouse


def held(day: date, payout: str, affiliate: int = 41, client: str = "713") -> None:
    """One affiliate's day in the warehouse."""
    ask(
        "INSERT INTO everflow.daily_stats (_client_id, _loaded_at, date, affiliate_id,"
        " advertiser_id, payout) VALUES (%s, %s, %s, %s, 1, %s) RETURNING 1",
        client,
        AFTER,
        day,
        affiliate,
        Decimal(payout),
    )


def told(day: date, total: str | None, read_at: datetime = AFTER, rows: int = 1) -> None:
    """What the run read of a day, and what the vendor itself says of it."""
    ask(
        "INSERT INTO everflow.windows (_client_id, resource, day, rows, vendor_total, loaded_at,"
        " run_id) VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING 1",
        "713",
        "daily_stats",
        day,
        rows,
        total and Decimal(total),
        read_at,
        "run",
    )


def found(check: Check) -> Finding:
    with access.exclusive(), access.connected() as query:
        return check(query, "everflow", "daily_stats", "713", "run")


def test_a_day_that_lost_a_cent_is_told_with_both_numbers() -> None:
    for day in (MON, TUE):
        held(day, "10")
        held(day, "5.25", affiliate=52)
        held(day, "99", client="cti")
    told(MON, "15.25")
    told(TUE, "15.26")
    finding = found(slice_checks.reconciled)
    assert not finding.passed
    assert finding.said == "2026-03-03: the vendor says 15.2600, we have 15.2500"
    assert (finding.figures["vendor"], finding.figures["difference"]) == ("30.5100", "-0.0100")


def test_a_day_without_any_row_here_is_off_and_one_without_a_total_is_not_compared() -> None:
    told(MON, "15.25", rows=0)
    told(TUE, None)
    finding = found(slice_checks.reconciled)
    assert (finding.passed, finding.said) == (
        False,
        "2026-03-02: the vendor says 15.2500, we have 0",
    )


@pytest.mark.parametrize(
    ("zone", "is_over"), [("America/New_York", True), ("America/Los_Angeles", False)]
)
def test_a_day_that_still_went_on_where_it_is_counted_may_differ(
    account: Project, zone: str, is_over: bool
) -> None:
    account.configure("713", "everflow", timezone=zone)
    held(TUE, "10")
    told(TUE, "11")
    finding = found(slice_checks.reconciled)
    assert finding.passed != is_over
    assert "the vendor says 11" in finding.said


def test_a_round_number_of_rows_is_suspicious() -> None:
    told(MON, "1", rows=10_000)
    told(TUE, "1", rows=10_001)
    finding = found(slice_checks.not_capped)
    assert (finding.passed, finding.said) == (False, "2026-03-02: exactly 10,000 rows")
