"""The account: keys, projects, paces and errors, and what they say to a person."""

from types import SimpleNamespace

import pytest

from signalroom_dagster import retries
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.loading.pipelines import run_with_retries
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.retries import decide
from signalroom_dagster.sandbox import posthog as stand_in
from signalroom_dagster.sandbox.posthog_data import PosthogProject, event_row, sandbox_project
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster.sources import posthog
from signalroom_dagster.sources.http import VendorDataError, VendorError
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.posthog.projects import (
    add_project,
    failed_read,
    noon,
    opened,
    settings_of,
)


def test_the_probe_proves_that_the_key_may_query(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    add_project(project, vendor, at)
    assert posthog.probe(settings_of()) == "project 41 answers queries"
    assert [request.path for request in vendor.requests] == ["/posthog/api/projects/41/query/"]


def test_a_refused_key_fails_at_once_and_says_which_to_set(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    add_project(project, vendor, at)
    vendor.fail(
        "/query/", status=403, times=9, body='{"code": "refused", "detail": "phx_key-713 may not"}'
    )
    with pytest.raises(VendorError) as caught:
        run_with_retries("posthog", get_client("713"), "one run", ["events"])
    said = str(caught.value)
    assert len(vendor.requests) == 1
    assert "client 713, source posthog" in said
    assert "check SOURCES__POSTHOG__CLIENTS__713__API_KEY" in said
    assert "refused: *** may not" in said
    assert "phx_" not in said


def test_the_stand_in_knows_only_its_own_keys(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    add_project(project, vendor, at, api_key="phx_another")
    error = failed_read(project)
    assert "authentication_failed: Invalid personal API key." in str(error)
    assert "phx_" not in str(error)
    assert decide(error, 1).wait is None


def test_a_project_that_is_not_there_points_to_the_other_region(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    add_project(project, vendor, at, project_id="999")
    error = failed_read(project)
    assert "check project_id and host in [sources.posthog.clients.713]" in str(error)
    assert "https://eu.posthog.com" in str(error)
    assert decide(error, 1).wait is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"api_key": "phc_token"}, "api_key is not valid .*project token.*personal API key"),
        ({"host": "https://us.i.posthog.com"}, "host is not valid .*https://us.posthog.com"),
        ({"project_id": "phc_token"}, "project_id is not valid"),
        ({"page_rows": "50001"}, "page_rows is not valid"),
    ],
    ids=["token", "capture host", "project", "page"],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_asked(
    project: Project, vendor: VendorServer, at: PosthogProject, settings: dict[str, str], said: str
) -> None:
    add_project(project, vendor, at, **settings)
    with pytest.raises(ConfigurationError, match=said) as caught:
        settings_of()
    assert "client 713, source posthog" in str(caught.value)
    assert "phc_token" not in str(caught.value)


def test_key_and_project_are_never_shared(project: Project) -> None:
    project.set(SOURCES__POSTHOG__API_KEY="phx_shared", SOURCES__POSTHOG__PROJECT_ID="1")
    project.add_api_client("713", "posthog")
    with pytest.raises(ConfigurationError, match="api_key is missing.*project_id is missing"):
        settings_of()


def test_what_passes_is_tried_again_and_as_late_as_posthog_asks(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    """Too many in a minute, too many at once (which names no time), and a gateway that gave up, in
    HTML.
    """
    add_project(project, vendor, at)
    throttled = (
        '{"type": "throttled_error", "code": "throttled", "detail": "Expected available in 37'
        ' seconds."}'
    )
    vendor.fail("/query/", status=429, body=throttled, headers={"Retry-After": "37"})
    vendor.fail("/query/", status=429, body=throttled)
    vendor.fail(
        "/query/",
        status=504,
        body="<html>Gateway Time-out</html>",
        headers={"content-type": "text/html"},
    )
    assert [decide(failed_read(project), 1).wait for _ in range(3)] == [37, 1, 1]


def test_a_legacy_teams_allowance_ends_in_an_error_that_says_so(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    add_project(project, vendor, at)
    at.hourly = 1
    error = failed_read(project)
    assert isinstance(error, VendorError)
    assert (error.status, error.retry_after) == (429, "37")
    assert "throttled: Request was throttled" in str(error)


@pytest.mark.parametrize(("a_minute", "burst"), [("100", 10), ("2", 1)])
def test_queries_keep_to_their_pace_one_at_a_time(
    project: Project, vendor: VendorServer, at: PosthogProject, a_minute: str, burst: int
) -> None:
    """2 a minute are a legacy team's 120 an hour."""
    add_project(project, vendor, at, queries_per_minute=a_minute)
    known = opened()
    assert (known.queries.per_minute, known.queries.burst, known.queries.at_once) == (
        int(a_minute),
        burst,
        1,
    )
    assert known.api.limit.at_once == 2
    assert known.api.limit.account != known.queries.account


def test_a_query_that_posthog_refuses_is_not_asked_again(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    add_project(project, vendor, at)
    query = opened().query
    with pytest.raises(VendorError, match="hogql_query_error: OFFSET is not supported") as caught:
        query("x", "SELECT uuid FROM events LIMIT 10 OFFSET 10", ("uuid",))
    assert decide(caught.value, 1).wait is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"columns": ["one"]}', "without results"),
        ('{"results": [], "columns": []}', "without one"),
        ('{"query_status": {"complete": false}}', "without one"),
        ("[1]", "not an object"),
        ('{"results": [[1,', "not JSON"),
        ("<html>busy</html>", "not JSON"),
    ],
)
def test_an_answer_that_cannot_be_meant_is_an_error(
    project: Project, vendor: VendorServer, at: PosthogProject, body: str, said: str
) -> None:
    add_project(project, vendor, at)
    vendor.fail("/query/", status=200, body=body)
    with pytest.raises(VendorDataError, match=said):
        posthog.probe(settings_of())


def test_an_answer_that_breaks_off_is_tried_again_and_nothing_is_half_loaded(
    any_warehouse: Project,
    vendor: VendorServer,
    at: PosthogProject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at.events += [event_row(f"e{number}", "x", noon(seconds=number)) for number in range(4)]
    add_project(any_warehouse, vendor, at)
    counted: list[int] = []

    def wait(seconds: float) -> None:
        counted.append(ask("SELECT count(*) FROM posthog.events")[0][0])

    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=wait))
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=wait))
    vendor.fail("/query/", status=200, body='{"results": [', cut=True, skip=3)
    run_with_retries("posthog", get_client("713"), "one run", ["events"])
    assert counted == [0]
    assert ask("SELECT count(*) FROM posthog.events") == [(4,)]


def test_an_empty_project_leaves_the_other_clients_rows(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject, other: PosthogProject
) -> None:
    same = event_row("same", "x", noon())
    at.events.append(same)
    other.events.append({**same, "event": "theirs"})
    add_project(any_warehouse, vendor, at)
    add_project(any_warehouse, vendor, other, "cti")
    for client_id in ("713", "cti"):
        load("posthog", client_id, "events")
    at.events.clear()
    load("posthog", "713", "events")
    rows = ask("SELECT _client_id, event FROM posthog.events ORDER BY 1")
    assert rows == [("713", "x"), ("cti", "theirs")]


def test_the_sandbox_tells_the_same_story_for_both_clients(project: Project) -> None:
    with serve(stand_in.routes()) as server:
        for client_id in ("713", "cti"):
            project.add_api_client(client_id, "posthog", **stand_in.settings(client_id, server.url))
            load("posthog", client_id)
    for client_id in ("713", "cti"):
        known = sandbox_project(client_id)
        assert len(known.events) < 6_000
        found = ask(
            "SELECT sum(vendor_total), sum(rows) FROM posthog.windows WHERE _client_id = %s AND"
            " resource = %s",
            client_id,
            "events",
        )
        counted = ask(
            "SELECT count(*), count(DISTINCT uuid) FROM posthog.events WHERE _client_id = %s",
            client_id,
        )
        assert found == counted
        assert counted[0][0] > 1_000
    assert (
        ask(
            "SELECT count(*) FROM posthog.events WHERE timestamp < created_at - INTERVAL '20 hours'"
        )[0][0]
        > 10
    )
    assert ask("SELECT count(*) FROM posthog.experiments") == [(4,)]
