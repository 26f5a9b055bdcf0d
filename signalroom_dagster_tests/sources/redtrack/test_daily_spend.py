"""RedTrack's daily spend: what is loaded is what RedTrack's own report says, whatever shape it
comes in.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from signalroom_dagster.retries import decide
from signalroom_dagster.sandbox.redtrack_data import Hit, RedTrackAccount
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.redtrack import paging
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.redtrack.accounts import (
    DAY,
    GOOGLE,
    META,
    NEXT,
    NEXT_NOON,
    NOON,
    add,
    read,
)

SPEND = "SELECT date, source_id, clicks, cost FROM redtrack.daily_spend ORDER BY 1, 2"
AS_SEEDED = [
    (DAY, "(unknown)", 3, 0),
    (DAY, META, 1523, Decimal("7825.5")),
    (DAY, GOOGLE, 11, Decimal("50.47")),
    (NEXT, META, 7, 27),
]


def test_spend_is_what_the_report_says(any_warehouse: Project, vendor: VendorServer) -> None:
    load("redtrack", "713", "daily_spend")
    assert ask(
        "SELECT date, source_id, source_name, source_alias, clicks, conversions, total_conversions,"
        " cost, revenue, total_revenue, _client_id FROM redtrack.daily_spend ORDER BY 1, 2"
    ) == [
        (DAY, "(unknown)", None, None, 3, 0, 0, 0, 0, 0, "713"),
        (DAY, META, "Test Meta A ", "facebook", 1523, 1, 1, Decimal("7825.5"), 75, 75, "713"),
        (
            DAY,
            GOOGLE,
            "Test Google B",
            "google",
            11,
            0,
            1,
            Decimal("50.47"),
            0,
            Decimal("2.5"),
            "713",
        ),
        (NEXT, META, "Test Meta A ", "facebook", 7, 1, 1, 27, 75, 75, "713"),
    ]
    assert ask("SELECT day, rows, vendor_total FROM redtrack.windows ORDER BY day") == [
        (DAY, 3, Decimal("7875.97")),
        (NEXT, 1, 27),
    ]


def test_two_loads_leave_what_one_leaves(any_warehouse: Project, vendor: VendorServer) -> None:
    load("redtrack", "713")
    load("redtrack", "713")
    assert ask(SPEND) == AS_SEEDED
    assert ask("SELECT count(*), count(DISTINCT id) FROM redtrack.conversions") == [(3, 3)]
    assert ask("SELECT count(*) FROM redtrack.sources") == [(2,)]
    assert ask("SELECT count(*) FROM redtrack.restatements") == [(0,)]


def test_a_changed_a_vanished_and_a_late_row_are_the_vendors_after_a_second_read(
    any_warehouse: Project, vendor: VendorServer, account: RedTrackAccount
) -> None:
    load("redtrack", "713", "daily_spend")
    account.traffic[0] = account.traffic[0]._replace(cost=Decimal("7855.67"))
    del account.traffic[1], account.conversions[1]
    account.traffic.append(Hit(NEXT_NOON, GOOGLE, 4, Decimal("1.5")))
    run = load("redtrack", "713", "daily_spend")
    assert ask(SPEND) == [
        (DAY, "(unknown)", 3, 0),
        (DAY, META, 1523, Decimal("7855.67")),
        (NEXT, META, 7, 27),
        (NEXT, GOOGLE, 4, Decimal("1.5")),
    ]
    noted = ask(
        "SELECT day, key, before IS NULL, after IS NULL, run_id FROM redtrack.restatements ORDER BY"
        " 1, 2"
    )
    assert noted == [
        (DAY, f"source_id={META}", False, False, run),
        (DAY, f"source_id={GOOGLE}", False, True, run),
        (NEXT, f"source_id={GOOGLE}", True, False, run),
    ]


def test_days_are_those_of_the_clients_zone(vendor: VendorServer, account: RedTrackAccount) -> None:
    account.zone = "UTC"
    late = datetime(2026, 3, 3, 4, 59, tzinfo=UTC)  # 23:59 in New York, the evening before
    account.traffic[:] = [
        Hit(late, META, 1, Decimal(5)),
        Hit(late + timedelta(minutes=1), META, 1, Decimal(7)),
    ]
    account.conversions.clear()
    load("redtrack", "713", "daily_spend")
    assert ask(SPEND) == [(DAY, META, 1, 5), (NEXT, META, 1, 7)]


def test_a_day_of_25_hours_is_read_whole(
    project: Project, vendor: VendorServer, account: RedTrackAccount
) -> None:
    add(project, vendor, start_date="2025-11-02", end_date="2025-11-02")
    first, last = datetime(2025, 11, 2, 4, tzinfo=UTC), datetime(2025, 11, 3, 4, 59, tzinfo=UTC)
    account.traffic[:] = [Hit(first, META), Hit(last, META), Hit(last + timedelta(minutes=1), META)]
    load("redtrack", "713", "daily_spend")
    assert ask(SPEND) == [(date(2025, 11, 2), META, 2, 0)]


def test_days_are_read_one_by_one_where_grouping_by_date_is_not_honoured(
    vendor: VendorServer, account: RedTrackAccount
) -> None:
    account.honours_dates = False
    load("redtrack", "713", "daily_spend")
    assert ask(SPEND) == AS_SEEDED
    assert ask("SELECT day, vendor_total FROM redtrack.windows ORDER BY day") == [
        (DAY, Decimal("7875.97")),
        (NEXT, 27),
    ]


def test_one_row_for_everything_is_refused(
    vendor: VendorServer, account: RedTrackAccount, tmp_path: Path
) -> None:
    account.honours_groups = False
    with pytest.raises(VendorDataError, match="did not group by source"):
        read("daily_spend", tmp_path)


def test_rows_without_a_source_are_one_row_a_day_and_nothing_of_them_is_lost(
    vendor: VendorServer, account: RedTrackAccount
) -> None:
    account.traffic += [
        Hit(NOON, "", 2, Decimal("1.25"), "Deleted source"),
        Hit(NOON, "", 1, Decimal("0.5"), "Older"),
    ]
    load("redtrack", "713", "daily_spend")
    unknown = (
        "SELECT clicks, cost, total_conversions FROM redtrack.daily_spend WHERE source_id ="
        " '(unknown)'"
    )
    assert ask(unknown) == [(6, Decimal("1.75"), 0)]
    held = ask(f"SELECT sum(cost) FROM redtrack.daily_spend WHERE date = '{DAY}'")
    assert held == ask(f"SELECT vendor_total FROM redtrack.windows WHERE day = '{DAY}'")


@pytest.mark.parametrize("wraps", [False, True])
def test_a_report_of_several_pages_comes_whole_in_either_shape(
    vendor: VendorServer, account: RedTrackAccount, tmp_path: Path, wraps: bool
) -> None:
    account.wraps = wraps
    have_sources(account, 1_203)
    found = read("daily_spend", tmp_path)
    assert (found.rows, found.totals[DAY]) == (1_203, Decimal("300.75"))


def test_pages_that_are_cut_shorter_than_asked_for_are_read_to_the_end(
    vendor: VendorServer, account: RedTrackAccount, tmp_path: Path
) -> None:
    account.longest_page = 100
    have_sources(account, 237)
    assert read("daily_spend", tmp_path).rows == 237


def test_a_source_that_slips_between_two_pages_is_read_again(
    vendor: VendorServer, account: RedTrackAccount, tmp_path: Path
) -> None:
    have_sources(account, 1_203)
    account.unstable = 1
    body = Path(read("daily_spend", tmp_path).body).read_text()
    assert all(f"{number:024x}" in body for number in range(1_203))
    assert {request.query["per"] for request in vendor.asked("/report")} == {"1000", "499"}


def have_sources(account: RedTrackAccount, count: int) -> None:
    """So many sources with a click each, and nothing else."""
    account.traffic[:] = [
        Hit(NOON, f"{number:024x}", 1, Decimal("0.25")) for number in range(count)
    ]
    account.conversions.clear()


def test_an_answer_without_rows_empties_the_days(
    vendor: VendorServer, account: RedTrackAccount
) -> None:
    load("redtrack", "713", "daily_spend")
    account.traffic.clear()
    account.conversions.clear()
    load("redtrack", "713", "daily_spend")
    assert ask(SPEND) == []
    assert ask("SELECT day, rows, vendor_total FROM redtrack.windows ORDER BY day") == [
        (DAY, 0, 0),
        (NEXT, 0, 0),
    ]


def test_a_long_span_is_asked_for_in_months(project: Project, vendor: VendorServer) -> None:
    add(project, vendor, start_date="2026-01-15", end_date="2026-03-03")
    load("redtrack", "713", "daily_spend")
    spans = {
        (request.query["date_from"], request.query["date_to"])
        for request in vendor.asked("/report")
    }
    assert spans == {("2026-01-15", "2026-02-14"), ("2026-02-15", "2026-03-03")}
    assert ask(SPEND) == AS_SEEDED


def test_money_is_exact_to_four_places(vendor: VendorServer, account: RedTrackAccount) -> None:
    account.traffic[:] = [
        Hit(NOON, META, 1, Decimal("0.00005")),
        Hit(NOON, GOOGLE, 1, Decimal("1234567.1234")),
    ]
    load("redtrack", "713", "daily_spend")
    assert ask("SELECT cost FROM redtrack.daily_spend WHERE clicks > 0 ORDER BY 1") == [
        (Decimal("0.0001"),),
        (Decimal("1234567.1234"),),
    ]


def test_a_list_whose_pages_never_change_is_not_taken_for_a_whole_one() -> None:
    page = paging.Page([{"id": str(number)} for number in range(5)], None)
    listing = paging.read_list(lambda number, size: page, 5)
    assert not listing.is_whole(lambda row: row["id"])


def test_pages_that_are_cut_at_an_odd_size_replace_nothing(
    any_warehouse: Project, vendor: VendorServer, account: RedTrackAccount
) -> None:
    load("redtrack", "713", "daily_spend")
    account.longest_page, account.counts = 1, False
    with pytest.raises(
        VendorDataError, match="the vendor's own total of 2026-03-02 is 7875.97"
    ) as failed:
        load("redtrack", "713", "daily_spend")
    assert decide(failed.value, 1).wait == 1
    assert ask(SPEND) == AS_SEEDED


def test_pages_that_are_cut_at_an_odd_size_are_noticed_also_where_nothing_costs_anything(
    vendor: VendorServer, account: RedTrackAccount, tmp_path: Path
) -> None:
    account.traffic = [hit._replace(cost=Decimal(0)) for hit in account.traffic]
    assert read("daily_spend", tmp_path).rows == 4
    account.longest_page, account.counts = 1, False
    with pytest.raises(
        VendorDataError, match=r"the vendor's own total of 2026-03-02 is 1537 \(clicks\), and"
    ):
        read("daily_spend", tmp_path)


def test_cost_that_cannot_be_read_is_null_and_explains_the_total(
    vendor: VendorServer, tmp_path: Path
) -> None:
    vendor.fail(
        "/report",
        status=200,
        body=(
            '[{"date":"2026-03-02","source_id":"a","cost":NaN},{"date":"2026-03-02","source_id":"b","cost":7},'
            '{"date":"2026-03-03","source_id":"b","cost":"12,5"},{"date":"0000-00-00","source_id":"b","cost":1}]'
        ),
    )
    piece = read("daily_spend", tmp_path)
    assert piece.rows == 3
    assert [text.count("cost") for _, text in sorted(piece.set_aside.items())] == [1, 1]
