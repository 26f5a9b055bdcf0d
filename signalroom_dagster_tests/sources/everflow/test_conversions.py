"""Conversions: every one once, however the list moves, and always as the vendor has them now."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from signalroom_dagster.loading import slice_checks
from signalroom_dagster.loading.spans import Span
from signalroom_dagster.retries import decide
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.windows import days_of_run
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.contexts import context
from signalroom_dagster_tests.sources.everflow.networks import DAY, NEXT, noon, read, sale

Configure = Callable[..., Settings]
PATH = "/reporting/conversions"


def ids(count: int) -> list[str]:
    return [f"c{number:05}" for number in range(count)]


def sizes(vendor: VendorServer) -> list[str]:
    """The page sizes that were asked with, in order."""
    return list(dict.fromkeys(request.query["page_size"] for request in vendor.asked(PATH)))


def test_after_a_second_read_every_change_of_the_vendor_is_there(
    any_warehouse: Project, network: EverflowNetwork, add: Callable[..., None]
) -> None:
    add()
    network.conversions += [
        sale("flips", status="pending", payout=75.5, revenue=100),
        sale("repriced", payout=75, revenue=100, sale_amount=95),
        sale("vanishes", payout=1),
        sale("stays", noon(NEXT), is_event=True, event="Upsell", revenue=19.5, transaction_id="t1"),
        sale("stays too", noon(NEXT), transaction_id="t1"),
    ]
    load("everflow", "713", "conversions")
    flips, repriced, vanishes, *_ = network.conversions
    flips["status"], repriced["payout"] = "approved", 60.25
    network.conversions.remove(vanishes)
    network.conversions.append(sale("back-dated", payout=5))
    load("everflow", "713", "conversions")
    rows = (
        "SELECT conversion_id, date, status, payout, is_event, click_id FROM everflow.conversions"
        " ORDER BY 1"
    )
    assert ask(rows) == [
        ("back-dated", DAY, "approved", 5, False, None),
        ("flips", DAY, "approved", Decimal("75.5"), False, None),
        ("repriced", DAY, "approved", Decimal("60.25"), False, None),
        ("stays", NEXT, "approved", 0, True, "t1"),
        ("stays too", NEXT, "approved", 0, False, "t1"),
    ]
    assert ask("SELECT day, key FROM everflow.restatements ORDER BY 2") == [
        (DAY, "conversion_id=back-dated"),
        (DAY, "conversion_id=repriced"),
        (DAY, "conversion_id=vanishes"),
    ]
    network.conversions.clear()
    load("everflow", "713", "conversions")
    assert ask(rows) == []


def test_a_conversion_that_slips_between_pages_is_read_again_until_the_count_fits(
    network: EverflowNetwork, vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    network.conversions += [sale(number) for number in ids(2_100)]
    network.unstable = 1
    found = read(settings(end_date=DAY), context(scratch), "conversions")
    assert found.column("conversion_id") == ids(2_100)
    assert found.totals == {DAY: 2_100}
    assert sizes(vendor) == ["2000", "997"]


def test_a_list_that_never_comes_whole_is_an_error_and_a_steady_loss_is_no_confirmation(
    network: EverflowNetwork, vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    network.conversions += [sale(number) for number in ids(2_100)]
    network.unstable = 1_000
    with pytest.raises(VendorDataError, match="2099 distinct rows, Everflow counts 2100") as failed:
        read(settings(end_date=DAY), context(scratch), "conversions")
    assert "conversions of 2026-03-02" in str(failed.value)
    assert decide(failed.value, 1).wait == 1
    assert sizes(vendor) == ["2000", "997", "503"]


@pytest.mark.parametrize("count", [3, 2_100])
def test_identical_rows_that_everflow_counts_are_taken_once_after_a_second_look(
    network: EverflowNetwork, vendor: VendorServer, settings: Configure, scratch: Path, count: int
) -> None:
    network.conversions += [sale(number) for number in ids(count)]
    network.conversions.insert(1, network.conversions[0])
    found = read(settings(end_date=DAY), context(scratch), "conversions")
    assert found.column("conversion_id") == ids(count)
    assert found.totals == {DAY: count}
    assert sizes(vendor) == ["2000", "997"]


def test_rows_that_arrive_while_the_list_is_read_are_read_too(
    network: EverflowNetwork, settings: Configure, scratch: Path
) -> None:
    network.conversions += [sale(number) for number in ids(2_100)]
    network.arriving += [sale("late 1"), sale("late 2")]
    found = read(settings(end_date=DAY), context(scratch), "conversions")
    assert found.column("conversion_id") == [*ids(2_100), "late 1", "late 2"]
    assert found.totals == {DAY: 2_102}


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
def test_pages_that_are_shorter_than_asked_for_are_all_read(
    network: EverflowNetwork, vendor: VendorServer, settings: Configure, scratch: Path, told: bool
) -> None:
    network.conversions += [sale(number) for number in ids(205)]
    network.largest_page, network.echo_page_size = 50, told
    found = read(settings(end_date=DAY), context(scratch), "conversions")
    assert found.column("conversion_id") == ids(205)
    assert sorted(request.query["page"] for request in vendor.asked(PATH)) == [
        "1",
        "2",
        "3",
        "4",
        "5",
    ]


def test_each_day_is_asked_for_on_its_own_with_its_times_said(
    vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    read(settings(), context(scratch), "conversions")
    asked = [request.json for request in vendor.asked(PATH)]
    assert [(body["from"], body["to"]) for body in asked] == [
        ("2026-03-02 00:00:00", "2026-03-02 23:59:59"),
        ("2026-03-03 00:00:00", "2026-03-03 23:59:59"),
    ]
    assert all(
        body["timezone_id"] == 80 and body["show_conversions"] and body["show_events"]
        for body in asked
    )


def test_what_everflow_no_longer_lists_is_never_asked_for(
    network: EverflowNetwork, vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    network.conversions_kept_days = 365
    now = context(scratch, started_at=datetime.now(UTC))
    oldest = now.today - timedelta(days=364)
    asking = replace(now, span=Span(since=date(2020, 1, 1), until=oldest + timedelta(days=2)))
    whole = settings(start_date=date(2020, 1, 1), end_date=None, conversions_kept_days=365)
    read(whole, asking, "conversions")
    assert [request.json["from"][:10] for request in vendor.asked(PATH)] == [
        (oldest + timedelta(days=number)).isoformat() for number in range(3)
    ]


def test_rows_that_everflow_no_longer_lists_stay_as_they_were_loaded(
    network: EverflowNetwork, add: Callable[..., None]
) -> None:
    add()
    network.conversions.append(sale("old"))
    load("everflow", "713", "conversions")
    network.conversions.clear()
    add(conversions_kept_days="1", lookback_days="400")
    load("everflow", "713", "conversions", since=DAY)
    assert ask("SELECT conversion_id FROM everflow.conversions") == [("old",)]


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25)], ids=str
)
def test_a_day_of_a_clock_change_is_whole_and_its_neighbours_are_too(
    network: EverflowNetwork, settings: Configure, scratch: Path, day: date, hours: int
) -> None:
    start = datetime(
        day.year, day.month, day.day, 4 if hours == 25 else 5, tzinfo=UTC
    )  # midnight in New York
    for hour in range(-24, hours + 24):
        network.conversions.append(sale(f"h{hour:+03}", start + timedelta(hours=hour, minutes=30)))
    span = settings(start_date=day - timedelta(days=1), end_date=day + timedelta(days=1))
    found = read(
        span, context(scratch, started_at=datetime(2026, 12, 1, tzinfo=UTC)), "conversions"
    )
    assert list(found.totals.values()) == [24, hours, 24]
    assert [row["date"] for row in found.rows].count(day.isoformat()) == hours
    assert len(set(found.column("conversion_id"))) == hours + 48


def test_only_the_clients_advertisers_conversions_are_kept_when_the_filter_is_ignored(
    network: EverflowNetwork, vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    network.conversions += [sale("ours"), sale("theirs", advertiser=2)]
    for network.ignore_filters in (False, True):
        found = read(settings(advertiser_ids=[1], end_date=DAY), context(scratch), "conversions")
        assert found.column("conversion_id") == ["ours"]
        assert found.totals == {DAY: 1}
    assert vendor.asked(PATH)[0].json["query"]["filters"] == [
        {"resource_type": "advertiser", "filter_id_value": "1"}
    ]


def test_nothing_of_the_buyer_is_stored(
    network: EverflowNetwork, settings: Configure, scratch: Path
) -> None:
    network.conversions.append(sale("c1"))
    found = read(settings(), context(scratch), "conversions")
    for personal in ("buyer@example.test", "192.0.2.", "Mozilla", "https://", "Testville"):
        assert personal in str(network.conversions)
        assert personal not in found.text


def test_a_row_without_an_advertiser_or_a_time_is_left_out_told_and_stays_in_the_total(
    any_warehouse: Project, network: EverflowNetwork, add: Callable[..., None]
) -> None:
    odd = {**sale("c-nobodys"), "relationship": {"advertiser": None}}
    network.conversions += [sale("c1"), sale("c2", payout=75), sale("theirs", advertiser=2), odd]
    network.ignore_filters = True
    add(advertiser_ids="[1]", end_date=DAY.isoformat())
    run = load("everflow", "713", "conversions")
    assert ask("SELECT conversion_id FROM everflow.conversions ORDER BY 1") == [("c1",), ("c2",)]
    with access.exclusive(), access.connected() as query:
        (day,) = days_of_run(query, "everflow", "conversions", "713", run)
        checks = [
            check(query, "everflow", "conversions", "713", run)
            for check in (slice_checks.reconciled, slice_checks.all_cells_read)
        ]
    assert (day.vendor_total, day.rows_left_out) == (3, 1)
    assert [check.passed for check in checks] == [True, False]
    assert "1 row left out: without an advertiser" in checks[1].said
    assert "conversion_id=c-nobodys" in checks[1].said


@pytest.mark.parametrize("payout", ['"much"', "NaN", "1e400", '"99999999999999999999"'])
def test_money_that_cannot_be_read_is_null_told_and_leaves_the_rows_beside_it(
    any_warehouse: Project, vendor: VendorServer, add: Callable[..., None], payout: str
) -> None:
    rows = json.dumps([sale("c1", payout=75), sale("c2")]).replace(
        '"payout": 0', f'"payout": {payout}'
    )
    body = (
        f'{{"conversions": {rows}, "paging": {{"page": 1, "page_size": 2000, "total_count": 2}}}}'
    )
    vendor.fail(PATH, status=200, body=body)
    add(end_date=DAY.isoformat())
    run = load("everflow", "713", "conversions")
    assert ask("SELECT conversion_id, payout FROM everflow.conversions ORDER BY 1") == [
        ("c1", 75),
        ("c2", None),
    ]
    with access.exclusive(), access.connected() as query:
        check = slice_checks.all_cells_read(query, "everflow", "conversions", "713", run)
    assert not check.passed
    assert "1 cell of payout: " in check.said
    assert "conversion_id=c2" in check.said
