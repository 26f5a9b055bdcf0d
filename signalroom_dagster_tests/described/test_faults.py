"""Everything that an API does to lose rows while it answers 200 is noticed, and named."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from dlt.extract.exceptions import ResourceExtractionError
from starlette.responses import HTMLResponse

from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.http import VendorDataError, VendorError, VendorUnreachableError
from signalroom_dagster.sources.resources import Reading
from signalroom_dagster_tests.described.apis import ADS, CRM, DAYS, Vendor, contact, cost

UNPROVEN_ADS = ADS.replace('complete = { total = "meta.total" }', "complete = { unproven = true }")
PAGED = CRM.replace(
    '{ type = "cursor", cursor_path = "next", cursor_param = "after" }',
    '{ type = "page_number", page_param = "page", base_page = 1 }',
)
Describe = Callable[[str, str], ModuleType]


@pytest.fixture
def read(described: Describe, server: VendorServer) -> Callable[..., list[dict[str, Any]]]:
    """Reads a table of a description, whole or over its days."""

    def rows(text: str, table: str = "costs", **given: Any) -> list[dict[str, Any]]:
        name = "crm" if table == "contacts" else "ads"
        days = {"since": DAYS[0], "until": DAYS[2]} if table == "costs" else {}
        source = getattr(described(name, text), name)
        arguments = {"api_key": "key-713", "base_url": server.url, "requests_per_minute": 10_000}
        try:
            return list(source(**arguments | days | given).resources[table])
        except ResourceExtractionError as error:
            raise (error.__cause__ or error) from None

    return rows


Read = Callable[..., list[dict[str, Any]]]


def three_days(vendor: Vendor) -> None:
    vendor.costs = [cost(day, number) for day in DAYS[:3] for number in (1, 2, 3)]


def test_what_is_whole_is_read_whole(read: Read, vendor: Vendor) -> None:
    three_days(vendor)
    vendor.contacts = [contact(number) for number in range(5)]
    assert [row["campaign_id"] for row in read(ADS)] == [1, 2, 3] * 3
    assert len(read(UNPROVEN_ADS)) == 9
    assert [row["id"] for row in read(CRM, "contacts")] == [0, 1, 2, 3, 4]


def test_an_empty_answer_is_no_rows(read: Read) -> None:
    assert read(ADS) == [] and read(UNPROVEN_ADS) == [] and read(CRM, "contacts") == []


def test_a_total_that_is_more_than_what_came_is_told(read: Read, vendor: Vendor) -> None:
    three_days(vendor)
    vendor.change = lambda path, answer: {**answer, "meta": {"total": 11}}
    with pytest.raises(VendorDataError, match=r"total is 11 \(rows\), .* adds up to 9"):
        read(ADS)


def test_a_total_that_is_less_than_what_came_is_told_of_days_that_are_over(
    read: Read, vendor: Vendor
) -> None:
    three_days(vendor)
    vendor.change = lambda path, answer: {**answer, "meta": {"total": 8}}
    with pytest.raises(VendorDataError, match="total is 8"):
        read(ADS)


def test_a_short_page_in_the_middle_is_told(read: Read, vendor: Vendor) -> None:
    three_days(vendor)

    def short(path: str, answer: Any) -> Any:
        return {**answer, "rows": answer["rows"][:1]} if "offset=2" in path else answer

    vendor.change = short
    with pytest.raises(VendorDataError, match="page 2 had 1 rows where 2 are a page"):
        read(UNPROVEN_ADS)


def test_a_page_size_that_is_cut_without_a_word_is_told(read: Read, vendor: Vendor) -> None:
    three_days(vendor)
    vendor.most = 2
    with pytest.raises(VendorDataError, match="page 1 had 2 rows where 500 are a page"):
        read(UNPROVEN_ADS.replace("limit = 2", "limit = 500"))


def test_a_short_page_before_a_cursor_is_noted(
    described: Describe, vendor: Vendor, server: VendorServer
) -> None:
    """It may be short by right, so nothing fails; whoever looks at the asset reads of it."""
    vendor.contacts = [contact(number) for number in range(6)]
    vendor.change = lambda path, answer: (
        {**answer, "items": answer["items"][:1]} if "after=2" in path else answer
    )
    module: Any = described("crm", CRM.replace('{ total = "total" }', "{ unproven = true }"))
    reading = Reading()
    contacts = module.crm(api_key="key-713", base_url=server.url).resources["contacts"]
    assert len(list(contacts(reading=reading))) == 5
    assert reading.notes == {"looks_cut": "page 2 had 1 rows where 2 are a page, and more followed"}


def test_an_empty_page_in_the_middle_is_told(read: Read, vendor: Vendor) -> None:
    three_days(vendor)

    def empty(path: str, answer: Any) -> Any:
        return {**answer, "rows": []} if "offset=4" in path else answer

    vendor.change = empty
    with pytest.raises(VendorDataError, match="2 rows stand behind an empty page"):
        read(UNPROVEN_ADS)
    with pytest.raises(VendorDataError, match="total is 9"):
        read(ADS)


def test_an_end_that_is_none_is_told(read: Read, vendor: Vendor) -> None:
    three_days(vendor)
    ends = UNPROVEN_ADS.replace("limit = 2", 'limit = 2, total_path = "meta.total"')
    vendor.change = lambda path, answer: {**answer, "meta": {"total": 4}}
    with pytest.raises(VendorDataError, match="2 rows stand behind the page that it called"):
        read(ends)


def test_a_page_that_comes_twice_is_told(read: Read, vendor: Vendor) -> None:
    three_days(vendor)
    rows = vendor.costs[:2]
    vendor.change = lambda path, answer: {**answer, "rows": rows}
    with pytest.raises(VendorDataError, match="sent a page of 2 rows twice"):
        read(ADS)


def test_pages_that_go_in_a_circle_are_told(read: Read, vendor: Vendor) -> None:
    vendor.contacts = [contact(number) for number in range(6)]
    vendor.change = lambda path, answer: {**answer, "next": "2"}
    with pytest.raises(VendorDataError, match="a page of 2 rows twice|in a circle"):
        read(CRM, "contacts")


def test_a_tie_at_a_pages_edge_is_told(read: Read, vendor: Vendor) -> None:
    """Rows of one moment come in another order for each page: one twice, another never."""
    vendor.contacts = [contact(number) for number in (1, 2, 2, 4)]
    with pytest.raises(VendorDataError, match="a key came twice: .*tie at a page's edge"):
        read(CRM, "contacts")


def test_a_cap_is_never_believed(read: Read, vendor: Vendor, server: VendorServer) -> None:
    three_days(vendor)
    capped = ADS.replace('{ total = "meta.total" }', "{ cap = 5 }")
    assert len(read(capped)) == 9  # in halves
    assert {request.query["from"] for request in server.requests} >= {str(d) for d in DAYS[:2]}
    with pytest.raises(VendorDataError, match="never gives more than 3"):
        read(ADS.replace('{ total = "meta.total" }', "{ cap = 3 }"))


def test_a_row_outside_the_window_is_told(read: Read, vendor: Vendor) -> None:
    three_days(vendor)

    def outside(path: str, answer: Any) -> Any:
        return {"rows": [cost(DAYS[4], 9)], "meta": {"total": 1}}

    vendor.change = outside
    with pytest.raises(VendorDataError, match="a row of 2026-03-06 among those of"):
        read(ADS)


def test_an_answer_of_another_shape_is_no_empty_list(read: Read, vendor: Vendor) -> None:
    vendor.change = lambda path, answer: {"error": "try later"}
    with pytest.raises(VendorDataError, match="/v2/costs answered without `rows`"):
        read(ADS)


def test_html_is_told(read: Read, vendor: Vendor) -> None:
    vendor.change = lambda path, answer: HTMLResponse("<html>Please log in</html>")
    with pytest.raises(VendorDataError, match="text/html that is not JSON"):
        read(ADS)


def test_a_body_that_breaks_off_is_told(read: Read, server: VendorServer) -> None:
    server.fail("/v2/costs", status=200, body='{"rows": [', cut=True)
    with pytest.raises(VendorUnreachableError, match="no whole answer"):
        read(ADS)
    server.fail("/v2/costs", status=200, body='{"rows": [')
    with pytest.raises(VendorDataError, match="not JSON"):
        read(ADS)


def test_a_limit_is_told_with_how_long_to_wait(read: Read, server: VendorServer) -> None:
    server.fail("/v2/costs", status=429, headers={"Retry-After": "7"})
    with pytest.raises(VendorError, match="answered 429") as raised:
        read(ADS)
    assert raised.value.status == 429 and raised.value.retry_after == "7"


@pytest.mark.parametrize("host", ["evil.example", "169.254.169.254", "127.0.0.1:1"])
def test_a_next_page_at_another_host_is_not_asked_for(
    read: Read, vendor: Vendor, host: str
) -> None:
    vendor.contacts = [contact(1)]
    vendor.change = lambda path, answer: {**answer, "next": f"http://{host}/v1/contacts"}
    linked = CRM.replace(
        '{ type = "cursor", cursor_path = "next", cursor_param = "after" }',
        '{ type = "json_link", next_url_path = "next" }',
    )
    with pytest.raises(VendorDataError, match="the key would go to another host"):
        read(linked, "contacts")


def test_a_next_page_that_is_no_address_is_told_without_it(read: Read, vendor: Vendor) -> None:
    vendor.contacts = [contact(1)]
    vendor.change = lambda path, answer: {**answer, "next": "http://[secret-of-the-vendor"}
    linked = CRM.replace('"cursor", cursor_path = "next", cursor_param = "after"', '"json_link"')
    with pytest.raises(VendorDataError, match="address|what its paginator looks for") as raised:
        read(linked, "contacts")
    assert "secret-of" not in str(raised.value)


def test_a_redirect_is_not_followed(read: Read, server: VendorServer) -> None:
    server.fail("/v2/costs", status=302, headers={"Location": f"{server.url}/v1/contacts"})
    with pytest.raises(VendorError, match="answered 302"):
        read(ADS)
    assert not server.asked("/v1/contacts")


def test_a_refused_key_is_told_by_its_name_and_never_said(read: Read) -> None:
    with pytest.raises(VendorError, match="answered 401.*check api_key") as raised:
        read(ADS, api_key="not-a-key-of-anyone")
    assert "not-a-key" not in str(raised.value)


def test_a_total_that_is_missing_proves_nothing(read: Read, vendor: Vendor) -> None:
    three_days(vendor)
    vendor.change = lambda path, answer: {"rows": answer["rows"]}
    with pytest.raises(VendorDataError, match="without its total, `meta.total`"):
        read(ADS)


def test_a_paginator_that_finds_nothing_is_told_without_the_answer(
    read: Read, vendor: Vendor
) -> None:
    vendor.contacts = [contact(1, email="ada@example.com")]
    paged = PAGED.replace("base_page = 1", 'base_page = 1, has_more_path = "more"')
    with pytest.raises(VendorDataError, match="has_more_path = more") as raised:
        read(paged, "contacts")
    assert "ada" not in str(raised.value)
