"""Campaigns, sources and offers: after a load they are exactly what RedTrack returned."""

from pathlib import Path

import pytest

from signalroom_dagster.sandbox.redtrack_data import (
    RedTrackAccount,
    campaign_row,
    offer_row,
    source_row,
)
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.redtrack.paging import Page, read_list
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.redtrack.accounts import META, add, read

LISTS = ("campaigns", "sources", "offers")


def test_lists_are_what_the_account_has(
    any_warehouse: Project, vendor: VendorServer, account: RedTrackAccount
) -> None:
    account.sources[:] = [source_row(META, "Test Meta A ", "facebook", status=1)]
    account.campaigns.append(
        campaign_row("k1", "C1", META, status="2", cpc=0.1234, tags=["us", "ccw"])
    )
    account.offers.append(offer_row("o1", "ACME Main", "oid=7&affid=41&sub1={clickid}"))
    load("redtrack", "713", *LISTS)
    assert ask("SELECT id, title, alias, status, campaign_count FROM redtrack.sources") == [
        (META, "Test Meta A ", "facebook", "1", 1)
    ]
    assert ask(
        "SELECT id, title, status, source_id, CAST(cpc AS varchar) FROM redtrack.campaigns"
    ) == [("k1", "C1", "2", META, "0.1234")]
    assert ask(
        "SELECT id, everflow_offer_id, everflow_affiliate_id, network_title, payment_amount,"
        " expires_at, created_at IS NULL FROM redtrack.offers"
    ) == [("o1", 7, 41, "Everflow", 75, None, False)]


def test_an_empty_list_empties_this_clients_rows_and_no_others(
    any_warehouse: Project, vendor: VendorServer, account: RedTrackAccount, other: RedTrackAccount
) -> None:
    add(any_warehouse, vendor, "cti")
    for client in ("713", "cti"):
        load("redtrack", client)
    spend = "SELECT * FROM redtrack.daily_spend WHERE _client_id = 'cti'"
    before = ask(spend)
    account.sources.clear()
    account.traffic.clear()
    account.conversions.clear()
    load("redtrack", "713")
    assert ask("SELECT _client_id, id, title FROM redtrack.sources") == [
        ("cti", META, "Lessons Meta")
    ]
    assert ask("SELECT _client_id, id FROM redtrack.conversions") == [("cti", "c1")]
    assert ask("SELECT _client_id FROM redtrack.daily_spend") == [("cti",)]
    assert ask(spend) == before


@pytest.mark.parametrize(
    ("wraps", "counts", "longest"),
    [(False, False, 1_000), (False, False, 100), (True, False, 1_000), (False, True, 100)],
)
def test_a_long_list_comes_whole_in_every_shape(
    vendor: VendorServer,
    account: RedTrackAccount,
    tmp_path: Path,
    wraps: bool,
    counts: bool,
    longest: int,
) -> None:
    account.wraps, account.counts, account.longest_page = wraps, counts, longest
    account.sources[:] = [
        source_row(f"{number:024x}", "Source", "facebook") for number in range(1_037)
    ]
    found = read("sources", tmp_path)
    assert (found.rows, list(found.totals.values())) == (1_037, [1_037] if counts else [])


def test_a_source_that_slips_between_two_pages_is_read_again(
    vendor: VendorServer, account: RedTrackAccount, tmp_path: Path
) -> None:
    account.unstable, account.longest_page = 1, 100
    account.sources[:] = [
        source_row(f"{number:024x}", "Source", "facebook") for number in range(137)
    ]
    assert read("sources", tmp_path).rows == 137


def test_everflows_ids_are_read_from_the_links_that_name_them(
    vendor: VendorServer, account: RedTrackAccount
) -> None:
    account.offers[:] = [
        offer_row("o1", "ACME", "OID=7&AffID=41"),
        offer_row("o2", "ACME", "oid={offer}&affid=41"),
        offer_row("o3", "ACME", "oid=&sub1=2"),
        offer_row("o4", "ACME", "oid=" + "9" * 30),
        offer_row("o5", "ACME", "", url="http://[broken?oid=7"),
        offer_row("o6", "ACME", "", url=None),
    ]
    load("redtrack", "713", "offers")
    found = ask("SELECT everflow_offer_id, everflow_affiliate_id FROM redtrack.offers ORDER BY id")
    assert found == [(7, 41), (None, 41), *[(None, None)] * 4]


def test_a_list_that_this_run_has_read_is_not_read_by_its_next_attempt(
    vendor: VendorServer,
) -> None:
    load("redtrack", "713", run_id="run-a")
    asked = len(vendor.requests)
    load("redtrack", "713", run_id="run-a")
    assert len(vendor.requests) == asked
    load("redtrack", "713", "sources", run_id="run-b")
    assert len(vendor.requests) == asked + 1


@pytest.mark.parametrize("counts", [(25, 25, 25), (25, 0, 0), (0, 0, 0), (10, 10, 5)], ids=str)
def test_a_total_that_is_not_the_lists_does_not_cut_it(counts: tuple[int, int, int]) -> None:
    rows = [{"id": str(number)} for number in range(25)]
    totals = dict(enumerate(counts, start=1))
    listing = read_list(
        lambda number, size: Page(rows[(number - 1) * size : number * size], totals.get(number)), 10
    )
    assert listing.rows == rows
