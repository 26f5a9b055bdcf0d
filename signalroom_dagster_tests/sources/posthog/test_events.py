"""Events: every one once, however it comes, and never a run that looks complete and is not."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from signalroom_dagster.sandbox.posthog_data import PosthogProject, event_row
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.http import VendorDataError, VendorError
from signalroom_dagster.sources.posthog.hogql import COLUMNS
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.posthog.projects import (
    DAY,
    NEXT,
    add_project,
    failed_read,
    noon,
    read,
)

COUNTS = "SELECT count(*), count(DISTINCT uuid) FROM posthog.events"


def hogql(vendor: VendorServer) -> list[str]:
    return [request.json["query"]["query"] for request in vendor.asked("/query/")]


def pages(vendor: VendorServer) -> list[str]:
    return [query for query in hogql(vendor) if "ORDER BY" in query]


def test_an_event_is_what_posthog_has_of_it(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    seen = event_row(
        "a", "purchase", noon(), timestamp=noon(seconds=-1.5), value=1, nested={"a": [1, None]}
    )
    at.events.append(seen)
    add_project(any_warehouse, vendor, at)
    load("posthog", "713", "events")
    row = ask(
        "SELECT uuid, event, timestamp, created_at, ingested_on, distinct_id, person_id,"
        " session_id, _client_id FROM posthog.events"
    )
    assert row == [
        (
            seen["uuid"],
            "purchase",
            noon(seconds=-1.5),
            noon(),
            DAY,
            "visitor-p1",
            seen["person_id"],
            "session-p1",
            "713",
        )
    ]
    found = ask("SELECT properties FROM posthog.events")[0][0]
    assert (json.loads(found) if isinstance(found, str) else found) == json.loads(
        seen["properties"]
    )


def test_two_runs_equal_one(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events += [event_row(f"e{number}", "x", noon(minutes=number)) for number in range(8)]
    add_project(any_warehouse, vendor, at)
    load("posthog", "713", "events")
    once = ask("SELECT uuid, event, created_at FROM posthog.events ORDER BY 1")
    load("posthog", "713", "events")
    assert ask("SELECT uuid, event, created_at FROM posthog.events ORDER BY 1") == once
    assert len(once) == 8


def test_a_late_a_resent_and_a_deleted_event_after_a_second_read(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    """Late and changed ones are the vendor's; a deleted one stays, and the vendor's total shows
    that it is too many.
    """
    at.events += [event_row(name, "x", noon(NEXT)) for name in ("stays", "goes", "again")]
    add_project(any_warehouse, vendor, at)
    load("posthog", "713", "events")
    del at.events[1:]
    at.events.append(event_row("again", "renamed", noon(NEXT, hours=1)))
    at.events.append(event_row("late", "x", noon(NEXT, hours=2), timestamp=noon(DAY, days=-9)))
    load("posthog", "713", "events")
    assert ask("SELECT event, count(*) FROM posthog.events GROUP BY event ORDER BY event") == [
        ("renamed", 1),
        ("x", 3),
    ]
    assert ask("SELECT rows, vendor_total FROM posthog.windows WHERE day = %s", NEXT) == [(3, 3)]


def test_ties_at_a_page_edge_are_all_read(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events += [event_row(f"tie{number}", "x", noon(microseconds=123)) for number in range(10)]
    add_project(project, vendor, at)
    assert read(project) == 10
    assert len(pages(vendor)) == 4
    assert not any("OFFSET" in query for query in hogql(vendor))
    assert {request.json["refresh"] for request in vendor.asked("/query/")} == {"force_blocking"}


def test_a_full_last_page_is_followed_by_an_empty_one(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events += [event_row(f"e{number}", "x", noon(seconds=number)) for number in range(6)]
    add_project(project, vendor, at)
    assert read(project) == 6
    assert len(pages(vendor)) == 3


def test_an_event_sent_twice_is_one_event_as_it_came_last(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    """Twice in one instant, across a page edge, in another order, and again on the next day."""
    twin = event_row("twin", "x", noon())
    at.events += [
        event_row("resent", "new", noon(NEXT)),
        event_row("resent", "old", noon()),
        twin,
        twin,
        twin,
        twin,
    ]
    add_project(any_warehouse, vendor, at)
    load("posthog", "713", "events")
    rows = ask("SELECT event, ingested_on FROM posthog.events ORDER BY event")
    assert rows == [("new", NEXT), ("x", DAY)]
    assert ask("SELECT day, vendor_total FROM posthog.windows ORDER BY day") == [
        (DAY, 1),
        (NEXT, 1),
    ]


def test_an_event_far_older_than_its_arrival_is_found(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events += [
        event_row("new", "x", noon()),
        event_row("import", "x", noon(), timestamp=noon(days=-400)),
    ]
    add_project(project, vendor, at)
    assert read(project) == 2
    assert all("timestamp >= " in query or "timestamp < " in query for query in hogql(vendor))


def test_without_read_older_nothing_scans_the_whole_project(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events += [
        event_row("new", "x", noon()),
        event_row("import", "x", noon(), timestamp=noon(days=-400)),
    ]
    add_project(project, vendor, at, read_older="false")
    assert read(project) == 1
    assert not any("timestamp < " in query for query in hogql(vendor))


def test_a_scan_that_takes_too_long_says_how_to_do_without(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    add_project(project, vendor, at)
    vendor.fail("/query/", status=504, body="<html>Gateway Time-out</html>", skip=1)
    error = failed_read(project)
    assert isinstance(error, VendorError)
    assert error.status == 504
    assert "read_older = false" in str(error)


def test_an_event_that_appears_in_the_middle_fails_the_attempt_and_is_there_after_the_next(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events += [event_row(f"e{number}", "x", noon(seconds=number)) for number in range(4)]
    add_project(project, vendor, at)

    def appear(query: str) -> None:
        if "toString(uuid)) >" in query and len(at.events) == 4:
            at.events.append(event_row("appeared", "x", noon(hours=1)))

    at.on_query = appear
    error = failed_read(project)
    assert isinstance(error, VendorDataError)
    assert "gives 5 events" in str(error)
    assert "counts 4" in str(error)
    load("posthog", "713", "events")
    assert ask(COUNTS) == [(5, 5)]


def test_a_page_that_posthog_shortens_is_not_taken_for_the_last(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events += [event_row(f"e{number}", "x", noon(seconds=number)) for number in range(7)]
    at.clamp = 2
    add_project(project, vendor, at, page_rows="5")
    assert read(project) == 7


@pytest.mark.parametrize(
    "switches",
    [
        {"turned_columns": True, "zone": "UTC"},
        {"naive": True, "flat_types": True, "zone": "Asia/Tokyo"},
    ],
    ids=["turned", "naive"],
)
def test_answers_of_another_shape_are_read_the_same(
    project: Project, vendor: VendorServer, at: PosthogProject, switches: dict[str, Any]
) -> None:
    for name, value in switches.items():
        setattr(at, name, value)
    at.events += [event_row(f"e{number}", "x", noon(seconds=number)) for number in range(5)]
    add_project(project, vendor, at)
    load("posthog", "713", "events")
    assert ask("SELECT count(*), min(created_at), max(timestamp) FROM posthog.events") == [
        (5, noon(), noon(seconds=4))
    ]


def test_an_answer_from_the_cache_is_an_error(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    add_project(project, vendor, at)
    read(project)
    at.always_cached = True
    assert "from its cache" in str(failed_read(project))


def test_a_cursor_that_does_not_advance_is_an_error(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    """Pages that ignore the place would be read for ever."""
    at.events += [event_row(f"e{number}", "x", noon(seconds=number)) for number in range(4)]
    add_project(project, vendor, at)
    read(project)
    first = next(query for query in pages(vendor) if "toString(uuid)) >" not in query)
    whole = json.dumps(at.answered[first])
    vendor.fail("/query/", status=200, body=whole, skip=3)
    assert "does not advance" in str(failed_read(project))


def test_a_row_of_other_days_is_an_error(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events.append(event_row("a", "x", noon()))
    add_project(project, vendor, at)
    read(project)
    page = dict(at.answered[pages(vendor)[0]])
    row = [
        cell if "2026" not in str(cell) else "2026-03-09T12:00:00Z" for cell in page["results"][0]
    ]
    vendor.fail("/query/", status=200, body=json.dumps({**page, "results": [row]}), skip=2)
    assert "not asked for" in str(failed_read(project))


def test_properties_that_are_no_json_elsewhere_are_stored(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    """NaN, a NUL, and half of a surrogate pair: what scripts send and databases refuse."""
    seen = event_row("a", "x", noon())
    seen["properties"] = (
        '{"ratio": NaN, "text": "a\\u0000b", "cut": "smile \\ud83d", "whole": "\\ud83d\\ude00",'
        ' "n": 1.5}'
    )
    at.events.append(seen)
    add_project(any_warehouse, vendor, at)
    load("posthog", "713", "events")
    found = ask("SELECT properties FROM posthog.events")[0][0]
    found = json.loads(found) if isinstance(found, str) else found
    assert found == {"ratio": None, "text": "ab", "cut": "smile �", "whole": "😀", "n": 1.5}


def test_today_is_read_up_to_a_few_minutes_ago(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    now = datetime.now(UTC)
    at.events += [
        event_row("settled", "x", now - timedelta(minutes=10)),
        event_row("fresh", "x", now),
    ]
    started = (now - timedelta(days=2)).date()
    add_project(project, vendor, at, start_date=started.isoformat(), end_date="2100-01-01")
    assert read(project) == 1
    ends = {query.split("created_at < ")[1].split(")")[0] for query in pages(vendor)}
    assert len(ends) == 1


def test_a_load_reads_up_to_some_minutes_before_the_warehouses_now(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events += [
        event_row("settled", "x", noon(NEXT, minutes=-4)),
        event_row("fresh", "x", noon(NEXT, minutes=-2)),
    ]
    add_project(project, vendor, at)
    assert read(project, started_at=noon(NEXT)) == 1
    assert all(
        "created_at < toDateTime64('2026-03-03 11:57:00.000000'" in query for query in pages(vendor)
    )


@pytest.mark.parametrize(
    ("results", "said"),
    [([], "a count with 0 rows"), ([[1]], "not one cell for each column"), (["x"], "not one cell")],
)
def test_a_count_without_its_figures_does_not_pass_for_days_without_events(
    project: Project, vendor: VendorServer, at: PosthogProject, results: list[Any], said: str
) -> None:
    at.events.append(event_row("one", "x", noon()))
    add_project(project, vendor, at)
    answer = {"columns": ["places", "day_0", "day_1"], "types": [], "results": results}
    vendor.fail("/query/", status=200, body=json.dumps(answer))
    with pytest.raises(VendorDataError, match=f"client 713, source posthog: .*{said}"):
        load("posthog", "713", "events")
    assert ask("SELECT count(*) FROM posthog.windows") == [(0,)]


def test_days_are_the_clients_and_stretches_are_as_long_as_set(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events.append(event_row("evening", "x", datetime(2026, 3, 3, 4, 59, tzinfo=UTC)))
    add_project(project, vendor, at, end_date="2026-03-09", days_at_once="4")
    load("posthog", "713", "events")
    assert ask("SELECT ingested_on FROM posthog.events") == [(DAY,)]
    counted = sorted(
        query for query in hogql(vendor) if "sum(times)" in query and "timestamp >=" in query
    )
    assert [query.count("AS day_") for query in counted] == [4, 4]
    assert (
        "2026-03-09 04:00:00.000000" in counted[1]
    )  # the clocks of New York went forward on the 8th
    assert ask("SELECT count(*) FROM posthog.windows WHERE vendor_total IS NOT NULL") == [(8,)]


def test_a_day_that_was_read_before_its_last_minutes_had_settled_is_read_again(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    add_project(project, vendor, at, end_date="2026-03-20", lookback_days="1")
    load("posthog", "713", "events")
    day = date(2026, 3, 5)
    ask("UPDATE posthog.windows SET read_cursor = '2026-03-06T04:58:00+00:00' WHERE day = %s", day)
    at.events.append(event_row("last", "x", datetime(2026, 3, 6, 4, 59, tzinfo=UTC)))
    load("posthog", "713", "events")
    assert ask("SELECT ingested_on FROM posthog.events") == [(day,)]


def test_a_retry_reads_only_the_stretches_that_are_missing(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.events += [event_row("one", "x", noon()), event_row("two", "x", noon(NEXT))]
    add_project(project, vendor, at, days_at_once="1", read_older="false")
    vendor.fail("/query/", status=500, skip=2)
    with pytest.raises(Exception):  # noqa: B017, PT011
        load("posthog", "713", "events", run_id="one run")
    asked = len(hogql(vendor))
    load("posthog", "713", "events", run_id="one run")
    assert ask(COUNTS) == [(2, 2)]
    assert len(hogql(vendor)) - asked == 2


def test_what_is_broken_in_one_event_leaves_the_others_and_its_own_rest_alone(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    broken = {
        "half": '{"a": "\\ud83d", "told": "\\\\ud83d"}',
        "nul": '{"a": "\\u0000", "paid": 0.10000000000000000001}',
        "endless": '{"a": 1e400, "b": 2}',
        "deep": '{"a": ' + "[" * 3_000 + "]" * 3_000 + ', "b": 2}',
        "none": "{'a': 1}",
        "whole": '{"a": "\\ud83d\\ude00"}',
    }
    at.events += [event_row(name, name, noon(minutes=number)) for number, name in enumerate(broken)]
    told = [
        {**event, "session_id": "", "properties": broken[event["event"]]} for event in at.events
    ]
    rows = [[str(event[name]) for name in COLUMNS] for event in told]
    rows[0][COLUMNS.index("timestamp")] = "-0001-11-30T00:00:00+00:00"
    answer = {"columns": COLUMNS, "types": [], "results": rows}
    vendor.fail("/query/", status=200, body=json.dumps(answer), skip=2)  # after both counts
    add_project(any_warehouse, vendor, at, page_rows="100", read_older="true")
    load("posthog", "713", "events")
    loaded = {
        event: value if isinstance(value, dict | None) else json.loads(value, parse_float=Decimal)
        for event, value in ask("SELECT event, properties FROM posthog.events")
    }
    assert loaded["half"] == {"a": "\ufffd", "told": "\\ud83d"}
    assert loaded["endless"] == {"a": None, "b": 2}
    assert (loaded["deep"]["b"], loaded["none"], loaded["whole"]) == (2, None, {"a": "😀"})
    assert loaded["nul"]["a"] == ""
    ((aside,),) = ask("SELECT CAST(set_aside AS text) FROM posthog.windows WHERE day = %s", DAY)
    counts = [(entry["column"], entry["count"]) for entry in json.loads(aside)]
    assert sum(count for column, count in counts if column == "properties") == 5
    assert ("timestamp", 1) in counts
