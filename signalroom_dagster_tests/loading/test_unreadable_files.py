"""One object of a bucket that cannot be read: the others load, the ledger and the check say so, and
it is tried again.

Over HTTP, against an S3 that archives, refuses and loses objects; into both warehouses.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.doctor.inspection import inspect
from signalroom_dagster.freshness import ages, status
from signalroom_dagster.loading import file_checks
from signalroom_dagster.loading.pipelines import preview_load
from signalroom_dagster.registry import accounts
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.retries import decide, root_error
from signalroom_dagster.sources.files import BucketUnavailableError
from signalroom_dagster.sources.s3_exports import refusals
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.finding import Finding
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.object_stores import ObjectStore, Refusal
from signalroom_dagster_tests.projects import Project, export_bytes, orders

A, B, C = (f"orders-create/report_2026-03-0{day}.csv" for day in (1, 2, 3))


@pytest.fixture
def store(project: Project, object_store: ObjectStore) -> ObjectStore:
    """The bucket of client 713 with one sound file, A, of the order 1."""
    project.add_client("713")
    project.configure("713", **object_store.settings)
    object_store.put(A, export_bytes(orders([1])))
    return object_store


def loaded_orders() -> list[str]:
    return [order for (order,) in ask("SELECT orders_id FROM s3_exports.orders_create ORDER BY 1")]


def ledger() -> Mapping[str, tuple[str, str | None]]:
    return {
        name: (state, reason)
        for name, state, reason in ask("SELECT _file_name, status, reason FROM s3_exports.files")
    }


def check(look: Any, run_id: str) -> Finding:
    with access.exclusive(), access.connected() as query:
        return look(query, "s3_exports", "orders_create", "713", run_id)


@pytest.mark.usefixtures("any_warehouse")
def test_an_archived_object_is_set_aside_and_loads_once_after_it_was_restored(
    store: ObjectStore,
) -> None:
    store.put(B, export_bytes(orders([2])), StorageClass="GLACIER")
    run = load("s3_exports")
    assert loaded_orders() == ["1"]
    assert ledger() == {A: ("loaded", None), B: ("unreadable", refusals.ARCHIVED)}
    warned = check(file_checks.all_rows_read, run)
    assert (warned.passed, warned.said) == (
        False,
        f"{B} {refusals.ARCHIVED}; each load tries it again",
    )
    assert check(file_checks.row_balance, run).passed
    again = load("s3_exports")
    assert not check(file_checks.all_rows_read, again).passed, (
        "it warns as long as the object is out of reach"
    )
    assert store.asked.count(("GET", B)) == 2
    assert ask("SELECT run_id FROM s3_exports.files WHERE _file_name = %s", B) == [(run,)], (
        "nothing new to note"
    )
    store.put(B, export_bytes(orders([2])))
    run = load("s3_exports")
    assert loaded_orders() == ["1", "2"]
    assert ledger()[B] == ("loaded", None)
    assert check(file_checks.all_rows_read, run).passed


def test_one_refused_object_of_three_is_set_aside_and_the_others_load(store: ObjectStore) -> None:
    for number, name in ((2, B), (3, C)):
        store.put(name, export_bytes(orders([number])))
    store.refuse_reading(B, Refusal("AccessDenied", 403))
    load("s3_exports")
    assert loaded_orders() == ["1", "3"]
    assert ledger()[B] == ("unreadable", refusals.REFUSED)
    store.refusals.clear()
    load("s3_exports")
    assert loaded_orders() == ["1", "2", "3"]


@pytest.mark.usefixtures("any_warehouse")
def test_a_file_whose_newer_version_cannot_be_read_keeps_its_rows_and_its_time(
    store: ObjectStore,
) -> None:
    load("s3_exports")
    before = ask(
        "SELECT etag, size, last_modified, rows_loaded, _loaded_at, run_id FROM s3_exports.files"
    )
    store.put(A, export_bytes(orders([7])), StorageClass="DEEP_ARCHIVE")
    run = load("s3_exports")
    assert loaded_orders() == ["1"]
    assert ledger() == {A: ("unreadable", refusals.ARCHIVED)}
    assert (
        ask(
            "SELECT etag, size, last_modified, rows_loaded, _loaded_at, run_id FROM"
            " s3_exports.files"
        )
        == before
    )
    assert not check(file_checks.all_rows_read, run).passed
    store.put(A, export_bytes(orders([7])))
    load("s3_exports")
    assert loaded_orders() == ["7"]


def test_a_loaded_file_that_is_archived_later_is_left_alone(store: ObjectStore) -> None:
    load("s3_exports")
    store.put(
        A, export_bytes(orders([1])), StorageClass="GLACIER"
    )  # the same content: the same entity tag
    load("s3_exports")
    assert ledger() == {A: ("loaded", None)}


def test_an_object_that_is_gone_again_is_no_longer_called_unreadable(store: ObjectStore) -> None:
    store.put(B, export_bytes(orders([2])), StorageClass="GLACIER")
    load("s3_exports")
    store.remove(B)
    run = load("s3_exports")
    assert ledger()[B][0] == "deleted"
    assert check(file_checks.all_rows_read, run).passed


def test_one_object_that_does_not_answer_now_keeps_no_other_from_loading(
    store: ObjectStore,
) -> None:
    for number, name in ((2, B), (3, C)):
        store.put(name, export_bytes(orders([number])))
    store.refuse_reading(A, Refusal("InternalError", 500))
    with pytest.raises(
        BucketUnavailableError, match=rf"^client 713, s3_exports: s3://exports at .*: {A}: it"
    ):
        load("s3_exports")
    assert loaded_orders() == ["2", "3"]
    assert A not in ledger()
    store.refusals.clear()
    load("s3_exports")
    assert loaded_orders() == ["1", "2", "3"]


def test_a_connection_that_breaks_off_is_no_file_that_ends_there(store: ObjectStore) -> None:
    store.refuse_reading(A, Refusal("", 200))
    with pytest.raises(BucketUnavailableError, match=A):
        load("s3_exports")
    assert loaded_orders() == []


def test_a_key_that_may_read_nothing_fails_the_load_and_the_other_prefix_loads(
    project: Project, object_store: ObjectStore
) -> None:
    project.add_client("713", prefixes=["orders-create", "orders-update"])
    project.configure("713", **object_store.settings)
    object_store.put(A, export_bytes(orders([1])))
    object_store.put("orders-update/a.csv", export_bytes(orders([2])))
    object_store.refuse_reading(A, Refusal("AccessDenied", 403))
    told = "no file under orders-create/ can be read: .*allow the client's key"
    with pytest.raises(ConfigurationError, match=told) as failed:
        load("s3_exports")
    assert decide(failed.value, 1).wait is None
    assert ask("SELECT orders_id FROM s3_exports.orders_update") == [("2",)]
    assert ledger()[A] == ("unreadable", refusals.REFUSED)


def test_wrong_credentials_fail_the_load_in_our_words(store: ObjectStore) -> None:
    store.refuse_reading("orders-create/", Refusal("SignatureDoesNotMatch", 403))
    with pytest.raises(
        ConfigurationError, match="client 713, .*refuses to be read: check aws_access_key_id"
    ) as failed:
        load("s3_exports")
    assert "words of AWS" not in str(root_error(failed.value))


def test_a_prefix_that_may_not_be_listed_keeps_no_other_from_being_noticed_and_loaded(
    project: Project, object_store: ObjectStore
) -> None:
    project.add_client("713", prefixes=["orders-create", "orders-update"])
    project.configure("713", **object_store.settings)
    object_store.put("orders-update/a.csv", export_bytes(orders([2])))
    object_store.refuse_reading("orders-create/", Refusal("AccessDenied", 403))
    assert list(accounts.listing_digests("s3_exports", get_client("713"))) == ["orders_update"]
    with pytest.raises(ConfigurationError, match="refuses to be read") as failed:
        load("s3_exports")
    assert decide(failed.value, 1).wait is None
    assert ask("SELECT orders_id FROM s3_exports.orders_update") == [("2",)]
    object_store.refuse_reading("orders-update/", Refusal("PermanentRedirect", 301))
    with pytest.raises(ConfigurationError, match="check region_name"):
        accounts.listing_digests("s3_exports", get_client("713"))


ODD_NAMES = (
    "a.csv?versionId=x.csv",
    "b?c=d&e.csv",
    "c#d.csv",
    "d%20e%2F.csv",
    "e+f g.csv",
    "/f.csv",
    "../g.csv",
    "./h.csv",
    "ü€日本.csv",
    f"{'k' * 900}.csv",
    "l'\"m.csv",
    "*[n].csv",
    "o\\p.csv",
    "~.csv",
    "q\x01.csv",
)


def test_whatever_a_key_is_named_its_own_content_is_loaded(store: ObjectStore) -> None:
    store.put("orders-create/a.csv", export_bytes(orders([99])))
    for number, name in enumerate(ODD_NAMES, 100):
        store.put(f"orders-create/{name}", export_bytes(orders([number])))
    for _ in range(2):
        load("s3_exports")
    found = dict(ask("SELECT _file_name, orders_id FROM s3_exports.orders_create"))
    expected = {f"orders-create/{name}": str(number) for number, name in enumerate(ODD_NAMES, 100)}
    assert found == {**expected, "orders-create/a.csv": "99", A: "1"}


OTHERS = ("a.zip", "b.txt", "c.xlsx", "d", "e.csv.bak", "f.csv/", "")


@pytest.mark.usefixtures("any_warehouse")
def test_what_is_passed_over_stands_in_dry_run_and_ledger_and_counts_for_nothing(
    store: ObjectStore,
) -> None:
    passed_over = [f"orders-create/{name}" for name in OTHERS]
    for name in passed_over:
        store.put(name, b"" if name.endswith("/") else b"x")
    planned = {item.what: item for item in preview_load("s3_exports", get_client("713"))}
    assert {name for name, item in planned.items() if not item.is_loaded} == set(passed_over)
    assert "neither in .csv nor in .csv.gz" in planned["orders-create/a.zip"].why
    run = load("s3_exports")
    assert {name: state for name, (state, _) in ledger().items()} == dict.fromkeys(
        passed_over, "skipped"
    ) | {A: "loaded"}
    for look in (file_checks.all_rows_read, file_checks.row_balance):
        assert check(look, run).passed
    with access.exclusive(), access.connected() as query:
        told = [item.what for item in inspect(query) if item.subject == "713/s3_exports files"]
    assert told and "objects that are no exports: 7, such as orders-create/" in told[0]
    assert [(each.loaded.pieces, each.loaded.rows) for each in status.standing()] == [(1, 1)]


def test_only_what_was_loaded_makes_data_fresh(project: Project, object_store: ObjectStore) -> None:
    project.add_client("713")
    project.configure("713", **object_store.settings)
    object_store.put("orders-create/a.zip", b"x")
    object_store.put(A, export_bytes(orders([1])), StorageClass="GLACIER")
    run = load("s3_exports")
    assert check(ages.fresh, run).said == "nothing has been loaded yet"
    assert [
        (item.pieces, item.loaded_at) for item in (each.loaded for each in status.standing())
    ] == [(0, None)]


def test_doctor_reads_the_newest_object_of_each_prefix_and_names_client_and_file(
    store: ObjectStore,
) -> None:
    assert accounts.probe("s3_exports", get_client("713")) == "orders_create (files: 1)"
    store.refuse_reading(A, Refusal("AccessDenied", 403))
    with pytest.raises(ConfigurationError) as refused:
        accounts.probe("s3_exports", get_client("713"))
    assert str(refused.value) == f"client 713, s3_exports: {A} {refusals.REFUSED}"
    with pytest.raises(ConfigurationError, match="no file under orders-create/ can be read"):
        load("s3_exports")
    with access.exclusive(), access.connected() as query:
        (told,) = [item for item in inspect(query, "713") if item.subject == "713/s3_exports files"]
        assert list(inspect(query, "cti")) == []
    assert f"files that no load could read: 1, such as {A} may not be read" in str(told.problem)
    assert not told.blocks
