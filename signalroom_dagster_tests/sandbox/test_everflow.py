"""The Everflow stand-in keeps the vendor's rules, or the tests that lean on it would prove
nothing.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from signalroom_dagster.sandbox import everflow
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork, sandbox_network
from signalroom_dagster.sandbox.vendor_server import serve
from signalroom_dagster_tests.sources.everflow.networks import (
    DAY,
    click,
    figures,
    fresh_network,
    sale,
)

REPORTING = "/v1/networks/reporting"
SPAN = {"from": "2026-03-02", "to": "2026-03-02", "timezone_id": 80, "currency_id": "USD"}
TABLE = {**SPAN, "columns": [{"column": "advertiser"}]}
RAW = {**SPAN, "to": "2026-03-02 23:59:59", "show_conversions": True, "show_events": True}


@pytest.fixture(scope="module")
def _served() -> Iterator[tuple[EverflowNetwork, httpx.Client]]:
    network = fresh_network("key")
    with (
        serve(everflow.routes([network])) as server,
        httpx.Client(base_url=f"{server.url}/everflow") as client,
    ):
        yield network, client


@pytest.fixture
def network(_served: tuple[EverflowNetwork, httpx.Client]) -> EverflowNetwork:
    vars(_served[0]).update(vars(fresh_network("key")))
    return _served[0]


@pytest.fixture
def ask(network: EverflowNetwork, _served: tuple[EverflowNetwork, httpx.Client]) -> Any:
    def send(path: str, body: Any = None, key: str = "key", **params: Any) -> httpx.Response:
        how = "GET" if body is None else "POST"
        return _served[1].request(
            how, path, json=body, params=params, headers={"x-eflow-api-key": key}
        )

    return send


def test_keys_are_checked_and_every_answer_tells_what_is_left_of_the_pace(ask: Any) -> None:
    assert (
        ask("/v1/networks", key="").status_code,
        ask("/v1/networks", key="affiliate-key").status_code,
    ) == (401, 403)
    assert ask("/v1/networks", key="other").json() == {"error": "No Authentication Method Found"}
    assert {"x-ratelimit-limit", "x-ratelimit-remaining"} <= set(ask("/v1/networks").headers)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/entity/table", {name: value for name, value in TABLE.items() if name != "timezone_id"}),
        ("/entity/table", {**TABLE, "from": "2025-01-01"}),
        ("/conversions", {name: value for name, value in RAW.items() if name != "show_events"}),
        ("/clicks/stream", {**RAW, "from": "2026-02-01 00:00:00"}),
    ],
    ids=["no zone", "more than a year", "not said what to show", "more than 14 days"],
)
def test_requests_that_everflow_refuses_are_refused(ask: Any, path: str, body: Any) -> None:
    assert ask(REPORTING + path, body).status_code == 400


def test_conversions_older_than_kept_are_refused_and_clicks_are_missing(
    network: EverflowNetwork, ask: Any
) -> None:
    network.clicks.append(click("k1"))
    network.conversions_kept_days = network.clicks_kept_days = 1
    assert ask(f"{REPORTING}/conversions", RAW).status_code == 400
    assert ask(f"{REPORTING}/clicks/stream", {**RAW, "from": "2026-03-02 00:00:00"}).json() == {
        "clicks": []
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"filters": [{"resource_type": "advertiser", "filter_id_value": "1"}]}, ["1"]),
        ({"filters": [{"resource_type": "advertiser", "filter_id_value": 1}]}, ["1", "2"]),
        ({"filters": [{"advertiser_id": 1}], "page": 1, "limit": 1}, ["1", "2"]),
    ],
)
def test_filters_are_applied_in_one_shape_and_ignored_in_others(
    network: EverflowNetwork, ask: Any, query: Any, found: list[str]
) -> None:
    network.stats |= {(DAY, 41, 1): figures(), (DAY, 41, 2): figures()}
    table = ask(f"{REPORTING}/entity/table", {**TABLE, "query": query}).json()["table"]
    assert [row["columns"][0]["id"] for row in table] == found


def test_pages_are_50_long_unless_asked_otherwise_and_never_above_2000(
    network: EverflowNetwork, ask: Any
) -> None:
    network.conversions += [sale(f"c{number}") for number in range(2_001)]
    lengths = [
        (len(found["conversions"]), found["paging"])
        for params in ({}, {"page": 2, "page_size": 5_000})
        for found in [ask(f"{REPORTING}/conversions", RAW, **params).json()]
    ]
    assert lengths == [
        (50, {"page": 1, "page_size": 50, "total_count": 2_001}),
        (1, {"page": 2, "page_size": 2_000, "total_count": 2_001}),
    ]


def test_the_eleventh_report_at_once_is_refused(network: EverflowNetwork, ask: Any) -> None:
    network.seconds = 1.0
    with ThreadPoolExecutor(11) as pool:
        answers = list(pool.map(lambda _: ask(f"{REPORTING}/entity/table", TABLE), range(11)))
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429]


def test_the_sandboxes_figures_are_the_sums_of_its_conversions_and_clicks() -> None:
    network = sandbox_network("713")
    for name, rows, amount in (
        ("cv", network.conversions, lambda row: 1),
        ("payout", network.conversions, lambda row: row["payout"]),
        ("total_click", network.clicks, lambda row: 1),
    ):
        assert sum(place[name] for place in network.stats.values()) == sum(map(amount, rows)) > 0
