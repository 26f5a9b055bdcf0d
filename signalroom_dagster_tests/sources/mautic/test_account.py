"""Mautic's tokens: one for a whole run, renewed in time or after a refusal, and never shown to
anybody.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from signalroom_dagster.loading.pipelines import preview_load, run_with_retries
from signalroom_dagster.registry import accounts
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.retries import decide, root_error
from signalroom_dagster.sandbox.mautic_data import MauticInstance
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.mautic.account import Account
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.mautic.instances import account_of, configure, ids, read

TOKEN = "/oauth/v2/token"
KEY = "SOURCES__MAUTIC__CLIENTS__713__CLIENT_SECRET"
ONE = {"limit": 1}


@pytest.fixture
def mautic(duck: VendorServer) -> Account:
    return account_of("713")


def failure() -> tuple[str, bool]:
    """What reading contacts fails with, and whether it would be tried again."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        read("contacts")
    return str(caught.value), decide(caught.value, 1).wait is not None


def test_one_token_serves_a_run_and_is_asked_for_with_a_form(duck: VendorServer) -> None:
    load("mautic", "713")
    assert len(duck.asked("/api/")) == 4
    (asked,) = duck.asked(TOKEN)
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.body == b"grant_type=client_credentials&client_id=id-713&client_secret=secret-713"
    assert asked.query == {}


def test_threads_share_a_token_and_its_successor(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    configure(project, duck, instance, requests_at_once="4")
    mautic = account_of("713")
    with ThreadPoolExecutor(4) as threads:
        for tokens in (1, 2):
            answers = threads.map(lambda _: mautic.get("/api/contacts", ONE)["total"], range(8))
            assert list(answers) == ["3"] * 8
            assert len(duck.asked(TOKEN)) == tokens
            instance.tokens.clear()


def test_clients_of_one_server_share_its_pace(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    ours = account_of("713")
    credentials = {
        "base_url": ours.api.base_url + "/",
        "client_id": "id-cti",
        "client_secret": "secret-cti",
    }
    project.add_api_client("cti", "mautic", **credentials)
    theirs = account_of("cti")
    assert theirs.api.limit.account == ours.api.limit.account


def test_a_token_is_renewed_before_it_runs_out(
    duck: VendorServer, instance: MauticInstance, mautic: Account
) -> None:
    instance.token_seconds = 0.6
    for _ in range(2):
        mautic.get("/api/contacts", ONE)
        mautic.get("/api/contacts", ONE)
        time.sleep(0.35)
    assert len(duck.asked(TOKEN)) == 2
    assert len(duck.asked("/api/contacts")) == 4


def test_a_minute_before_its_end_a_long_token_is_renewed(
    duck: VendorServer, mautic: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = time.monotonic()
    for second, tokens in ((0, 1), (3_530, 1), (3_545, 2)):
        monkeypatch.setattr(
            "signalroom_dagster.sources.mautic.account.monotonic", lambda s=second: started + s
        )
        mautic.get("/api/contacts", ONE)
        assert len(duck.asked(TOKEN)) == tokens


def test_a_token_that_is_refused_is_replaced_and_the_request_repeated_once(
    duck: VendorServer, instance: MauticInstance, mautic: Account
) -> None:
    mautic.get("/api/contacts", ONE)
    instance.tokens.clear()
    assert mautic.get("/api/contacts", ONE)["total"] == "3"
    assert len(duck.asked(TOKEN)) == 2
    assert len(duck.asked("/api/contacts")) == 3


def test_a_second_refusal_is_one_of_the_credentials(duck: VendorServer) -> None:
    duck.fail(
        "/api/contacts",
        status=401,
        times=9,
        body='{"errors":[{"code":401,"message":"expired","type":null}]}',
    )
    with pytest.raises(Exception, match=f"client 713, source mautic: .*401.*{KEY}"):
        run_with_retries("mautic", get_client("713"), "run", ["contacts"])
    assert len(duck.asked("/api/contacts")) == 2
    assert len(duck.asked(TOKEN)) == 2


def test_wrong_credentials_are_tried_once_and_named(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    project.configure("713", "mautic", client_secret="not-the-secret")
    with pytest.raises(Exception) as caught:  # noqa: PT011
        run_with_retries("mautic", get_client("713"), "run", ["contacts"])
    said = str(root_error(caught.value))
    assert "client 713, source mautic" in said
    assert "invalid_client: The client credentials are invalid" in said
    assert "SOURCES__MAUTIC__CLIENTS__713__CLIENT_ID" in said
    assert KEY in said
    assert "not-the-secret" not in said
    assert len(duck.requests) == 1


def test_neither_token_nor_secret_gets_into_an_error(duck: VendorServer) -> None:
    said = '{"error":"secret-713 of id-713","error_description":"%s of nobody@example.test"}'
    for path, token in ((TOKEN, ""), ("/api/contacts", "sandbox-token-713-1")):
        duck.fail(path, status=500, body=said % token)
        error, _ = failure()
        assert "*** of ***" in error
        for secret in ("secret-713", "id-713", "token-713", "example.test"):
            assert secret not in error


def test_an_api_that_is_switched_off_says_where_to_switch_it_on(
    duck: VendorServer, instance: MauticInstance
) -> None:
    instance.enabled = False
    error, again = failure()
    assert "enable it in Mautic, Configuration > API Settings" in error
    assert KEY not in error
    assert not again


THROTTLED = (
    '{"errors":[{"code":429,"message":"You exceeded the rate limit of 50 API calls per'
    ' hour.","details":[]}]}'
)


@pytest.mark.parametrize(
    ("path", "how", "said"),
    [
        ("/api/contacts", {"status": 429, "body": THROTTLED}, "429: You exceeded the rate limit"),
        ("/api/contacts", {"status": 502, "body": "<html>Bad Gateway</html>"}, "502: Bad Gateway"),
        ("/api/contacts", {"status": 200, "body": "<html>login</html>"}, "is not JSON"),
        ("/api/contacts", {"status": 200, "body": '{"total": "3", "contacts": {'}, "is not JSON"),
        (
            "/api/contacts",
            {"status": 200, "body": '{"total": "3"', "cut": True},
            "got no whole answer",
        ),
        ("/api/contacts", {"status": 200, "body": "[]"}, "no object"),
        ("/api/contacts", {"status": 200, "body": '{"total": "3"}'}, "without contacts"),
        ("/api/contacts", {"status": 200, "body": '{"contacts": {}}'}, "without a total"),
        (TOKEN, {"status": 200, "body": "{}"}, "without a token"),
        (TOKEN, {"status": 502, "body": "<html>"}, "502"),
    ],
)
def test_a_passing_failure_is_one_to_try_again(
    duck: VendorServer, path: str, how: dict[str, Any], said: str
) -> None:
    duck.fail(path, **how)
    error, again = failure()
    assert said in error
    assert again


def test_a_failure_between_two_pages_leaves_nothing_half_loaded(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    configure(project, duck, instance, page_size="2")
    duck.fail("/api/contacts", status=200, body='{"total": "3", "contacts": {', skip=1)
    with pytest.raises(Exception, match="is not JSON"):
        load("mautic", "713", "contacts")
    assert ids("contacts") == []
    assert ask("SELECT count(*) FROM mautic.windows") == [(0,)]


def test_what_a_run_has_committed_its_next_attempt_leaves_alone(vendor: VendorServer) -> None:
    vendor.fail("/api/campaigns", status=503)
    load("mautic", "713", "contacts", "emails", "email_stats", run_id="one")
    with pytest.raises(Exception, match="503"):
        load("mautic", "713", run_id="one")
    vendor.requests.clear()
    load("mautic", "713", run_id="one")
    assert [request.path.partition("/api/")[2] for request in vendor.asked("/api/")] == [
        "campaigns"
    ]
    assert ids("contacts") == [1, 2, 3]


def test_a_preview_says_what_would_be_read_and_asks_nothing(duck: VendorServer) -> None:
    planned = {piece.resource: piece.why for piece in preview_load("mautic", get_client("713"))}
    assert planned == {
        "contacts": "all contacts",
        "emails": "the whole list",
        "campaigns": "the whole list",
        "email_stats": "all email_stats",
    }
    assert duck.requests == []


def test_a_preview_says_what_of_changes_would_be_read_and_since_when(duck: VendorServer) -> None:
    load("mautic", "713", "contacts", "email_stats")
    ask(
        "UPDATE mautic.windows SET loaded_at = %s RETURNING 1", datetime(2026, 3, 5, 12, tzinfo=UTC)
    )
    planned = {piece.resource: piece.why for piece in preview_load("mautic", get_client("713"))}
    assert planned["contacts"] == "changed or new since 2026-03-05 11:50:00 UTC"
    assert (
        planned["email_stats"]
        == "sent in the last 14 days, sent or opened since 2026-03-05 11:50:00 UTC, or new"
    )


def test_doctor_asks_for_one_contact_in_short(duck: VendorServer) -> None:
    assert accounts.probe("mautic", get_client("713")) == "3 contacts"
    assert [request.query for request in duck.asked("/api/")] == [{"limit": "1", "minimal": "1"}]
