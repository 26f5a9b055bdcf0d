"""A described API is loaded like any other source: windows, lists, totals, restatements, two
clients.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster_tests.described.apis import ADS, CRM, DAY, DAYS, Vendor, contact, cost
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project

Add = Callable[..., None]


@pytest.fixture
def add(any_warehouse: Project, server: VendorServer) -> Add:
    """Describes both APIs in the project, and lets a client use one."""
    folder = any_warehouse.root / "data" / "shared" / "sources"
    folder.mkdir(parents=True)
    for name, text in (("crm", CRM), ("ads", ADS)):
        (Path(folder) / f"{name}.toml").write_text(text)

    def client(source: str, client_id: str, **more: str) -> None:
        settings = {"api_key": f"key-{client_id}", "base_url": server.url}
        settings |= {"requests_per_minute": "10000", **more}
        any_warehouse.add_api_client(client_id, source, **settings)

    return client


def rows(table: str, columns: str, client_id: str = "713") -> list[tuple[object, ...]]:
    return ask(f"SELECT {columns} FROM {table} WHERE _client_id = '{client_id}' ORDER BY 1, 2")


def test_lists_of_two_clients_are_theirs_twice_and_emptied(
    add: Add, vendor: Vendor, other: Vendor
) -> None:
    add("crm", "713")
    add("crm", "cti")
    vendor.contacts = [contact(number) for number in range(5)]
    other.contacts = [contact(7)]
    for _ in range(2):
        load("crm", "713")
        load("crm", "cti")
    kept = [(7, "Contact 7", Decimal("1.75"))]
    assert len(rows("crm.contacts", "id, name, score")) == 5
    assert rows("crm.contacts", "id, name, score", "cti") == kept
    del vendor.contacts[1]
    load("crm", "713")
    assert [row[0] for row in rows("crm.contacts", "id, name")] == [0, 2, 3, 4]
    vendor.contacts.clear()
    load("crm", "713")
    assert rows("crm.contacts", "id, name") == []
    assert rows("crm.contacts", "id, name, score", "cti") == kept
    totals = ask("SELECT DISTINCT _client_id, vendor_total FROM crm.windows ORDER BY 1")
    assert totals == [("713", Decimal(0)), ("cti", Decimal(1))]


def test_days_of_two_clients_are_replaced_and_restated(
    add: Add, vendor: Vendor, other: Vendor
) -> None:
    span = {"start_date": str(DAY), "end_date": str(DAYS[-1])}
    add("ads", "713", **span)
    add("ads", "cti", **span)
    vendor.costs = [cost(day, number) for day in DAYS for number in (1, 2, 3)]
    other.costs = [cost(DAY, 9)]
    for client_id in ("713", "cti"):
        load("ads", client_id)
    assert len(rows("ads.costs", "date, campaign_id")) == 15
    del vendor.costs[0]
    vendor.costs[0] = cost(DAY, 2, 99.0)
    load("ads", "713", since=DAY, until=DAYS[-1])
    assert rows("ads.costs", "date, campaign_id")[:2] == [(DAY, 2), (DAY, 3)]
    restated = rows("ads.restatements", "day, key, before, after")
    assert [(day, key) for day, key, *_ in restated] == [
        (DAY, "campaign_id=1"),
        (DAY, "campaign_id=2"),
    ]
    assert rows("ads.costs", "date, campaign_id", "cti") == [(DAY, 9)]


def test_a_reading_that_is_cut_leaves_what_was_loaded(add: Add, vendor: Vendor) -> None:
    add("ads", "713", start_date=str(DAY), end_date=str(DAY + timedelta(days=1)))
    vendor.costs = [cost(DAY, number) for number in (1, 2, 3)]
    load("ads")
    vendor.change = lambda path, answer: {**answer, "rows": answer["rows"][1:]}
    with pytest.raises(VendorDataError, match=r"client 713, source ads, costs: .* total is 3"):
        load("ads", since=DAY, until=DAY)
    assert len(rows("ads.costs", "date, campaign_id")) == 3
