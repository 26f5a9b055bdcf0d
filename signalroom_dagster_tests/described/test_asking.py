"""How a described API is asked: authentication, days in many formats, and what proves an answer."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from dlt.extract.exceptions import ResourceExtractionError
from starlette.responses import JSONResponse

from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.http import VendorDataError, VendorError
from signalroom_dagster_tests.described.apis import CRM, DAY, DAYS, Vendor

API = """
[client]
base_url = "https://api.example"
{client}

[resources.rows]
endpoint = {{ path = "{path}", {endpoint} }}
primary_key = "id"
complete = {complete}
columns = {{ id = "text", date = "date", cost = "decimal" }}
{more}
"""
Ask = Callable[..., list[Any]]


@pytest.fixture
def ask(described: Callable[[str, str], ModuleType], server: VendorServer) -> Ask:
    """Reads the rows of an API with one table."""

    def rows(
        client: str = "",
        endpoint: str = 'paginator = "single_page"',
        complete: str = "{ unproven = true }",
        more: str = "",
        path: str = "/any/rows",
        **given: Any,
    ) -> list[Any]:
        text = API.format(client=client, endpoint=endpoint, complete=complete, more=more, path=path)
        module: Any = described("api", text)
        days = {"since": DAY, "until": DAYS[1]} if "window" in more else {}
        source = module.api(base_url=server.url, requests_per_minute=10_000, **days, **given)
        try:
            return list(source.resources["rows"])
        except ResourceExtractionError as error:
            raise (error.__cause__ or error) from None

    return rows


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ('{ type = "bearer", token = "{api_key}" }', "authorization", "Bearer secret-1"),
        ('{ token = "{api_key}" }', "authorization", "Bearer secret-1"),
        ('{ type = "api_key", name = "X-Key", api_key = "{api_key}" }', "x-key", "secret-1"),
        (
            '{ type = "http_basic", username = "ada", password = "{api_key}" }',
            "authorization",
            "Basic YWRhOnNlY3JldC0x",
        ),
    ],
)
def test_the_account_is_named_as_dlt_names_it(
    ask: Ask, vendor: Vendor, server: VendorServer, auth: str, header: str, value: str
) -> None:
    vendor.answers["rows"] = [{"id": 1}]
    assert len(ask(f"auth = {auth}", api_key="secret-1")) == 1
    assert server.requests[0].headers[header] == value


def test_a_key_in_the_address_stands_in_no_error_and_no_log(
    ask: Ask, vendor: Vendor, server: VendorServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vendor.answers["rows"] = [{"id": 1}]
    auth = 'auth = { type = "api_key", name = "key", api_key = "{api_key}", location = "query" }'
    ask(auth, api_key="secret-in-a-query")
    assert server.requests[0].query["key"] == "secret-in-a-query"
    server.fail("/any", status=500, body='{"error": "no such key: secret-in-a-query"}')
    with pytest.raises(
        VendorError, match=r"GET /any/rows answered 500: no such key: \*\*\*"
    ) as raised:
        ask(auth, api_key="secret-in-a-query")
    assert "secret-in-a-query" not in f"{raised.value}{caplog.text}"


def test_a_token_is_asked_for_once_and_through_our_transport(
    ask: Ask, vendor: Vendor, server: VendorServer
) -> None:
    vendor.answers |= {"token": {"access_token": "token-1"}, "rows": {"rows": [{"id": 1}]}}
    auth = (
        'auth = { type = "oauth2_client_credentials", client_id = "{login}", client_secret ='
        f' "{{client_secret}}", access_token_url = "{server.url}/any/token" }}'
    )
    paged = 'paginator = { type = "page_number" }, data_selector = "rows"'
    vendor.answers["rows"] = lambda request: JSONResponse(
        {"rows": [{"id": 1}] if request.query_params["page"] == "0" else []}
    )
    assert len(ask(auth, paged, login="me", client_secret="secret-2")) == 1
    token, *pages = server.requests
    assert token.method == "POST" and b"client_secret=secret-2" in token.body
    assert {page.headers["authorization"] for page in pages} == {"Bearer token-1"}
    assert len(pages) == 3
    server.fail("/any/token", status=401, body="{}")
    with pytest.raises(VendorError, match="check client_secret"):
        ask(auth, paged, login="me", client_secret="secret-2")


WINDOW = '[resources.rows.window]\nday = "date"\nlongest = 7\n'
SPAN = 'paginator = "single_page", params = { a = "{since}", b = "{until}" }'


@pytest.mark.parametrize(
    ("window", "first", "last"),
    [
        ("", "2026-03-02", "2026-03-03"),
        ('until = "excluded"', "2026-03-02", "2026-03-04"),
        ('format = "%d.%m.%Y"', "02.03.2026", "03.03.2026"),
        ('format = "epoch"', "1772427600", "1772600399"),
        ('format = "epoch_ms"\nuntil = "excluded"', "1772427600000", "1772600400000"),
        ('format = "%Y-%m-%dT%H:%M:%SZ"', "2026-03-02T05:00:00Z", "2026-03-04T04:59:59Z"),
        (
            'format = "%Y-%m-%dT%H:%M:%S%z"\nuntil = "excluded"',
            "2026-03-02T00:00:00-0500",
            "2026-03-04T00:00:00-0500",
        ),
    ],
)
def test_days_are_asked_for_as_the_vendor_writes_them(
    ask: Ask, vendor: Vendor, server: VendorServer, window: str, first: str, last: str
) -> None:
    vendor.answers["rows"] = [{"id": 1, "date": "2026-03-02"}]
    ask(endpoint=SPAN, more=WINDOW + window, timezone="America/New_York")
    assert server.requests[0].query == {"a": first, "b": last}


def test_the_day_of_an_instant_is_that_of_the_zone(ask: Ask, vendor: Vendor) -> None:
    late = datetime(2026, 3, 4, 3, 30, tzinfo=UTC)  # the evening before in New York
    moments = [late.isoformat(), int(late.timestamp()), int(late.timestamp()) * 1000]
    vendor.answers["rows"] = [{"id": n, "made": {"at": at}} for n, at in enumerate(moments)]
    more = WINDOW + 'moment = "made.at"'
    rows = ask(endpoint=SPAN, more=more, timezone="America/New_York")
    assert [row["date"] for row in rows] == ["2026-03-03"] * 3


def test_a_body_is_sent_with_its_numbers(ask: Ask, vendor: Vendor, server: VendorServer) -> None:
    vendor.answers["rows"] = [{"id": 1, "date": "2026-03-02"}]
    body = 'json = { from = "{since}", query = "{{ rows }}", limit = 5 }'
    endpoint = (
        f'method = "POST", paginator = "single_page", params = {{ to = "{{until}}" }}, {body}'
    )
    ask(endpoint=endpoint, more=WINDOW + 'format = "epoch"', timezone="UTC")
    assert server.requests[0].json == {"from": 1772409600, "query": "{ rows }", "limit": 5}


@pytest.mark.parametrize(
    ("complete", "answers", "words"),
    [
        ('{ total = "header:X-Total" }', {}, r"total is 3 \(rows\)"),
        ('{ count = { path = "/any/count", select = "n" } }', {"count": {"n": 3}}, "total is 3"),
        ('{ sum = { column = "cost", select = "sums.cost" } }', {}, r"total is 30 \(cost\)"),
        (
            '{ sum = { column = "cost", path = "/any/sums", select = "days", day = "d",'
            ' value = "v" } }',
            {"sums": {"days": [{"d": "2026-03-02", "v": 20}, {"d": "2026-03-03", "v": "5.5"}]}},
            r"2026-03-03: the vendor's own total is 5.5 \(cost\), .* adds up to 0",
        ),
    ],
)
def test_rows_that_are_missing_are_noticed_by_each_proof(
    ask: Ask, vendor: Vendor, complete: str, answers: dict[str, Any], words: str
) -> None:
    rows = [{"id": n, "date": "2026-03-02", "cost": 10} for n in (1, 2)]
    body = {"rows": rows, "sums": {"cost": 30}}
    vendor.answers |= {
        "rows": lambda request: JSONResponse(body, headers={"X-Total": "3"}),
        **answers,
    }
    endpoint = SPAN + ', data_selector = "rows"'
    with pytest.raises(VendorDataError, match=words):
        ask(endpoint=endpoint, complete=complete, more=WINDOW, timezone="UTC")
    late = {"id": 3, "date": "2026-03-03", "cost": "5.5" if "days" in complete else 10}
    rows.append(late)
    assert len(ask(endpoint=endpoint, complete=complete, more=WINDOW, timezone="UTC")) == 3


def test_names_with_other_signs_and_flags_are_written_as_vendors_do(
    ask: Ask, vendor: Vendor, server: VendorServer
) -> None:
    vendor.answers["rows"] = {"@odata.count": 1, "d.results": [{"id": 1}]}
    endpoint = (
        """paginator = "single_page", data_selector = "'d.results'", params = { all = true }"""
    )
    assert len(ask(endpoint=endpoint, complete="""{ total = "'@odata.count'" }""")) == 1
    assert server.requests[0].query == {"all": "true"}


def test_a_source_alone_looks_for_its_key_in_dlts_own_place(
    described: Callable[[str, str], ModuleType],
    server: VendorServer,
    vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCES__CRM__API_KEY", "key-713")
    module: Any = described("crm", CRM)
    assert list(module.crm(base_url=server.url).resources["contacts"]) == []


def test_links_in_headers_lead_on(ask: Ask, vendor: Vendor, server: VendorServer) -> None:
    def page(request: Any) -> JSONResponse:
        number = int(request.query_params.get("page", 1))
        link = f'<{server.url}/any/rows?page={number + 1}&q=a%20b>; rel="next"'
        return JSONResponse([{"id": number}], headers={"Link": link} if number < 3 else {})

    vendor.answers["rows"] = page
    assert [row["id"] for row in ask(endpoint='paginator = "header_link"')] == ["1", "2", "3"]
    assert server.requests[-1].query == {"page": "3", "q": "a b"}


def test_a_value_in_an_address_stays_in_its_place(
    ask: Ask, vendor: Vendor, server: VendorServer
) -> None:
    vendor.answers["a/../b?x=1/rows"] = [{"id": 1}]
    endpoint = 'paginator = "single_page"'
    assert ask(endpoint=endpoint, path="/any/{account}/rows", account="a/../b?x=1")
    assert server.requests[0].path == "/any/a/../b?x=1/rows" and not server.requests[0].query
