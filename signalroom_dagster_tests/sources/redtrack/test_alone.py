"""RedTrack runs alone: with dlt and a stock destination, twice without doubling, and gives what a
load gives.
"""

from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.sandbox.redtrack_data import RedTrackAccount, campaign_row, offer_row
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.redtrack import TABLES, redtrack
from signalroom_dagster_tests.loads import load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.alone import (
    expect_the_rows_of_the_load,
    rows_alone,
    run_alone,
)
from signalroom_dagster_tests.sources.redtrack.accounts import DAY, KEYS, META, NEXT


def asked(vendor: VendorServer) -> dict[str, Any]:
    """The account and the days, as plain arguments."""
    zone = "America/New_York"
    return {
        "api_key": KEYS["713"],
        "since": DAY,
        "until": NEXT.isoformat(),
        "timezone": zone,
        "account_timezone": zone,
        "base_url": f"{vendor.url}/redtrack",
        "reports_per_minute": 60_000,
        "requests_per_minute": 60_000,
    }


@pytest.mark.slow_on("postgres")
def test_redtrack_alone_loads_twice_what_a_load_loads(
    any_warehouse: Project, vendor: VendorServer, account: RedTrackAccount, tmp_path: Path
) -> None:
    account.campaigns.append(
        campaign_row("k1", "C1", META, status="2", cpc=0.1234, tags=["us", "ccw"])
    )
    account.offers.append(offer_row("o1", "ACME Main", "oid=7&affid=41&sub1={clickid}"))
    load("redtrack", "713")
    for _ in range(2):
        run_alone(tmp_path, redtrack(**asked(vendor)))
    expect_the_rows_of_the_load(tmp_path, "redtrack", TABLES)


def test_what_vanishes_at_redtrack_vanishes_also_alone(
    vendor: VendorServer, account: RedTrackAccount, tmp_path: Path
) -> None:
    run_alone(tmp_path, redtrack(**asked(vendor)))
    del account.traffic[1:3], account.conversions[1], account.sources[1]
    run_alone(tmp_path, redtrack(**asked(vendor)))
    assert rows_alone(tmp_path, "redtrack", "daily_spend", ["date", "source_id"]) == [
        (DAY, META),
        (NEXT, META),
    ]
    assert rows_alone(tmp_path, "redtrack", "conversions", ["id"]) == [("c1",), ("c3",)]
    assert rows_alone(tmp_path, "redtrack", "sources", ["id"]) == [(META,)]
