"""What goes wrong between Everflow and the warehouse: one attempt or several, nothing in part,
nothing told.
"""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from signalroom_dagster import retries
from signalroom_dagster.loading import pipelines
from signalroom_dagster.registry import accounts
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.retries import decide, root_error
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.sources.http import VendorDataError, VendorError
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.contexts import context, march
from signalroom_dagster_tests.sources.everflow.networks import DAY, NEXT, figures, noon, read, sale

ROWS = "SELECT date, affiliate_id FROM everflow.daily_stats ORDER BY 1, 2"
COUNTED = {"total_count": 1}
ODD = {
    "conversion_id": "1",
    "relationship": {"advertiser": {"network_advertiser_id": "person@example.com"}},
}
KEY_NAME = "SOURCES__EVERFLOW__CLIENTS__713__API_KEY"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a run waited between its attempts."""
    waited: list[float] = []
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=waited.append))
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=waited.append))
    return waited


def load_with_retries(*resources: str) -> None:
    pipelines.run_with_retries("everflow", get_client("713"), "run", resources or ("daily_stats",))


@pytest.mark.parametrize(
    ("key", "status", "said"),
    [
        ("wrong", 401, "No Authentication Method Found"),
        ("affiliate-key-713", 403, "Access to this resource is forbidden"),
    ],
)
def test_a_refused_key_is_one_attempt_and_says_what_to_set(
    add: Callable[..., None],
    vendor: VendorServer,
    waits: list[float],
    key: str,
    status: int,
    said: str,
) -> None:
    add(api_key=key)
    with pytest.raises(VendorError) as refused:
        load_with_retries()
    assert (
        str(refused.value)
        == f"client 713, source everflow: GET /v1/meta/timezones answered {status}: {said}; check"
        f" {KEY_NAME}"
    )
    assert (len(vendor.requests), waits) == (1, [])


def test_a_key_that_cannot_be_sent_is_not_told(
    add: Callable[..., None], waits: list[float]
) -> None:
    add(api_key="key-\n713")
    with pytest.raises(Exception, match=KEY_NAME) as refused:
        load_with_retries()
    assert "key-" not in str(refused.value)
    assert waits == []


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "body": '{"error": "Too Many Requests"}'},
        {"status": 500, "body": '{"error": "Internal error"}'},
        {"status": 503, "body": "<html>"},
        {"status": 200, "body": '{"table": [{"columns": ['},
        {"status": 200, "body": "<html>log in</html>", "headers": {"Content-Type": "text/html"}},
        {"status": 200, "body": '{"error": "busy"}'},
        {"status": 200, "body": '{"table": {}}'},
        {"status": 200, "body": '{"table": [{"columns": [], "reporting": {"payout": 1}}]}'},
        {"status": 200, "body": '{"table": [{"columns": [], "reporting": {}}]}'},
        {"status": 200, "body": '{"table": [{"reporting": {"payout": "much"}}]}'},
    ],
    ids=[
        "429",
        "500",
        "503",
        "cut JSON",
        "HTML",
        "no table",
        "no list",
        "no dimensions",
        "no money",
        "no number",
    ],
)
def test_what_may_pass_is_an_error_that_is_tried_again(
    vendor: VendorServer, settings: Callable[..., Settings], scratch: Path, fault: dict[str, Any]
) -> None:
    vendor.fail("/entity/table", **fault)
    with pytest.raises((VendorError, VendorDataError), match="^client 713, ") as failed:
        read(settings(), context(scratch), "daily_stats")
    assert decide(failed.value, 1).wait == 1
    assert read(settings(), context(scratch), "daily_stats").rows == []


def test_a_run_waits_as_long_as_everflow_asks_and_else_as_long_as_it_always_does(
    add: Callable[..., None], vendor: VendorServer, network: EverflowNetwork, waits: list[float]
) -> None:
    add()
    network.stats |= {(DAY, 41, 1): figures(payout=1), (NEXT, 41, 1): figures(payout=2)}
    vendor.fail(
        "/entity/table",
        status=429,
        headers={"Retry-After": "17"},
        body='{"error": "Too Many Requests"}',
    )
    vendor.fail("/entity/table", status=429, body='{"error": "Too Many Requests"}')
    vendor.fail("/entity/table", status=200, body='{"table": []}', cut=True)
    load_with_retries()
    assert waits == [17, 2, 4]
    assert ask(ROWS) == [(DAY, 41), (NEXT, 41)]


def test_a_refused_request_is_not_repeated(
    add: Callable[..., None], vendor: VendorServer, waits: list[float]
) -> None:
    add()
    vendor.fail("/entity/table", status=400, body='{"error": "date range is limited"}')
    with pytest.raises(VendorError, match="answered 400: date range is limited"):
        load_with_retries()
    assert (len(vendor.asked("/entity/table")), waits) == (1, [])


def test_a_slice_that_fails_leaves_its_days_as_they_were(
    any_warehouse: Project, add: Callable[..., None], vendor: VendorServer, network: EverflowNetwork
) -> None:
    add()
    network.stats[DAY, 41, 1] = figures(payout=1)
    first = load("everflow", "713", "daily_stats")
    network.stats = {(DAY, 52, 1): figures(payout=2)}
    vendor.fail("/entity/table", status=200, body="{", skip=1)  # the rows come, the totals do not
    with pytest.raises(Exception) as failed:
        load("everflow", "713", "daily_stats")
    assert isinstance(root_error(failed.value), VendorDataError)
    assert ask(ROWS) == [(DAY, 41)]
    assert ask("SELECT DISTINCT run_id FROM everflow.windows") == [(first,)]


def test_a_list_of_another_shape_does_not_empty_the_table(
    add: Callable[..., None], vendor: VendorServer
) -> None:
    add()
    load("everflow", "713", "affiliates")
    vendor.fail("/affiliatestable", status=200, body='{"error": "maintenance"}')
    with pytest.raises(Exception, match="an answer without affiliates"):
        load("everflow", "713", "affiliates")
    assert ask("SELECT count(*) FROM everflow.affiliates") == [(2,)]


@pytest.mark.parametrize(
    ("path", "answer", "table"),
    [
        ("/clicks/stream", {"clicks": [{"unix_timestamp": "person@example.com"}]}, "clicks"),
        (
            "/reporting/conversions",
            {"conversions": [ODD], "paging": {"total_count": 1}},
            "conversions",
        ),
        (
            "/networks/offers",
            {"offers": [{"network_offer_id": ["person@example.com"]}], "paging": COUNTED},
            "offers",
        ),
    ],
)
def test_a_row_of_another_shape_fails_its_own_table_in_words_that_quote_nothing(
    add: Callable[..., None], vendor: VendorServer, path: str, answer: object, table: str
) -> None:
    add(advertiser_ids="[1]")
    vendor.fail(path, status=200, body=json.dumps(answer), times=9)
    with pytest.raises(
        VendorDataError, match=f"client 713, source everflow, {table}: only 0 of "
    ) as failed:
        load("everflow", "713")
    assert "person" not in str(failed.value)
    assert decide(failed.value, 1).wait == 1
    assert ask("SELECT DISTINCT resource FROM everflow.windows WHERE resource = %s", table) == []
    assert ask("SELECT count(*) FROM everflow.affiliates") == [(2,)]


def test_the_next_attempt_of_a_run_asks_only_for_what_the_first_has_not_committed(
    any_warehouse: Project, add: Callable[..., None], vendor: VendorServer, network: EverflowNetwork
) -> None:
    add(end_date="2026-03-07")
    days = march(range(2, 8))
    network.conversions += [sale(f"c{day}", noon(day)) for day in days]
    vendor.fail("/reporting/conversions", skip=3)
    with pytest.raises(Exception, match="answered 503"):
        load("everflow", "713", "conversions", "affiliates", run_id="run")
    committed = {
        day for (day,) in ask("SELECT day FROM everflow.windows WHERE resource = 'conversions'")
    }
    assert 2 <= len(committed) <= 5
    listed = ask("SELECT count(*) FROM everflow.windows WHERE resource = 'affiliates'") == [(1,)]
    before = len(vendor.requests)
    load("everflow", "713", "conversions", "affiliates", run_id="run")
    again = vendor.requests[before:]
    asked = {
        date.fromisoformat(request.json["from"][:10])
        for request in again
        if "conversions" in request.path
    }
    assert asked == set(days) - committed
    assert any("affiliates" in request.path for request in again) is not listed
    assert ask("SELECT count(*), count(DISTINCT conversion_id) FROM everflow.conversions") == [
        (6, 6)
    ]
    assert ask("SELECT DISTINCT run_id FROM everflow.windows") == [("run",)]
    load("everflow", "713", "conversions", run_id="run")
    assert len(vendor.requests) == before + len(again)


def test_no_error_tells_the_key_that_a_vendor_repeats(
    add: Callable[..., None], vendor: VendorServer
) -> None:
    add()
    vendor.fail(
        "/entity/table", status=500, body='{"error": "key key-713 of buyer@example.test failed"}'
    )
    with pytest.raises(Exception) as failed:
        load("everflow", "713", "daily_stats")
    cause: BaseException | None = failed.value
    while cause is not None:
        assert "key-713" not in f"{cause}{cause.args!r}"
        assert "buyer@" not in str(cause)
        cause = cause.__cause__ or cause.__context__
    assert decide(failed.value, 1).wait == 1


def test_doctor_asks_for_the_networks_name_and_a_preview_asks_nothing(
    add: Callable[..., None], vendor: VendorServer
) -> None:
    add()
    client = get_client("713")
    assert accounts.probe("everflow", client) == "network Sandbox network"
    vendor.requests.clear()
    told = pipelines.preview_load("everflow", client)
    assert [(item.resource, item.what) for item in told] == [
        ("daily_stats", "2026-03-02 to 2026-03-03"),
        *[
            (resource, day)
            for resource in ("conversions", "clicks")
            for day in ("2026-03-02", "2026-03-03")
        ],
        *[(resource, told[-1].what) for resource in ("affiliates", "offers", "advertisers")],
    ]
    assert vendor.requests == []
