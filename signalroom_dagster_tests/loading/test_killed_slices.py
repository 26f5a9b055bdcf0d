"""kill -9 and races in loads of an API: afterwards the warehouse holds what the vendor has, every
row once.
"""

from collections.abc import Iterator

import pytest

from signalroom_dagster.sandbox import everflow
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import serve
from signalroom_dagster_tests.loading.processes import finish, start_load
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.contexts import march
from signalroom_dagster_tests.sources.everflow.networks import (
    click,
    figures,
    fresh_network,
    noon,
    sale,
)

DAYS = march(range(2, 6))
EACH = 40
COUNTED = (
    "SELECT date, count(*), count(DISTINCT conversion_id), min(payout), max(payout) FROM"
    " everflow.conversions WHERE _client_id = %s GROUP BY 1 ORDER BY 1"
)


def fill(network: EverflowNetwork, payout: int) -> None:
    """As many sales and clicks on every day, all of one price: a mixture of two readings would
    show.
    """
    network.conversions = [
        sale(f"{day}-{number}-{payout if number > EACH // 2 else ''}", noon(day), payout=payout)
        for day in DAYS
        for number in range(EACH)
    ]
    network.clicks = [
        click(f"{day}-{number}", noon(day), payout=payout) for day in DAYS for number in range(EACH)
    ]
    network.stats = {(day, 41, 1): figures(payout=payout * EACH) for day in DAYS}
    network.affiliates = network.advertisers = network.offers = {1: f"of {payout}"}


@pytest.fixture
def networks(any_warehouse: Project) -> Iterator[dict[str, EverflowNetwork]]:
    """The networks of two clients that use Everflow."""
    networks = {client_id: fresh_network(f"key-{client_id}") for client_id in ("713", "cti")}
    with serve(everflow.routes(networks.values())) as server:
        for client_id, network in networks.items():
            fill(network, payout=1)
            any_warehouse.add_api_client(
                client_id,
                "everflow",
                api_key=network.key,
                base_url=f"{server.url}/everflow",
                requests_per_minute="1000000",
                start_date=DAYS[0].isoformat(),
                end_date=DAYS[-1].isoformat(),
                lookback_days="30",
                conversions_kept_days="10000",
                clicks_kept_days="10000",
            )
        yield networks


def is_the_vendors(client_id: str, payout: int) -> None:
    assert ask(COUNTED, client_id) == [(day, EACH, EACH, payout, payout) for day in DAYS]
    for table, count in (("clicks", len(DAYS) * EACH), ("daily_stats", len(DAYS))):
        rows = (
            f"SELECT count(*), min(payout), max(payout) FROM everflow.{table} WHERE _client_id = %s"
        )
        price = payout if table == "clicks" else payout * EACH
        assert ask(rows, client_id) == [(count, price, price)]
    assert ask("SELECT name FROM everflow.affiliates WHERE _client_id = %s", client_id) == [
        (f"of {payout}",)
    ]


@pytest.mark.slow_on("duckdb")
@pytest.mark.parametrize(
    "stage", ["mid-copy", pytest.param("after commit", marks=pytest.mark.slow)]
)
def test_after_a_kill_no_day_is_mixed_and_the_next_run_has_the_vendors_state(
    any_warehouse: Project, networks: dict[str, EverflowNetwork], stage: str
) -> None:
    load("everflow", "713")
    fill(networks["713"], payout=2)
    assert finish(start_load(any_warehouse.environment, "713", "killed", stage, "everflow")) == -9
    committed = ask("SELECT resource, day FROM everflow.windows WHERE run_id = 'killed'")
    assert committed
    for table in ("conversions", "clicks", "daily_stats"):
        rows = 1 if table == "daily_stats" else EACH
        found = (
            f"SELECT date, count(*), min(payout), max(payout) FROM everflow.{table} GROUP BY 1"
            " ORDER BY 1"
        )
        prices = [(2 if (table, day) in committed else 1) * EACH // rows for day in DAYS]
        assert ask(found) == [
            (day, rows, price, price) for day, price in zip(DAYS, prices, strict=True)
        ]
    lists = {table for table, _ in committed}
    for table in ("affiliates", "advertisers", "offers"):
        assert ask(f"SELECT name FROM everflow.{table}") == [(f"of {2 if table in lists else 1}",)]
    load("everflow", "713", run_id="after")
    is_the_vendors("713", 2)
    assert ask("SELECT DISTINCT run_id FROM everflow.windows") == [("after",)]


@pytest.mark.slow
def test_two_loads_of_one_client_and_one_of_another_at_once_give_each_row_once(
    any_warehouse: Project, networks: dict[str, EverflowNetwork]
) -> None:
    load("everflow", "713")
    fill(networks["713"], payout=2)
    running = [
        start_load(any_warehouse.environment, client_id, f"{client_id}-{number}", source="everflow")
        for number, client_id in enumerate(("713", "cti", "713"))
    ]
    assert [finish(process) for process in running] == [0, 0, 0]
    is_the_vendors("713", 2)
    is_the_vendors("cti", 1)
