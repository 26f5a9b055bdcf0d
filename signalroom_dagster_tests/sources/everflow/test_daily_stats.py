"""Daily figures: whole, of the right day, of the client's advertisers only, whatever the report
leaves unsaid.
"""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.retries import decide, root_error
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.everflow import stats
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.contexts import context
from signalroom_dagster_tests.sources.everflow.networks import DAY, NEXT, figures, read, sale

Configure = Callable[..., Settings]
TABLE = "/entity/table"


@pytest.fixture
def traffic(network: EverflowNetwork) -> EverflowNetwork:
    network.stats |= {
        (DAY, 41, 1): figures(
            total_click=150, cv=25, payout=1875.25, revenue=2500.00005, profit=624.75
        ),
        (DAY, 52, 2): figures(total_click=21),
        (NEXT, 41, 1): figures(total_click=9, cv=1, payout=75, revenue=100, profit=25),
    }
    return network


def test_daily_stats_are_what_the_report_says(
    any_warehouse: Project, traffic: EverflowNetwork, add: Callable[..., None]
) -> None:
    add()
    run = load("everflow", "713", "daily_stats")
    assert ask(
        "SELECT date, affiliate_id, affiliate_label, advertiser_id, advertiser_label, clicks,"
        " conversions, profit FROM everflow.daily_stats WHERE _client_id = '713' ORDER BY 1, 2"
    ) == [
        (DAY, 41, "Northwind Media ", 1, "ACME", 150, 25, Decimal("624.75")),
        (DAY, 52, "Blue Harbor LLC", 2, "BETA", 21, 0, 0),
        (NEXT, 41, "Northwind Media ", 1, "ACME", 9, 1, 25),
    ]
    assert ask("SELECT revenue, payout FROM everflow.daily_stats ORDER BY date, affiliate_id") == [
        (Decimal("2500.0001"), Decimal("1875.25")),
        (0, 0),
        (100, 75),
    ]
    assert ask(
        "SELECT resource, day, rows, vendor_total, run_id FROM everflow.windows ORDER BY 2"
    ) == [("daily_stats", DAY, 2, Decimal("1875.25"), run), ("daily_stats", NEXT, 1, 75, run)]


def test_a_changed_a_vanished_and_a_late_row_are_the_vendors_after_a_second_read(
    any_warehouse: Project, traffic: EverflowNetwork, add: Callable[..., None]
) -> None:
    add()
    load("everflow", "713", "daily_stats")
    traffic.stats[DAY, 41, 1] |= {"cv": 23, "payout": 1725.25}
    del traffic.stats[DAY, 52, 2]
    traffic.stats[NEXT, 52, 1] = figures(total_click=3)
    run = load("everflow", "713", "daily_stats")
    assert ask(
        "SELECT date, affiliate_id, conversions, payout FROM everflow.daily_stats ORDER BY 1, 2"
    ) == [(DAY, 41, 23, Decimal("1725.25")), (NEXT, 41, 1, 75), (NEXT, 52, 0, 0)]
    noted = ask(
        "SELECT day, key, before IS NULL, after IS NULL, run_id FROM everflow.restatements ORDER BY"
        " 1, 2"
    )
    assert noted == [
        (DAY, "affiliate_id=41, advertiser_id=1", False, False, run),
        (DAY, "affiliate_id=52, advertiser_id=2", False, True, run),
        (NEXT, "affiliate_id=52, advertiser_id=1", True, False, run),
    ]


def test_two_reads_equal_one_and_an_empty_answer_empties_only_its_own_clients_days(
    any_warehouse: Project,
    traffic: EverflowNetwork,
    other: EverflowNetwork,
    add: Callable[..., None],
) -> None:
    rows = (
        "SELECT _client_id, date, affiliate_id, payout FROM everflow.daily_stats ORDER BY 1, 2, 3"
    )
    other.stats[DAY, 41, 1] = figures(payout=5)
    add("713")
    add("cti")
    for client_id in ("713", "cti", "713"):
        load("everflow", client_id, "daily_stats")
    assert ask(rows) == [
        ("713", DAY, 41, Decimal("1875.25")),
        ("713", DAY, 52, 0),
        ("713", NEXT, 41, 75),
        ("cti", DAY, 41, 5),
    ]
    traffic.stats.clear()
    traffic.null_table = True
    load("everflow", "713", "daily_stats")
    assert ask(rows) == [("cti", DAY, 41, 5)]
    assert ask(
        "SELECT day, rows, vendor_total FROM everflow.windows WHERE _client_id = '713' ORDER BY 1"
    ) == [(DAY, 0, 0), (NEXT, 0, 0)]


@pytest.mark.parametrize("told", [True, False], ids=["incomplete_results", "only the length tells"])
def test_a_cut_report_is_asked_for_again_by_days_and_then_by_affiliates(
    network: EverflowNetwork,
    vendor: VendorServer,
    settings: Configure,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: bool,
) -> None:
    monkeypatch.setattr(stats, "CUT", 5)
    network.cut, network.tell_cut = 4 if told else 5, told
    network.affiliates = {number: f"A{number}" for number in (1, 2, 3)}
    days = [DAY + timedelta(days=number) for number in range(4)]
    for affiliate in network.affiliates:
        network.stats[days[0], affiliate, 1] = figures(payout=affiliate)
        network.stats[days[3], affiliate, 1] = network.stats[days[3], affiliate, 2] = figures(
            payout=10
        )
    found = read(settings(end_date=days[3]), context(scratch), "daily_stats")
    assert len(found.rows) == 9
    assert found.totals == {days[0]: 6, days[1]: 0, days[2]: 0, days[3]: 60}
    asked = [request.json for request in vendor.asked(TABLE)]
    spans = [(body["from"][-2:], body["to"][-2:]) for body in asked if len(body["columns"]) == 3]
    assert spans == [("02", "05"), ("02", "03"), ("04", "05"), ("04", "04"), *[("05", "05")] * 4]
    assert [body["query"]["filters"] for body in asked[-4:-1]] == [
        [{"resource_type": "affiliate", "filter_id_value": str(number)}] for number in (1, 2, 3)
    ]


def test_a_report_that_cannot_be_had_whole_fails_and_is_never_loaded_in_part(
    network: EverflowNetwork, settings: Configure, scratch: Path
) -> None:
    for number in range(5):
        network.stats[DAY, 41, number] = figures()
    network.cut = 4
    with pytest.raises(VendorDataError, match="even for one affiliate"):
        read(settings(), context(scratch), "daily_stats")
    network.cut, network.ignore_filters = 2, True
    network.stats = {(DAY, affiliate, 1): figures() for affiliate in (41, 52)} | {
        (DAY, 41, 2): figures()
    }
    with pytest.raises(VendorDataError, match="even for one affiliate"):
        read(settings(), context(scratch), "daily_stats")
    network.cut = 1
    with pytest.raises(VendorDataError, match="cuts the list of affiliates"):
        read(settings(), context(scratch), "daily_stats")


def test_a_report_that_is_cut_without_a_word_is_noticed_also_where_nothing_is_paid(
    network: EverflowNetwork, settings: Configure, scratch: Path
) -> None:
    network.stats = {
        (DAY, affiliate, 1): figures(total_click=10, cv=1) for affiliate in (41, 52, 63)
    }
    assert len(read(settings(), context(scratch), "daily_stats").rows) == 3
    network.cut, network.tell_cut = 2, False
    with pytest.raises(
        VendorDataError,
        match=r"own total of 2026-03-02 is 30 \(clicks\), and what it gives adds up to",
    ):
        read(settings(), context(scratch), "daily_stats")


def test_one_advertiser_is_asked_for_in_the_documented_shape_and_picked_out_when_that_is_ignored(
    traffic: EverflowNetwork, vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    for ignored in (False, True):
        traffic.ignore_filters = ignored
        traffic.stats[DAY, 52, 2]["payout"] = 1_000
        found = read(settings(advertiser_ids=[1]), context(scratch), "daily_stats")
        assert [(row["date"], row["affiliate_id"]) for row in found.rows] == [
            ("2026-03-02", "41"),
            ("2026-03-03", "41"),
        ]
        assert found.totals == {DAY: Decimal("1875.25"), NEXT: 75}
    sent = [request.json["query"]["filters"] for request in vendor.asked(TABLE)]
    assert sent == [[{"resource_type": "advertiser", "filter_id_value": "1"}]] * 4


def test_of_several_advertisers_no_filter_is_sent_because_their_meaning_is_not_documented(
    traffic: EverflowNetwork, vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    traffic.stats[DAY, 41, 3] = figures(payout=1_000)
    found = read(settings(advertiser_ids=[1, 2]), context(scratch), "daily_stats")
    assert found.column("advertiser_id") == ["1", "1", "2"]
    assert found.totals == {DAY: Decimal("1875.25"), NEXT: 75}
    assert all(request.json["query"]["filters"] == [] for request in vendor.asked(TABLE))


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "UTC"])
@pytest.mark.parametrize("told", ["label", "UTC midnight", "local midnight"])
def test_a_rows_day_is_its_label_or_else_what_its_id_means(
    traffic: EverflowNetwork, settings: Configure, scratch: Path, zone: str, told: str
) -> None:
    traffic.label_dates = told == "label"
    traffic.date_zone = zone if told == "local midnight" else "UTC"
    found = read(settings(), context(scratch, zone=ZoneInfo(zone)), "daily_stats")
    assert found.column("date") == ["2026-03-02", "2026-03-02", "2026-03-03"]


def test_labels_keep_their_spaces_equal_ones_stay_apart_and_columns_come_in_any_order(
    traffic: EverflowNetwork, settings: Configure, scratch: Path
) -> None:
    traffic.affiliates[52], traffic.columns_turned = "Northwind Media ", True
    found = read(settings(end_date=DAY), context(scratch), "daily_stats")
    assert [(row["affiliate_id"], row["affiliate_label"]) for row in found.rows] == [
        ("41", "Northwind Media "),
        ("52", "Northwind Media "),
    ]


def test_no_request_is_longer_than_a_month_and_all_days_are_asked_for(
    vendor: VendorServer, settings: Configure, scratch: Path
) -> None:
    start = date(2025, 1, 1)
    read(settings(start_date=start, end_date=None), context(scratch), "daily_stats")
    spans = [
        (date.fromisoformat(request.json["from"]), date.fromisoformat(request.json["to"]))
        for request in vendor.asked(TABLE)
        if len(request.json["columns"]) == 3
    ]
    assert spans[0][0] == start
    assert spans[-1][1] == date(2026, 3, 10)
    assert all((last - first).days < 31 for first, last in spans)
    assert all(
        later[0] - earlier[1] == timedelta(days=1)
        for earlier, later in zip(spans, spans[1:], strict=False)
    )


def test_a_zone_that_everflow_does_not_know_is_a_setting_to_correct(
    add: Callable[..., None],
) -> None:
    add(timezone="Asia/Tokyo")
    with pytest.raises(Exception, match="sources.everflow.clients.713") as refused:
        load("everflow", "713", "daily_stats")
    assert isinstance(root_error(refused.value), ConfigurationError)
    assert decide(refused.value, 1).wait is None
    add(timezone="New York")
    with pytest.raises(ConfigurationError, match="IANA time zone"):
        load("everflow", "713", "daily_stats")


def test_an_accounts_own_zone_sets_the_days_of_every_report(
    network: EverflowNetwork, vendor: VendorServer, add: Callable[..., None]
) -> None:
    add(timezone="America/Los_Angeles")
    network.stats[DAY, 41, 1] = figures(payout=1)
    network.conversions.append(
        sale("c1", datetime(2026, 3, 3, 7, 30, tzinfo=UTC))
    )  # 23:30 on the 2nd there
    load("everflow", "713", "daily_stats", "conversions")
    assert {request.json["timezone_id"] for request in vendor.asked("/reporting/")} == {90}
    assert ask("SELECT date FROM everflow.conversions") == [(DAY,)]


def test_a_null_table_beside_a_total_is_no_empty_one(
    any_warehouse: Project, vendor: VendorServer, traffic: EverflowNetwork, add: Callable[..., None]
) -> None:
    add()
    load("everflow", "713", "daily_stats")
    for skip in (0, 1):  # the report of both readings, not the totals
        vendor.fail(TABLE, status=200, body='{"table": null}', skip=skip)
    with pytest.raises(
        VendorDataError, match="total of 2026-03-02 is 1875.25 .* adds up to 0"
    ) as failed:
        load("everflow", "713", "daily_stats")
    assert decide(failed.value, 1).wait == 1
    assert ask("SELECT count(*) FROM everflow.daily_stats") == [(3,)]


def test_a_row_that_cannot_be_read_is_left_out_and_those_beside_it_are_loaded(
    vendor: VendorServer, traffic: EverflowNetwork, settings: Configure, scratch: Path
) -> None:
    good = [
        {
            "columns": [
                {"column_type": "date", "label": "2026-03-02"},
                {"column_type": "affiliate", "id": number},
                {"column_type": "advertiser", "id": "1"},
            ],
            "reporting": {"payout": 5},
        }
        for number in ("41", "52", "63")
    ]
    odd = [{**good[0], "columns": good[0]["columns"][:2]}, {"columns": None}]
    vendor.fail(TABLE, status=200, body=json.dumps({"table": [*good, *odd]}))
    assert len(read(settings(advertiser_ids=[1]), context(scratch), "daily_stats").rows) == 3
