"""RedTrack's account: its key, its pace, its faults, and the sandbox's story as RedTrack tells
it.
"""

import logging
import traceback
from collections import Counter
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from signalroom_dagster import limits
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.loading.pipelines import preview_load, run_with_retries
from signalroom_dagster.registry.accounts import settings_for
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.retries import ATTEMPTS, decide
from signalroom_dagster.sandbox import redtrack as stand_in
from signalroom_dagster.sandbox.market import MARKETS, clicks_of, local_day, sales_of
from signalroom_dagster.sandbox.redtrack_data import RedTrackAccount
from signalroom_dagster.sandbox.shops import first_day
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster.sources import redtrack
from signalroom_dagster.sources.http import VendorDataError, VendorError, VendorUnreachableError
from signalroom_dagster.sources.redtrack.account import REST_SECONDS
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.redtrack.accounts import DAY, KEYS, NEXT, add, read

KEY = KEYS["713"]


class Clock:
    """A clock that sleeping moves on; nobody waits."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_refused_key_is_tried_once_and_the_error_names_what_to_set(
    project: Project, vendor: VendorServer
) -> None:
    add(project, vendor, api_key="key-of-another-kind")
    with pytest.raises(VendorError) as failed:
        run_with_retries("redtrack", get_client("713"), "run-401", ["sources"])
    assert len(vendor.requests) == 1
    for named in (
        "client 713",
        "source redtrack",
        "401",
        "SOURCES__REDTRACK__CLIENTS__713__API_KEY",
    ):
        assert named in str(failed.value)
    assert "key-of-another-kind" not in "".join(traceback.format_exception(failed.value))


def test_an_account_zone_that_all_clients_share_is_nobodys(
    project: Project, vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCES__REDTRACK__CLIENTS__713__ACCOUNT_TIMEZONE")
    project.set(SOURCES__REDTRACK__ACCOUNT_TIMEZONE="Asia/Tokyo")
    load("redtrack", "713", "conversions")
    around = {
        (request.query["date_from"], request.query["date_to"])
        for request in vendor.asked("/conversions")
    }
    assert around == {("2026-03-01", "2026-03-03"), ("2026-03-02", "2026-03-04")}


def test_the_key_goes_into_the_query_alone(vendor: VendorServer) -> None:
    load("redtrack", "713")
    assert {request.query["api_key"] for request in vendor.requests} == {KEY}
    assert not [request for request in vendor.requests if KEY in str(request.headers)]
    assert {request.method for request in vendor.requests} == {"GET"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"body": '{"items":[', "cut": True, "status": 200}, "got no whole answer"),
        ({"body": '[{"source_id":"a"', "status": 200}, "is not JSON"),
        (
            {"body": "<html></html>", "status": 200, "headers": {"content-type": "text/html"}},
            "answered text/html",
        ),
        ({"body": '{"error":"soon"}', "status": 200}, "answered what is not a list of rows"),
        (
            {"body": '[{"source_id":"a","date":"then"}]', "status": 200},
            "only 0 of 1 rows can be read: 1 row left out: without its key",
        ),
        ({"body": f'{{"error":"no /report?api_key={KEY}&page=1"}}', "status": 500}, "answered 500"),
        ({"body": "<html>bad gateway</html>", "status": 502}, "answered 502"),
    ],
)
def test_a_broken_answer_is_retried_and_never_tells_the_key(
    vendor: VendorServer,
    tmp_path: Path,
    fault: dict[str, Any],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    vendor.fail("/report", **fault)
    with pytest.raises(Exception, match=said) as failed:
        read("daily_spend", tmp_path)
    assert decide(failed.value, 1).wait == 1
    assert KEY not in "".join(traceback.format_exception(failed.value)) + caplog.text


def test_a_load_that_breaks_off_changes_nothing(
    any_warehouse: Project, vendor: VendorServer
) -> None:
    load("redtrack", "713", "daily_spend")
    before = ask("SELECT * FROM redtrack.daily_spend ORDER BY source_id, date")
    vendor.fail("/report", status=200, body='[{"source_id":"a"', skip=1, cut=True)
    with pytest.raises(Exception, match="got no whole answer") as failed:
        load("redtrack", "713", "daily_spend")
    assert KEY not in "".join(traceback.format_exception(failed.value))
    assert ask("SELECT * FROM redtrack.daily_spend ORDER BY source_id, date") == before


def test_a_wrong_path_is_said_and_not_read(
    project: Project, vendor: VendorServer, tmp_path: Path
) -> None:
    add(project, vendor, base_url=f"{vendor.url}/redtrack/v1")
    with pytest.raises(
        VendorDataError, match="GET /report answered text/html that is not JSON; is base_url right"
    ):
        read("daily_spend", tmp_path)


def test_a_vendor_that_cannot_be_reached_is_retried_without_the_key_in_the_error(
    project: Project, vendor: VendorServer, tmp_path: Path
) -> None:
    add(project, vendor, base_url="http://127.0.0.1:9/")
    with pytest.raises(VendorUnreachableError) as failed:
        read("daily_spend", tmp_path)
    assert decide(failed.value, 1).wait == 1
    assert KEY not in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize(("headers", "wait"), [({}, 20), ({"Retry-After": "7"}, 7)])
def test_too_many_requests_are_waited_for_longer_than_the_minute_they_are_counted_by(
    vendor: VendorServer, tmp_path: Path, headers: dict[str, str], wait: int
) -> None:
    vendor.fail("/report", status=429, headers=headers, body='{"error":"too many requests"}')
    with pytest.raises(VendorError) as failed:
        read("daily_spend", tmp_path)
    assert decide(failed.value, 1).wait == wait
    assert (ATTEMPTS - 1) * int(REST_SECONDS) > 60


def test_reports_keep_within_twenty_a_minute(
    project: Project,
    vendor: VendorServer,
    account: RedTrackAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(limits, "time", SimpleNamespace(time=clock.time, sleep=clock.sleep))
    account.clock, account.reports_a_minute, account.honours_dates = clock.time, 20, False
    add(project, vendor, start_date="2026-02-02")
    monkeypatch.delenv("SOURCES__REDTRACK__CLIENTS__713__REPORTS_PER_MINUTE")
    load(
        "redtrack", "713", "daily_spend"
    )  # 30 days, one by one: a report too many would be refused
    asked = len(vendor.asked("/report"))
    assert asked == 62
    assert clock.now - 1_000_000 <= 60 * (asked / 15)


def test_the_stand_in_refuses_what_redtrack_refuses(
    vendor: VendorServer, account: RedTrackAccount
) -> None:
    base, key = f"{vendor.url}/redtrack", {"api_key": KEY}
    days = {"date_from": DAY.isoformat(), "date_to": NEXT.isoformat()}
    assert httpx.get(f"{base}/report", headers={"X-API-KEY": KEY}).status_code == 401
    assert httpx.post(f"{base}/report", params=key).status_code == 404
    assert (
        httpx.get(f"{base}/v1/reports", params=key).headers["Content-Type"].startswith("text/html")
    )
    everything = httpx.get(f"{base}/report", params={**key, **days, "group_by": "source"}).json()
    assert [row["clicks"] for row in everything] == [1544]
    assert "source_id" not in everything[0]
    account.reports_a_minute = 1
    assert httpx.get(f"{base}/report", params=key).status_code == 429


def test_the_probe_asks_one_cheap_thing(vendor: VendorServer) -> None:
    settings = settings_for("redtrack", get_client("713"))
    assert isinstance(settings, redtrack.Settings)
    assert redtrack.probe(settings) == "the account answers"
    assert [request.path for request in vendor.requests] == ["/redtrack/me/settings"]


def test_a_preview_asks_nothing(vendor: VendorServer) -> None:
    planned = [
        (piece.resource, piece.what) for piece in preview_load("redtrack", get_client("713"))
    ]
    assert planned[:3] == [
        ("daily_spend", "2026-03-02 to 2026-03-03"),
        ("conversions", "2026-03-02"),
        ("conversions", "2026-03-03"),
    ]
    assert [resource for resource, _ in planned[3:]] == ["campaigns", "sources", "offers"]
    assert vendor.requests == []


def test_settings_that_do_not_fit_are_named(project: Project) -> None:
    project.add_api_client("713", "redtrack", account_timezone="Eastern")
    with pytest.raises(ConfigurationError) as failed:
        settings_for("redtrack", get_client("713"))
    assert "SOURCES__REDTRACK__CLIENTS__713__API_KEY" in str(failed.value)
    assert "not a time zone name such as America/New_York" in str(failed.value)


@pytest.mark.parametrize("client_id", ["713", "cti"])
def test_the_sandbox_tells_the_markets_story(project: Project, client_id: str) -> None:
    with serve(stand_in.routes()) as server:
        project.add_api_client(client_id, "redtrack", **stand_in.settings(client_id, server.url))
        load("redtrack", client_id)
    market = MARKETS[client_id]
    cpc = {
        source.id: Decimal(source.cpc)
        for affiliate in market.affiliates
        for source in affiliate.sources
    }
    clicks = Counter(
        (local_day(click.at), click.source.id) for click in clicks_of(client_id) if click.source
    )
    bought = {
        (*place, count, count * cpc[place[1]])
        for place, count in clicks.items()
        if place[0] >= first_day()
    }
    spent = set(ask("SELECT date, source_id, clicks, cost FROM redtrack.daily_spend"))
    assert bought <= spent
    assert {row[1] for row in spent - bought} == {
        "(unknown)",
        *(source.id for source in market.unmapped),
    }
    sold = sum(
        1 for sale in sales_of(client_id) if sale.click.source and local_day(sale.at) >= first_day()
    )
    assert ask("SELECT count(*) FROM redtrack.conversions WHERE type = 'Purchase'") == [(sold,)]
    held = ask("SELECT date, sum(cost) FROM redtrack.daily_spend GROUP BY 1 ORDER BY 1")
    assert held == ask(
        "SELECT day, vendor_total FROM redtrack.windows WHERE resource = 'daily_spend' ORDER BY day"
    )
    assert ask("SELECT id FROM redtrack.sources ORDER BY 1") == sorted(
        (source,) for source in {*cpc, *(source.id for source in market.unmapped)}
    )
