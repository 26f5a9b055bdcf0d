"""Everflow runs alone: with dlt and a stock destination, twice without doubling, and gives what a
load gives.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.everflow import TABLES, everflow
from signalroom_dagster_tests.loads import load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.alone import (
    expect_the_rows_of_the_load,
    rows_alone,
    run_alone,
)
from signalroom_dagster_tests.sources.everflow.networks import DAY, NEXT, click, figures, noon, sale


@pytest.mark.slow_on("postgres")
def test_everflow_alone_loads_twice_what_a_load_loads(
    any_warehouse: Project,
    vendor: VendorServer,
    network: EverflowNetwork,
    add: Callable[..., None],
    tmp_path: Path,
) -> None:
    network.stats |= {(DAY, 41, 1): figures(total_click=150, payout=1875.25, revenue=2500.00005)}
    network.stats |= {(NEXT, 52, 2): figures(total_click=21)}
    network.conversions += [sale("one"), sale("two", noon(NEXT), sale_amount=19.99)]
    network.clicks += [click("a"), click("b", noon(NEXT))]
    add()
    load("everflow", "713")
    for _ in range(2):
        source = everflow(
            api_key="key-713",
            since=DAY,
            until=NEXT.isoformat(),
            timezone="America/New_York",
            base_url=f"{vendor.url}/everflow",
        )
        run_alone(tmp_path, source)
    expect_the_rows_of_the_load(tmp_path, "everflow", TABLES)


def test_a_day_that_everflow_takes_rows_from_is_replaced_also_alone(
    vendor: VendorServer, network: EverflowNetwork, tmp_path: Path
) -> None:
    network.stats |= {(DAY, 41, 1): figures(total_click=150), (DAY, 52, 2): figures(total_click=21)}
    address = f"{vendor.url}/everflow"
    run_alone(tmp_path, everflow(api_key="key-713", since=DAY, until=DAY, base_url=address))
    del network.stats[DAY, 52, 2]
    run_alone(tmp_path, everflow(api_key="key-713", since=DAY, until=DAY, base_url=address))
    assert rows_alone(tmp_path, "everflow", "daily_stats", ["affiliate_id", "clicks"]) == [
        (41, 150)
    ]
