"""E-mail statistics in the warehouse follow Mautic's: rows go on changing long after they were
sent.
"""

from datetime import UTC, datetime

import pytest

from signalroom_dagster.retries import decide
from signalroom_dagster.sandbox.mautic_data import MauticInstance, stat_row
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.mautic.instances import (
    ADDED,
    ago,
    configure,
    ids,
    read,
    sql,
    swept_days_ago,
)


def test_text_becomes_numbers_flags_and_moments_in_utc(
    vendor: VendorServer, instance: MauticInstance
) -> None:
    opened = {
        "is_read": "1",
        "open_count": "2",
        "date_read": "2026-03-05 11:00:00",
        "last_opened": None,
    }
    instance.stats[9001] |= opened
    instance.stats[9002] |= {"lead_id": None, "email_id": None}
    load("mautic", "713", "email_stats")
    assert ask(
        "SELECT id, email_id, lead_id, date_sent, is_read, is_failed, date_read, last_opened,"
        " open_count, source, source_id FROM mautic.email_stats ORDER BY id"
    )[:2] == [
        (
            9001,
            5,
            1,
            ADDED,
            True,
            False,
            datetime(2026, 3, 5, 11, tzinfo=UTC),
            None,
            2,
            "campaign.event",
            11,
        ),
        (9002, None, None, ADDED, False, False, None, None, 0, "campaign.event", 11),
    ]


def test_addresses_hashes_and_serialized_details_are_not_stored(duck: VendorServer) -> None:
    stored = str(read("email_stats").rows)
    for secret in ("example.test", "65f0", "192.0.2", "a:1:"):
        assert secret not in stored


def test_new_opened_and_failed_rows_are_merged(
    vendor: VendorServer, instance: MauticInstance
) -> None:
    for number, sent in ((9007, ago(days=12)), (9008, ago(days=20))):
        instance.stats[number] = stat_row(number, 5, 1, sent)
    load("mautic", "713", "email_stats")
    now = sql(ago(minutes=5))
    instance.stats[9001] |= {"is_read": "1", "last_opened": now, "open_count": "3"}
    instance.stats[9002] |= {"is_read": "1", "date_read": now}
    instance.stats[9003] |= {
        "is_read": "1",
        "last_opened": sql(ago(minutes=25)),
    }  # before the overlap: known already
    instance.stats[9007] |= {"is_failed": "1"}
    instance.stats[9008] |= {"is_failed": "1"}
    instance.stats[9009] = stat_row(9009, 6, 2, ADDED)
    load("mautic", "713", "email_stats")
    assert ask("SELECT id, is_read, is_failed, open_count FROM mautic.email_stats ORDER BY id") == [
        (9001, True, False, 3),
        (9002, True, False, 0),
        (9003, False, False, 0),
        (9004, False, False, 0),
        (9005, False, False, 0),
        (9006, False, False, 0),
        (9007, False, True, 0),
        (9008, False, False, 0),
        (9009, False, False, 0),
    ]


def test_rows_read_on_the_way_through_the_passes_do_not_hide_new_ones(
    duck: VendorServer, instance: MauticInstance
) -> None:
    first = read("email_stats")
    instance.stats[9020] = stat_row(9020, 5, 1, ago(days=1))
    instance.stats[9010] = stat_row(9010, 5, 1, ADDED)
    second = read("email_stats", after=first)
    assert set(second.ids) == {9010, 9020}
    read("email_stats", after=second)
    assert duck.asked("/api/stats")[-1].query["where[0][val]"] == "9020"


def test_a_run_that_looks_back_deeper_reads_what_was_sent_since_then(
    duck: VendorServer, instance: MauticInstance
) -> None:
    instance.stats[9007] = stat_row(9007, 5, 1, ago(days=20))
    first = read("email_stats")
    assert read("email_stats", after=first).ids == []
    again = read("email_stats", after=first, lookback_days=30)
    assert again.ids == [9007]
    assert again.why.startswith("sent in the last 30 days, sent or opened since ")


def test_mergers_and_deletions_reach_old_rows_with_the_sweep_of_a_month(
    vendor: VendorServer, instance: MauticInstance
) -> None:
    load("mautic", "713", "email_stats")
    instance.stats[9001]["lead_id"] = "2"
    del instance.stats[9006]
    load("mautic", "713", "email_stats")
    assert ask("SELECT lead_id FROM mautic.email_stats WHERE id = 9001") == [(1,)]
    swept_days_ago("email_stats", 31)
    load("mautic", "713", "email_stats")
    assert ask("SELECT lead_id FROM mautic.email_stats WHERE id = 9001") == [(2,)]
    assert ids("email_stats") == [9001, 9002, 9003, 9004, 9005]


def test_pages_go_on_by_id_with_a_limit_of_their_own(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    configure(project, duck, instance, stats_page_size="4")
    found = read("email_stats")
    asked = [request.query for request in duck.asked("/api/stats/email_stats")]
    assert [(query["where[0][val]"], query["limit"], query["start"]) for query in asked] == [
        ("0", "4", "0"),
        ("9004", "4", "0"),
    ]
    assert found.reading.counted == 6


def test_an_answer_that_ignores_the_filter_is_an_error_and_no_endless_loop(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    configure(project, duck, instance, stats_page_size="4")
    instance.ignores_where = True
    with pytest.raises(VendorDataError, match="does not keep to the order of ids"):
        read("email_stats")


def test_a_table_that_is_not_there_is_an_error_despite_its_status(
    duck: VendorServer, instance: MauticInstance
) -> None:
    instance.stats_known = False
    with pytest.raises(
        VendorDataError, match=r"answered without stats \(availableTables, tableColumns\)"
    ):
        read("email_stats")


@pytest.mark.parametrize(("code", "again"), [(500, True), (403, False)])
def test_errors_with_status_200_are_errors(
    duck: VendorServer, instance: MauticInstance, code: int, again: bool
) -> None:
    instance.stats_error = {
        "message": "no access for nobody@example.test",
        "code": code,
        "type": None,
    }
    with pytest.raises(
        Exception, match=r"answered 200 and reports an error: no access for \*\*\*"
    ) as caught:
        read("email_stats")
    assert (decide(caught.value, 1).wait is not None) == again
    assert ("CLIENT_SECRET and the role of its user" in str(caught.value)) != again
