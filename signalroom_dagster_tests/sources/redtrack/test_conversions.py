"""RedTrack's conversion log: every conversion once, on the client's day, with nothing that is a
person's.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest

from signalroom_dagster.retries import root_error
from signalroom_dagster.sandbox.redtrack_data import RedTrackAccount, conversion_row
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.http import VendorDataError
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

PLACED = "SELECT id, date FROM redtrack.conversions ORDER BY id"
EVENING = datetime(2026, 3, 3, 4, 59, tzinfo=UTC)  # 23:59 in New York, the day before


def test_conversions_are_what_the_log_says(
    any_warehouse: Project, vendor: VendorServer, account: RedTrackAccount
) -> None:
    account.conversions[0] |= {
        "clickid": "65fa",
        "order": "o1",
        "sub1": "65fa",
        "cost": 1.25,
        "rt_ad": "ad ",
    }
    load("redtrack", "713", "conversions")
    assert ask(
        "SELECT id, date, click_id, type, is_default_type, status, payout, cost, source_id,"
        " order_id, sub1, rt_ad, _client_id FROM redtrack.conversions ORDER BY id"
    ) == [
        (
            "c1",
            DAY,
            "65fa",
            "Purchase",
            True,
            "approved",
            75,
            Decimal("1.25"),
            META,
            "o1",
            "65fa",
            "ad ",
            "713",
        ),
        (
            "c2",
            DAY,
            None,
            "Lead",
            False,
            "approved",
            Decimal("2.5"),
            0,
            GOOGLE,
            None,
            None,
            None,
            "713",
        ),
        ("c3", NEXT, None, "Purchase", True, "approved", 75, 0, META, None, None, None, "713"),
    ]
    ((converted_at,),) = ask("SELECT converted_at FROM redtrack.conversions WHERE id = 'c1'")
    assert converted_at.astimezone(UTC) == NOON
    assert ask("SELECT day, rows, vendor_total FROM redtrack.windows ORDER BY day") == [
        (DAY, 2, 2),
        (NEXT, 1, 1),
    ]


def test_edited_vanished_and_late_conversions_are_the_vendors_after_a_second_read(
    any_warehouse: Project, vendor: VendorServer, account: RedTrackAccount
) -> None:
    load("redtrack", "713", "conversions")
    account.conversions[0] |= {"payout": 80, "status": "declined"}
    del account.conversions[1]
    account.conversions.append(conversion_row("c0", NOON, META, payout=1))
    load("redtrack", "713", "conversions")
    assert ask("SELECT id, status, payout FROM redtrack.conversions ORDER BY id") == [
        ("c0", "approved", 1),
        ("c1", "declined", 80),
        ("c3", "approved", 75),
    ]
    assert ask(
        "SELECT key, before IS NULL, after IS NULL FROM redtrack.restatements ORDER BY 1"
    ) == [("id=c0", True, False), ("id=c1", False, False), ("id=c2", False, True)]


def test_nothing_that_is_a_persons_and_no_token_has_a_column(
    vendor: VendorServer, account: RedTrackAccount
) -> None:
    load("redtrack", "713")
    found = ask(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'redtrack'"
    )
    columns = {name for (name,) in found}
    private = {
        "ip",
        "postback_ip",
        "user_agent",
        "referer",
        "page_url",
        "url",
        "fingerprint",
        "city",
        "pixels",
    }
    assert not columns & (
        private | {"deduplicate_token", "postback_token", "postback_url", "external_id", "ref_id"}
    )
    for table in ("conversions", "sources", "campaigns", "offers"):
        told = str(ask(f"SELECT * FROM redtrack.{table}"))
        assert "secret" not in told
        assert "example.test" not in told
        assert "192.0.2." not in told


@pytest.mark.parametrize(
    ("moments", "zone", "known"),
    [
        ("naive", "America/New_York", False),
        ("utc", "UTC", False),
        ("naive", "UTC", True),
        ("offset", "Asia/Tokyo", True),
    ],
)
def test_days_are_the_clients_whatever_the_accounts_zone_and_words(
    project: Project,
    vendor: VendorServer,
    account: RedTrackAccount,
    moments: Literal["utc", "offset", "naive"],
    zone: str,
    known: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account.zone, account.moments = zone, moments
    account.conversions[:] = [
        conversion_row("before", EVENING - timedelta(days=1), META),
        conversion_row("evening", EVENING, META),
        conversion_row("midnight", EVENING + timedelta(minutes=1), META),
    ]
    add(project, vendor, account_timezone=zone)
    if not known:
        monkeypatch.delenv("SOURCES__REDTRACK__CLIENTS__713__ACCOUNT_TIMEZONE")
    load("redtrack", "713", "conversions")
    assert ask(PLACED) == [("evening", DAY), ("midnight", NEXT)]
    assert ask("SELECT day, vendor_total FROM redtrack.windows ORDER BY day") == [
        (DAY, 1),
        (NEXT, 1),
    ]


def test_a_wrong_account_zone_is_said_and_not_guessed(
    vendor: VendorServer, account: RedTrackAccount, tmp_path: Path
) -> None:
    account.zone = "UTC"
    account.conversions[:] = [conversion_row("early", datetime(2026, 3, 2, 1, tzinfo=UTC), META)]
    with pytest.raises(VendorDataError, match="is account_timezone right"):
        read("conversions", tmp_path)


def test_an_empty_log_empties_the_days(vendor: VendorServer, account: RedTrackAccount) -> None:
    load("redtrack", "713", "conversions")
    account.conversions.clear()
    account.nothing = None
    load("redtrack", "713", "conversions")
    assert ask(PLACED) == []
    assert ask("SELECT day, rows, vendor_total FROM redtrack.windows ORDER BY day") == [
        (DAY, 0, 0),
        (NEXT, 0, 0),
    ]


@pytest.mark.parametrize(("unstable", "asked"), [(0, {"10000"}), (1, {"10000", "4999"})])
def test_pages_are_read_to_the_count_whatever_their_length_and_again_when_a_row_slips(
    vendor: VendorServer, account: RedTrackAccount, tmp_path: Path, unstable: int, asked: set[str]
) -> None:
    account.longest_log, account.unstable = 100, unstable
    account.conversions[:] = [conversion_row(f"c{number:03}", NOON, META) for number in range(237)]
    found = read("conversions", tmp_path)
    assert (found.rows, found.totals[DAY]) == (237, 237)
    assert {request.query["per"] for request in vendor.asked("/conversions")} == asked


def test_a_row_that_the_vendor_sends_twice_is_loaded_once(
    vendor: VendorServer, account: RedTrackAccount
) -> None:
    account.conversions.append(dict(account.conversions[0]))
    load("redtrack", "713", "conversions")
    assert ask(PLACED) == [("c1", DAY), ("c2", DAY), ("c3", NEXT)]
    assert ask("SELECT day, vendor_total FROM redtrack.windows ORDER BY day") == [
        (DAY, 2),
        (NEXT, 1),
    ]


def test_a_count_that_is_never_reached_fails_and_leaves_what_was_loaded(
    vendor: VendorServer, account: RedTrackAccount
) -> None:
    load("redtrack", "713", "conversions")
    account.lost = 1
    account.conversions.append(conversion_row("c4", NEXT_NOON, META))
    with pytest.raises(
        Exception, match="does not give its whole list: 2 of 3 in pages of 10000"
    ) as failed:
        load("redtrack", "713", "conversions")
    assert isinstance(root_error(failed.value), VendorDataError)
    assert ask(PLACED) == [("c1", DAY), ("c2", DAY), ("c3", NEXT)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('"id":"c9","conv_time":"soon"', "only 0 of 1 rows .*: without its day"),
        (
            '"id":"c9","conv_time":"0001-01-01T00:00:00Z","created_at":""',
            "only 0 of 1 rows .*: without its day",
        ),
        ('"id":"","conv_time":"2026-03-02T15:00:00Z"', "only 0 of 1 rows .*: without its key"),
        (
            '"id":"c9","conv_time":"2026-03-20T10:00:00Z"',
            "a conversion of 2026-03-20 among those of 2026-03-02 to",
        ),
    ],
)
def test_rows_none_of_which_can_be_placed_fail_in_words(
    vendor: VendorServer, tmp_path: Path, row: str, said: str
) -> None:
    vendor.fail("/conversions", status=200, body=f'{{"items":[{{{row}}}],"total":1}}')
    with pytest.raises(VendorDataError, match=said):
        read("conversions", tmp_path)


def test_a_time_that_cannot_be_read_is_null_and_the_row_is_of_the_day_it_was_made(
    vendor: VendorServer, tmp_path: Path
) -> None:
    rows = [
        '"id":"c1","conv_time":"-0001-11-30T00:00:00Z","created_at":"2026-03-02T15:00:00Z"',
        '"id":"c2","conv_time":"2026-03-02T15:00:00Z","track_time":"9999-12-31T23:59:59Z"',
        '"id":"c3","conv_time":"2026-03-02T15:00:00Z","track_time":"10000-01-01"',
        '"id":"","conv_time":"2026-03-02T15:00:00Z"',
    ]
    body = f'{{"items":[{",".join(f"{{{row}}}" for row in rows)}, null],"total":5}}'
    vendor.fail("/conversions", status=200, body=body)
    piece = read("conversions", tmp_path)
    assert (piece.rows, piece.totals) == (3, {DAY: 5})
    assert "converted_at" in piece.set_aside[DAY]
    assert "clicked_at" in piece.set_aside[DAY]
    assert "without its key" in piece.set_aside[DAY]
