"""Clicks: all of them, although an answer ends at 10,000 without a word, and for good, although
Everflow forgets.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from signalroom_dagster.loading.spans import Span
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.days import midnight
from signalroom_dagster.sources.everflow import clicks
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.contexts import NEW_YORK, context
from signalroom_dagster_tests.sources.everflow.networks import DAY, NEXT, click, noon, read

Configure = Callable[..., Settings]
PATH = "/clicks/stream"


def windows(vendor: VendorServer) -> list[tuple[datetime, datetime]]:
    """From when to when clicks were asked for, in order of time; both ends are included."""
    spans = [(request.json["from"], request.json["to"]) for request in vendor.asked(PATH)]
    assert {request.json["timezone_id"] for request in vendor.asked(PATH)} == {67}
    return sorted((_utc(first), _utc(last)) for first, last in spans)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_clicks_are_merged_by_id_and_those_that_vanish_stay(
    any_warehouse: Project,
    network: EverflowNetwork,
    other: EverflowNetwork,
    add: Callable[..., None],
) -> None:
    rows = (
        "SELECT _client_id, click_id, date, has_conversion, is_unique FROM everflow.clicks ORDER BY"
        " 1, 2"
    )
    add("713")
    add("cti")
    other.clicks.append(click("k1"))
    load("everflow", "cti", "clicks")
    network.clicks += [
        click("k1", has_conversion=0),
        click("k2", noon(NEXT)),
        click("k3", is_unique=0),
    ]
    load("everflow", "713", "clicks")
    network.clicks[0]["has_conversion"] = True
    network.clicks[1:] = [click("k4")]
    for _ in range(2):
        load("everflow", "713", "clicks")
        assert ask(rows) == [
            ("713", "k1", DAY, True, True),
            ("713", "k2", NEXT, False, True),
            ("713", "k3", DAY, False, False),
            ("713", "k4", DAY, False, True),
            ("cti", "k1", DAY, False, True),
        ]
    network.clicks.clear()
    load("everflow", "713", "clicks")
    assert len(ask(rows)) == 5


def test_a_full_answer_is_asked_for_in_halves_until_nothing_is_cut(
    network: EverflowNetwork,
    vendor: VendorServer,
    settings: Configure,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clicks, "CUT", 10)
    network.clicks_cut = 10
    start = midnight(DAY, NEW_YORK)
    network.clicks += [
        click(f"k{number:03}", start + timedelta(seconds=number * 7)) for number in range(100)
    ]
    network.clicks += [
        click(f"l{number:03}", start + timedelta(hours=20, minutes=number)) for number in range(10)
    ]
    found = read(settings(end_date=DAY), context(scratch), "clicks")
    assert found.column("click_id") == sorted(row["transaction_id"] for row in network.clicks)
    assert len(vendor.asked(PATH)) > 10


def test_a_full_answer_of_a_single_second_is_an_error(
    network: EverflowNetwork, settings: Configure, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clicks, "CUT", 10)
    network.clicks_cut = 10
    network.clicks += [click(f"k{number}") for number in range(11)]
    with pytest.raises(VendorDataError, match="10 clicks for one second"):
        read(settings(end_date=DAY), context(scratch), "clicks")


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 3, 2), 24)],
    ids=str,
)
def test_the_windows_of_a_day_are_short_and_leave_out_nothing_and_repeat_nothing(
    network: EverflowNetwork,
    vendor: VendorServer,
    settings: Configure,
    scratch: Path,
    day: date,
    hours: int,
) -> None:
    start, end = midnight(day, NEW_YORK), midnight(day + timedelta(days=1), NEW_YORK)
    for hour in range(-1, hours + 1):
        network.clicks.append(click(f"h{hour:+03}", start + timedelta(hours=hour, minutes=30)))
    network.clicks += [
        click("first", start),
        click("last", end - timedelta(seconds=1)),
        click("next", end),
    ]
    now = context(scratch, started_at=datetime(2026, 12, 1, tzinfo=UTC))
    found = read(settings(start_date=day, end_date=day), now, "clicks")
    assert len(found.rows) == hours + 2
    assert set(found.column("date")) == {day.isoformat()}
    asked = windows(vendor)
    assert asked[0][0] == start
    assert asked[-1][1] == end - timedelta(seconds=1)
    assert all(last - first < timedelta(hours=6) for first, last in asked)
    assert all(b[0] - a[1] == timedelta(seconds=1) for a, b in zip(asked, asked[1:], strict=False))


def test_what_everflow_no_longer_keeps_is_never_asked_for(
    network: EverflowNetwork, vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    network.clicks_kept_days = 90
    started = datetime.now(UTC)
    today = max(context(scratch, started_at=started).today, started.date())
    oldest = today - timedelta(days=89)
    asking = context(scratch, started_at=started, span=Span(since=date(2020, 1, 1), until=oldest))
    first = midnight(oldest, NEW_YORK)
    network.clicks += [click("kept", first), click("gone", first - timedelta(seconds=1))]
    found = read(
        settings(start_date=date(2020, 1, 1), end_date=None, clicks_kept_days=90), asking, "clicks"
    )
    assert windows(vendor)[0][0] == first
    assert found.column("click_id") == ["kept"]


def test_clicks_that_everflow_no_longer_keeps_stay_as_they_were_loaded(
    network: EverflowNetwork, vendor: VendorServer, add: Callable[..., None]
) -> None:
    add()
    network.clicks.append(click("old"))
    load("everflow", "713", "clicks")
    vendor.requests.clear()
    network.clicks_kept_days = 1
    add(clicks_kept_days="1")
    load("everflow", "713", "clicks", since=DAY, until=NEXT)
    assert vendor.asked(PATH) == []
    assert ask("SELECT click_id FROM everflow.clicks") == [("old",)]


def test_both_names_of_the_list_are_understood_and_null_is_none(
    network: EverflowNetwork, vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    network.clicks.append(click("k1"))
    network.clicks_key = "table"
    assert read(settings(end_date=DAY), context(scratch), "clicks").column("click_id") == ["k1"]
    vendor.fail(PATH, status=200, body='{"clicks": null}', times=100)
    assert read(settings(), context(scratch), "clicks").rows == []


def test_clicks_of_other_moments_than_asked_for_are_an_error(
    vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    vendor.fail(
        PATH,
        status=200,
        body='{"clicks": [{"transaction_id": "k1", "unix_timestamp": 1772600000}]}',
    )
    with pytest.raises(VendorDataError, match="gives clicks that are not of 2026-03-0"):
        read(settings(), context(scratch), "clicks")


def test_only_the_clients_advertisers_clicks_are_kept_and_nothing_of_the_visitor(
    network: EverflowNetwork, settings: Configure, scratch: Path
) -> None:
    network.clicks += [click("ours"), click("theirs", advertiser=2)]
    for network.ignore_filters in (False, True):
        found = read(settings(advertiser_ids=[1]), context(scratch), "clicks")
        assert found.column("click_id") == ["ours"]
    for personal in ("192.0.2.", "Mozilla", "trk.example.test", "00000"):
        assert personal in str(network.clicks)
        assert personal not in found.text.replace("+00:00", "")


def test_no_more_than_four_reports_are_under_way_also_when_several_days_are_loaded_at_once(
    project: Project, postgres_url: str, network: EverflowNetwork, add: Callable[..., None]
) -> None:
    project.use_postgres(postgres_url)
    add(end_date="2026-03-05")
    network.seconds = 0.1
    load("everflow", "713", "clicks", "conversions")
    assert 2 <= network.most_at_once <= 4
