"""Warehouses of earlier releases: a source's tables get the columns and the key of this one, or it
is said why not.
"""

import re
from collections.abc import Callable, Iterator

import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.doctor import inspection
from signalroom_dagster.doctor.diagnosis import diagnose
from signalroom_dagster.doctor.inspection import Diagnosis
from signalroom_dagster.loading import pipelines
from signalroom_dagster.retries import decide, root_error
from signalroom_dagster.sandbox import everflow
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project

LISTS = {"affiliates": "affiliate_id", "offers": "offer_id", "advertisers": "advertiser_id"}
"""What the first release called their key, which is `id` since."""

NETWORK = EverflowNetwork(
    key="key-713",
    affiliates={41: "Northwind"},
    advertisers={1: "ACME"},
    offers={7: "Main"},
    offer_advertisers={7: 1},
)


@pytest.fixture(autouse=True)
def vendor(any_warehouse: Project) -> Iterator[VendorServer]:
    with serve(everflow.routes([NETWORK])) as server:
        any_warehouse.add_api_client(
            "713", "everflow", api_key=NETWORK.key, base_url=f"{server.url}/everflow"
        )
        yield server


def do(*statements: str) -> None:
    with access.exclusive(), access.transaction("a test") as query:
        for statement in statements:
            query(statement)


def as_the_first_release_left_them(*, interrupted: bool = False) -> None:
    """Loaded lists whose key has its first name; `interrupted` after a load of this release that
    failed half-way.
    """
    load("everflow", "713", *LISTS)
    for table, old in LISTS.items():
        do(f"ALTER TABLE everflow.{table} RENAME COLUMN id TO {old}")
        if interrupted:
            do(f"ALTER TABLE everflow.{table} ADD COLUMN id bigint")
    do("DELETE FROM everflow._dlt_version", "DELETE FROM everflow.windows")


def diagnoses() -> list[Diagnosis]:
    with access.exclusive(), access.connected() as query:
        return [
            found for found in inspection.inspect(query) if found.subject.startswith("everflow.")
        ]


def unique_columns(table: str) -> str:
    found = ask(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'everflow' AND tablename = %s", table
    )
    return re.search(r"\((.*)\)", found[0][0])[1]  # type: ignore[index]


def loaded() -> None:
    load("everflow", "713", *LISTS)


def created() -> None:
    pipelines.create_tables("everflow")


@pytest.mark.parametrize(
    ("way", "interrupted"),
    [
        (loaded, True),
        (created, False),
        pytest.param(loaded, False, marks=pytest.mark.slow),
        pytest.param(created, True, marks=pytest.mark.slow),
    ],
)
def test_a_key_column_of_the_first_release_gets_its_name_of_today_and_rows_are_kept(
    any_warehouse: Project, way: Callable[[], object], interrupted: bool
) -> None:
    as_the_first_release_left_them(interrupted=interrupted)
    assert {found.subject for found in diagnoses()} == {f"everflow.{table}" for table in LISTS}
    assert all(found.problem is None and "doctor --create" in found.what for found in diagnoses())
    way()
    assert diagnoses() == []
    assert [ask(f"SELECT id FROM everflow.{table}") for table in LISTS] == [[(41,)], [(7,)], [(1,)]]
    assert ask("SELECT advertiser_id FROM everflow.offers") == [(1,)]
    for table in LISTS if "postgres" in str(ask("SELECT version()")).lower() else ():
        assert unique_columns(table) == "_client_id, id"
    load("everflow", "713", *LISTS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE everflow.affiliates RENAME COLUMN id TO number", "has no column id"),
        (
            "ALTER TABLE everflow.affiliates ALTER COLUMN name TYPE bigint USING 1",
            "column name is bigint, and has to",
        ),
    ],
)
def test_a_table_that_no_load_can_fill_is_told_and_not_tried_again(
    vendor: VendorServer, change: str, said: str
) -> None:
    load("everflow", "713", "affiliates")
    do(change)
    (found,) = diagnoses()
    assert (
        found.blocks
        and found.problem
        and said in found.problem
        and "RENAME TO affiliates_before" in found.problem
    )
    vendor.requests.clear()
    with pytest.raises(Exception, match=said) as failed:
        load("everflow", "713", "affiliates", "advertisers")
    assert isinstance(root_error(failed.value), ConfigurationError)
    assert decide(failed.value, 1).wait is None
    assert vendor.asked("/affiliatestable") == []
    assert len(vendor.asked("/advertisers")) == (
        "name" in change
    )  # dlt would stumble over a key that is not there
    do(*re.findall(r"(?:ALTER|DELETE) [^;:]+", found.problem))
    load("everflow", "713", "affiliates")
    load("everflow", "713", "affiliates")
    assert diagnoses() == []
    assert ask("SELECT id FROM everflow.affiliates") == [(41,)]


def test_another_key_gets_its_index_anew(any_warehouse: Project) -> None:
    load("everflow", "713", "affiliates")
    if access.destination_name() == "postgres":
        do(
            "DROP INDEX everflow.affiliates_key",
            "CREATE UNIQUE INDEX affiliates_key ON everflow.affiliates (_client_id, id, name)",
        )
        assert [found.subject for found in diagnoses()] == ["everflow.affiliates"]
        pipelines.create_tables("everflow")
        assert unique_columns("affiliates") == "_client_id, id"
    assert diagnoses() == []


def test_doctor_tells_of_tables_of_another_release(any_warehouse: Project) -> None:
    as_the_first_release_left_them()
    told = [found for found in diagnose() if found.subject == "everflow.offers"]
    assert [found.problem for found in told] == [None]
