"""Affiliates, offers and advertisers: the client's rows are what the list holds, no more and no
less.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.everflow import TABLES
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.contexts import NOON, context, read_at
from signalroom_dagster_tests.sources.everflow.networks import read

Configure = Callable[..., Settings]
LISTS = ("affiliates", "offers", "advertisers")


def test_a_list_takes_the_place_of_the_clients_rows_also_when_it_is_empty(
    any_warehouse: Project,
    network: EverflowNetwork,
    other: EverflowNetwork,
    add: Callable[..., None],
) -> None:
    rows = "SELECT _client_id, id, name FROM everflow.affiliates ORDER BY 1, 2"
    add("713")
    add("cti")
    other.affiliates = {41: "Other"}
    for client_id in ("713", "cti", "713"):
        load("everflow", client_id, "affiliates")
    assert ask(rows) == [
        ("713", 41, "Northwind Media "),
        ("713", 52, "Blue Harbor LLC"),
        ("cti", 41, "Other"),
    ]
    network.affiliates = {52: "Renamed", 60: "Renamed"}
    load("everflow", "713", "affiliates")
    assert ask(rows) == [("713", 52, "Renamed"), ("713", 60, "Renamed"), ("cti", 41, "Other")]
    network.affiliates = {}
    load("everflow", "713", "affiliates")
    assert ask(rows) == [("cti", 41, "Other")]
    assert ask("SELECT rows, vendor_total FROM everflow.windows WHERE _client_id = '713'") == [
        (0, 0)
    ]


def test_a_list_is_not_read_again_in_the_run_that_has_committed_it(
    add: Callable[..., None], vendor: VendorServer
) -> None:
    add()
    run = load("everflow", "713", *LISTS)
    asked = len(vendor.asked("/v1/networks/"))
    load("everflow", "713", *LISTS, run_id=run)
    assert len(vendor.asked("/v1/networks/")) == asked == 3
    load("everflow", "713", *LISTS)
    assert len(vendor.asked("/v1/networks/")) == 6


def test_a_list_that_was_committed_before_midnight_is_not_read_again_after_it(
    settings: Configure, vendor: VendorServer, scratch: Path
) -> None:
    yesterday = read_at(NOON, context(scratch).today.replace(day=9), run_id="now")
    assert read(settings(), context(scratch, windows={"offers": yesterday}), "offers").rows == []
    assert vendor.requests == []


@pytest.mark.parametrize("resource", LISTS)
@pytest.mark.parametrize("largest", [2_000, 300])
def test_long_lists_are_read_page_by_page_to_the_end(
    network: EverflowNetwork, settings: Configure, scratch: Path, resource: str, largest: int
) -> None:
    setattr(network, resource, {number: f"N{number}" for number in range(1, 2_102)})
    network.largest_page, network.unstable = largest, 1
    found = read(settings(), context(scratch), resource)
    assert len({row[TABLES[resource].key[0]] for row in found.rows}) == len(found.rows) == 2_101
    assert list(found.totals.values()) == [2_101]


def test_advertisers_verification_tokens_are_never_stored(
    settings: Configure, scratch: Path
) -> None:
    found = read(settings(), context(scratch), "advertisers")
    assert found.column("name") == ["ACME", "BETA"]
    assert "token" not in found.text
    assert not any(
        "token" in column.name or "token" in column.path for column in TABLES["advertisers"].columns
    )


def test_other_clients_advertisers_and_their_offers_are_left_out(
    network: EverflowNetwork, settings: Configure, scratch: Path
) -> None:
    network.offers, network.offer_advertisers = {7: "Ours", 8: "Theirs"}, {7: 1, 8: 2}
    ours = settings(advertiser_ids=[1])
    assert read(ours, context(scratch), "offers").column("name") == ["Ours"]
    found = read(ours, context(scratch), "advertisers")
    assert (found.column("name"), list(found.totals.values())) == (["ACME"], [1])
    assert len(read(ours, context(scratch), "affiliates").rows) == 2


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        '{"affiliates": {}}',
        '{"affiliates": []}',
        '{"affiliates": [1], "paging": {"total_count": 1}}',
        '{"paging": {"total_count": 0}}',
    ],
)
def test_an_answer_of_another_shape_is_an_error_and_not_an_empty_list(
    vendor: VendorServer, settings: Configure, scratch: Path, body: str
) -> None:
    vendor.fail("/affiliatestable", status=200, body=body)
    with pytest.raises(VendorDataError, match="an answer with"):
        read(settings(), context(scratch), "affiliates")
