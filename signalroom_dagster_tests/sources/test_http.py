"""Asking a vendor: every way it can go wrong has its own error, and none tells a secret."""

import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.limits import Limit
from signalroom_dagster.retries import decide
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster.sources.http import (
    Api,
    VendorDataError,
    VendorError,
    VendorUnreachableError,
)

KEY = "s3cret/+key"
KEY_NAME = "SOURCES__SHOP__CLIENTS__713__API_KEY"


@pytest.fixture(scope="module")
def server() -> Iterator[VendorServer]:
    with serve([]) as server:
        yield server


@pytest.fixture
def vendor(server: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VendorServer:
    monkeypatch.setenv("SIGNALROOM_WORK_DIR", str(tmp_path))
    server.requests.clear()
    server.faults.clear()
    return server


def api(url: str, **values: Any) -> Api:
    given: dict[str, Any] = {
        "secrets": (KEY,),
        "headers": {"X-Key": KEY},
        "params": {"api_key": KEY},
        **values,
    }
    return Api(
        source="shop",
        client_id="713",
        base_url=url,
        key_name=KEY_NAME,
        limit=Limit("shop", 10_000, 50),
        **given,
    )


def answer(vendor: VendorServer, body: str, status: int = 200, **how: Any) -> Any:
    vendor.fail(".", status=status, body=body, **how)
    return api(vendor.url).get("/orders")


def test_an_answer_is_json_with_exact_decimals(vendor: VendorServer) -> None:
    assert answer(vendor, '{"cost": 0.1, "many": 12345678901234567890, "text": "ü"}') == {
        "cost": Decimal("0.1"),
        "many": 12345678901234567890,
        "text": "ü",
    }


def test_a_request_carries_key_body_and_what_is_not_none(vendor: VendorServer) -> None:
    vendor.fail(".", status=200, body="[]")
    api(vendor.url + "/").post("/orders", {"a": [1]}, page=2, cursor=None)
    asked = vendor.requests[0]
    assert (asked.method, asked.path, asked.json) == ("POST", "/orders", {"a": [1]})
    assert dict(asked.query) == {"api_key": KEY, "page": "2"}
    assert asked.headers["x-key"] == KEY


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_with_client_source_and_variable_and_not_tried_again(
    vendor: VendorServer, status: int
) -> None:
    with pytest.raises(VendorError) as refused:
        answer(vendor, '{"error": "no such key"}', status)
    assert str(refused.value) == (
        f"client 713, source shop: GET /orders answered {status}: no such key; check {KEY_NAME}"
    )
    assert decide(refused.value, 1).wait is None
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_by_the_step_and_not_here(
    vendor: VendorServer, status: int
) -> None:
    with pytest.raises(VendorError, match=f"answered {status}") as failed:
        answer(vendor, "<html>busy</html>", status)
    assert decide(failed.value, 1).wait == 1
    assert len(vendor.requests) == 1


def test_a_retry_after_reaches_who_decides(vendor: VendorServer) -> None:
    with pytest.raises(VendorError) as failed:
        answer(vendor, "{}", 429, headers={"Retry-After": "30"})
    assert decide(failed.value, 1).wait == 30


@pytest.mark.parametrize(
    "body", ["", "<html>login</html>", '{"rows": [1, 2', "NaN"], ids=["empty", "html", "cut", "NaN"]
)
def test_what_is_not_json_is_an_error_that_is_retried(vendor: VendorServer, body: str) -> None:
    with pytest.raises(VendorDataError, match="not JSON") as failed:
        answer(vendor, body, headers={"Content-Type": "text/html; charset=x"})
    assert "text/html that is" in str(failed.value)
    assert decide(failed.value, 1).wait == 1


def test_an_error_page_that_is_not_utf_8_is_still_its_status() -> None:
    page = httpx.Response(502, content="überlastet".encode("latin-1"))
    client = httpx.Client(transport=httpx.MockTransport(lambda _: page))
    with pytest.raises(VendorError) as failed:
        api("http://vendor.test", http=client).get("/orders")
    assert failed.value.status == 502


def test_half_an_emoji_does_not_spoil_an_answer(vendor: VendorServer) -> None:
    body = r'{"cut": "a\ud83d", "low": "\ude00b", "whole": "\ud83d\ude00", "told": "\\ud83d"}'
    assert answer(vendor, body) == {
        "cut": "a\ufffd",
        "low": "\ufffdb",
        "whole": "😀",
        "told": r"\ud83d",
    }


@pytest.mark.parametrize("levels", [101, 3_000, 300_000])
def test_an_answer_however_deep_is_read_but_for_what_lies_too_deep(
    vendor: VendorServer, levels: int
) -> None:
    found = answer(vendor, f'{{"deep": {"[" * levels}1{"]" * levels}, "beside": [1.10, "a[["]}}')
    assert found["beside"] == [Decimal("1.10"), "a[["]


def test_an_answer_that_breaks_off_in_the_deep_is_not_json(vendor: VendorServer) -> None:
    with pytest.raises(VendorDataError, match="not JSON"):
        answer(vendor, '{"deep": ' + "[" * 3_000)


def test_numbers_that_are_none_or_have_no_end_leave_the_answer_and_exact_decimals_alone(
    vendor: VendorServer,
) -> None:
    odd = ["NaN", "-Infinity", "1e400", "-1e99999999999999999999", "9" * 5_000, "0." + "1" * 5_000]
    found = answer(vendor, f'{{"odd": [{", ".join(odd)}], "cost": 0.10000000000000000001}}')
    assert [number.is_finite() for number in found["odd"]] == [False] * len(odd)
    assert found["cost"] == Decimal("0.10000000000000000001")


def test_a_character_that_is_cut_within_the_answers_bytes_spoils_its_own_text_alone() -> None:
    body = b'{"cut": "caf\xc3", "whole": "\xc3\xbc"}'
    client = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    )
    assert api("http://vendor.test", http=client).get("/orders") == {
        "cut": "caf\ufffd",
        "whole": "ü",
    }


@pytest.mark.parametrize(
    "body", ['{"error": ' + "[" * 900 + "]" * 900 + "}", '{"error": {"a": [1]}}', "[1]", "7"]
)
def test_an_error_answer_of_any_shape_is_still_its_status(vendor: VendorServer, body: str) -> None:
    with pytest.raises(VendorError) as failed:
        answer(vendor, body, 503)
    assert failed.value.status == 503


def test_a_broken_compression_is_an_answer_that_did_not_come() -> None:
    broken = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=b"no")
    )
    with pytest.raises(VendorUnreachableError, match="got no whole answer"):
        api("http://vendor.test", http=httpx.Client(transport=broken)).get("/orders")


def test_a_cut_connection_a_closed_port_and_a_timeout_are_retried(vendor: VendorServer) -> None:
    with pytest.raises(VendorUnreachableError, match="got no whole answer") as cut:
        answer(vendor, '{"rows": []}', cut=True)
    assert decide(cut.value, 1).wait == 1
    with pytest.raises(VendorUnreachableError, match="ConnectError"):
        api("http://127.0.0.1:9").get("/orders")
    vendor.fail(".", delay=1.0)
    with pytest.raises(VendorUnreachableError, match="did not answer in time"):
        api(vendor.url, http=httpx.Client(timeout=0.05)).get("/orders")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"base_url": "shop.test"}, "base_url is not a URL"),
        ({"headers": {"X-Key": "line\nend"}}, KEY_NAME),
        ({"headers": {"X-Key": "schlüssel"}}, KEY_NAME),
    ],
)
def test_what_cannot_be_sent_at_all_is_a_setting_to_correct(
    vendor: VendorServer, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        api(values.get("base_url", vendor.url), headers=values.get("headers", {})).get("/orders")
    assert decide(refused.value, 1).wait is None
    assert "line" not in str(refused.value).replace("a line end", "")


@pytest.mark.parametrize(
    "body",
    [
        f'{{"error": "key {KEY} is unknown to buyer@example.test"}}',
        '{"error": "see /orders?api_key=s3cret%2F%2Bkey"}',
        f'{{"error": {{"detail": "{KEY}"}}}}',
    ],
)
@pytest.mark.parametrize("status", [400, 401, 500])
def test_no_error_and_no_log_tells_a_key_or_an_address(
    vendor: VendorServer, caplog: pytest.LogCaptureFixture, body: str, status: int
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(VendorError) as failed:
        answer(vendor, body, status)
    for text in (str(failed.value), caplog.text):
        assert "s3cret" not in text
        assert "@example.test" not in text


def test_a_long_error_is_cut(vendor: VendorServer) -> None:
    with pytest.raises(VendorError) as failed:
        answer(vendor, '{"error": "' + "x" * 5_000 + '"}', 400)
    assert len(str(failed.value)) < 300


def test_a_redirect_is_an_error_and_not_followed_with_the_key(vendor: VendorServer) -> None:
    with pytest.raises(
        VendorError, match="answered 302: Found; base_url has moved, such as from http to https"
    ):
        answer(vendor, "", 302, headers={"Location": f"{vendor.url}/elsewhere"})
    assert len(vendor.requests) == 1


def test_the_sentence_of_an_error_has_nothing_of_the_vendors_words_however_it_is_told_on(
    vendor: VendorServer,
) -> None:
    with pytest.raises(VendorError) as failed:
        try:
            answer(vendor, '{"error": "Pat Example is unknown"}', 400)
        except VendorError as error:
            assert "answered 400: Pat Example is unknown" in str(error)
            raise VendorError(f"{error}; check the project", error.status) from None
    assert "Pat Example" in str(failed.value)
    assert (
        failed.value.sentence
        == "client 713, source shop: GET /orders answered 400; check the project"
    )
