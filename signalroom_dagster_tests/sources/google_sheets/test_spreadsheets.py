"""Asking Google: every refusal says what to do about it, once, and nothing that is secret."""

import json
import time
from typing import Any

import pytest

from signalroom_dagster.config import work_dir
from signalroom_dagster.loading.pipelines import preview_load, run_with_retries
from signalroom_dagster.registry import accounts
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.retries import decide
from signalroom_dagster.sandbox import google_sheets as stand_in
from signalroom_dagster.sandbox.google_sheets import Google, account_email, service_account_key
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sections import source_settings
from signalroom_dagster.sources.google_sheets.service_account import open_account
from signalroom_dagster.sources.google_sheets.settings import Settings
from signalroom_dagster.sources.google_sheets.spreadsheets import open_api, read_book
from signalroom_dagster.sources.http import VendorDataError, VendorError, VendorUnreachableError
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.google_sheets.clients import SPEND, add_client

KEY_NAME = "SOURCES__GOOGLE_SHEETS__CLIENTS__713__CREDENTIALS"


def probe(client_id: str = "713") -> str:
    return accounts.probe("google_sheets", get_client(client_id))


def refusal() -> VendorError:
    with pytest.raises(VendorError) as raised:
        probe()
    return raised.value


def test_the_probe_says_who_may_read_how_much(duck: VendorServer) -> None:
    assert probe() == f"{account_email('713')} may read all spreadsheets (1, with 2 tabs)"
    assert not duck.asked("batchGet")


def test_planning_asks_nothing(duck: VendorServer) -> None:
    assert [planned.resource for planned in preview_load("google_sheets", get_client("713"))] == [
        "spend"
    ]
    assert not duck.requests


def test_a_spreadsheet_that_is_not_shared_names_the_address_to_share_it_with(
    duck: VendorServer, google: Google
) -> None:
    google.spreadsheets["book-713"].shared_with.clear()
    error = refusal()
    assert f"share the spreadsheet with {account_email('713')}" in str(error)
    assert decide(error, 1).wait is None


def test_an_api_that_is_switched_off_says_where_to_switch_it_on(
    duck: VendorServer, google: Google
) -> None:
    google.is_enabled = False
    assert "switch the Google Sheets API on" in str(refusal())
    assert "share" not in str(refusal())


def test_an_unknown_spreadsheet_and_an_excel_file_say_what_they_are(
    duck: VendorServer, google: Google
) -> None:
    google.spreadsheets["book-713"].is_excel_file = True
    assert "not a Google spreadsheet" in str(refusal())
    google.spreadsheets.clear()
    assert "check spreadsheet_id" in str(refusal())


def test_a_token_that_is_refused_is_one_attempt_that_names_client_source_and_key(
    duck: VendorServer, google: Google
) -> None:
    duck.fail(
        "spreadsheets/book-713$",
        status=401,
        times=9,
        body='{"error": {"status": "UNAUTHENTICATED"}}',
    )
    with pytest.raises(VendorError) as raised:
        run_with_retries("google_sheets", get_client("713"), "refused")
    for named in ("client 713", "google_sheets", "401", KEY_NAME):
        assert named in str(raised.value)
    assert len(duck.requests) == 2


def test_a_key_that_is_refused_is_one_attempt_that_names_client_source_and_key(
    duck: VendorServer, google: Google
) -> None:
    google.accounts.clear()
    with pytest.raises(VendorError) as raised:
        run_with_retries("google_sheets", get_client("713"), "refused")
    for named in ("client 713", "google_sheets", "invalid_grant", "account not found", KEY_NAME):
        assert named in str(raised.value)
    assert len(duck.requests) == 1


def test_a_key_of_somebody_else_does_not_pass_for_the_account(
    project: Project, server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in._key_pair.cache_clear()
    add_client(project, server)
    stand_in._key_pair.cache_clear()
    assert "Invalid JWT Signature" in str(refusal())


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 503, "body": "<html>unavailable"}, VendorError),
        ({"status": 400, "body": '{"error": "internal_failure"}'}, VendorError),
        (
            {"status": 200, "body": "<html>", "headers": {"content-type": "text/html"}},
            VendorDataError,
        ),
        ({"status": 200, "body": '{"token_type": "Bearer"}'}, VendorDataError),
        ({"status": 200, "body": '{"access_token": "', "cut": True}, VendorUnreachableError),
    ],
)
def test_a_token_endpoint_in_trouble_is_asked_once_and_left_to_the_steps_retries(
    duck: VendorServer, fault: dict[str, Any], kind: type[Exception]
) -> None:
    duck.fail("/token", times=9, **fault)
    started = time.monotonic()
    with pytest.raises(kind) as raised:
        probe()
    assert decide(raised.value, 1).wait is not None
    assert len(duck.requests) == 1
    assert time.monotonic() - started < 0.9


def test_neither_key_nor_token_gets_into_an_error_whatever_google_says(
    duck: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = service_account_key(account_email("713"), duck.url)["private_key"].splitlines()[1]
    duck.fail(
        "/token",
        status=400,
        body=json.dumps({"error": "invalid_grant", "error_description": f"not {key}"}),
    )
    assert key not in str(refusal())
    monkeypatch.setattr(stand_in.secrets, "token_hex", lambda size: "known")
    said = {
        "error": {
            "status": "PERMISSION_DENIED",
            "message": "ya29.sandbox-known of boss@example.test",
        }
    }
    duck.fail("book-713", status=403, body=json.dumps(said))
    error = str(refusal())
    assert "sandbox-known" not in error
    assert "boss@example.test" not in error


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 503}, VendorError),
        (
            {"status": 200, "body": "<html>", "headers": {"content-type": "text/html"}},
            VendorDataError,
        ),
        ({"status": 200, "body": '{"properties": {}}'}, VendorDataError),
        ({"status": 200, "body": '["something else"]'}, VendorDataError),
        ({"status": 200, "body": '{"properties": ', "cut": True}, VendorUnreachableError),
    ],
)
def test_sheets_in_trouble_are_asked_once_and_left_to_the_steps_retries(
    duck: VendorServer, fault: dict[str, Any], kind: type[Exception]
) -> None:
    duck.fail("book-713", times=9, **fault)
    with pytest.raises(kind) as raised:
        probe()
    assert decide(raised.value, 1).wait is not None
    assert len(duck.requests) == 2


def test_a_vendors_own_wait_stands_before_the_minute_of_a_quota(duck: VendorServer) -> None:
    duck.fail("book-713", status=429, headers={"Retry-After": "7"})
    assert decide(refusal(), 1).wait == 7


def test_one_bad_range_of_several_leaves_the_others(duck: VendorServer, google: Google) -> None:
    google.spreadsheets["book-713"].tabs |= {"Q1": [["a"]], "Bob's": [["b"]], "Empty": []}
    settings = source_settings(Settings, "google_sheets", "713")
    account = open_api(
        open_account(settings.credentials.get_secret_value()), settings.base_url, 600
    )
    wanted = ["'Q1'!A1:Z", "'Bob''s'", "Empty!A1:Z", "Gone!A1:Z", "Q1!A1:Z"]
    ranges = read_book(account, "book-713", wanted).ranges
    assert [ranges[name] for name in wanted[:3]] == [[["a"]], [["b"]], []]
    for name in wanted[3:]:
        error = ranges[name]
        assert isinstance(error, VendorError)
        assert error.status == 400


def test_clients_with_one_service_account_share_its_pace(
    project: Project, server: VendorServer
) -> None:
    for client_id in ("713", "cti"):
        credentials = json.dumps(service_account_key(account_email("713"), server.url))
        add_client(project, server, client_id, {"spend": SPEND}, credentials=credentials)
        probe(client_id)
    assert len(list((work_dir() / "limits").iterdir())) == 1
