"""Everflow into the warehouse, with its traps: what is loaded is what the vendor has, whatever it leaves unsaid."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from signalroom_dagster.sandbox import everflow
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork, conversion_row
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project

DAY = date(2026, 3, 2)
NEXT = date(2026, 3, 3)


def figures(**values: Any) -> dict[str, Any]:
    return {**dict.fromkeys(everflow.FIGURES, 0), **values}


@pytest.fixture
def network() -> EverflowNetwork:
    return EverflowNetwork(
        key="key-713",
        affiliates={41: "Northwind Media ", 52: "Blue Harbor LLC"},
        advertisers={1: "ACME", 2: "BETA"},
        offers={7: "ACME Main"},
        stats={
            (DAY, 41, 1): figures(total_click=150, cv=25, payout=1875.25, revenue=2500, profit=624.75),
            (DAY, 52, 2): figures(total_click=21),
            (NEXT, 41, 1): figures(total_click=9, cv=1, payout=75, revenue=100, profit=25),
        },
    )


@pytest.fixture
def vendor(any_warehouse: Project, network: EverflowNetwork) -> Iterator[VendorServer]:
    with serve(everflow.routes([network])) as server:
        any_warehouse.add_api_client(
            "713",
            "everflow",
            api_key="key-713",
            base_url=f"{server.url}/everflow",
            start_date=DAY.isoformat(),
            end_date=NEXT.isoformat(),
            conversions_kept_days="10000",
            clicks_kept_days="10000",
        )
        yield server


def test_daily_stats_are_what_the_report_says(vendor: VendorServer) -> None:
    load("everflow", "713", "daily_stats")
    assert ask(
        "SELECT date, affiliate_id, affiliate_label, advertiser_id, advertiser_label, clicks, conversions, revenue, "
        "payout, profit, _client_id FROM everflow.daily_stats ORDER BY 1, 2"
    ) == [
        (DAY, 41, "Northwind Media ", 1, "ACME", 150, 25, 2500, Decimal("1875.25"), Decimal("624.75"), "713"),
        (DAY, 52, "Blue Harbor LLC", 2, "BETA", 21, 0, 0, 0, 0, "713"),
        (NEXT, 41, "Northwind Media ", 1, "ACME", 9, 1, 100, 75, 25, "713"),
    ]


def test_a_changed_a_vanished_and_a_late_row_are_the_vendors_after_a_second_read(
    vendor: VendorServer, network: EverflowNetwork
) -> None:
    load("everflow", "713", "daily_stats")
    network.stats[DAY, 41, 1] |= {"cv": 23, "payout": 1725.25}
    del network.stats[DAY, 52, 2]
    network.stats[NEXT, 52, 1] = figures(total_click=3)
    run = load("everflow", "713", "daily_stats")
    assert ask("SELECT date, affiliate_id, conversions, payout FROM everflow.daily_stats ORDER BY 1, 2") == [
        (DAY, 41, 23, Decimal("1725.25")),
        (NEXT, 41, 1, 75),
        (NEXT, 52, 0, 0),
    ]
    noted = ask("SELECT day, key, before IS NULL, after IS NULL, run_id FROM everflow.restatements ORDER BY 1, 2")
    assert noted == [
        (DAY, "affiliate_id=41, advertiser_id=1", False, False, run),
        (DAY, "affiliate_id=52, advertiser_id=2", False, True, run),
        (NEXT, "affiliate_id=52, advertiser_id=1", True, False, run),
    ]


def test_a_conversion_that_slips_between_pages_is_read_again_until_the_count_fits(
    vendor: VendorServer, network: EverflowNetwork
) -> None:
    at = datetime(2026, 3, 2, 15, tzinfo=UTC)
    network.conversions += [conversion_row(f"c{number:05}", at, 41, "Northwind", 1, "ACME") for number in range(2_100)]
    network.unstable = 1
    load("everflow", "713", "conversions")
    assert ask("SELECT count(*), count(DISTINCT conversion_id) FROM everflow.conversions") == [(2_100, 2_100)]
    sizes = {request.query["page_size"] for request in vendor.asked("/reporting/conversions")}
    assert sizes == {"2000", "997"}
