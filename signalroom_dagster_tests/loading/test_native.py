"""Any dlt source, for two clients, on both warehouses: rows exact, tagged, and nobody else's
touched.
"""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster_tests.loading.stranger import KEY
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project

CLIENTS = ("acme", "zen")
SHOP = """
[sources.shop]
dlt_source = "signalroom_dagster_tests.loading.stranger:shop"
resources = ["products", "orders", "visits", "events"]
"""
DATABASE = """
[sources.crm]
dlt_source = "dlt.sources.sql_database:sql_database"
resources = ["people"]
[sources.crm.hints.people]
write_disposition = "replace"
"""

Answer = Callable[..., None]


@pytest.fixture
def answer(any_warehouse: Project, tmp_path: Path) -> Answer:
    """Writes what a client's shop answers, by resource."""
    any_warehouse.add_settings(SHOP)
    for client in CLIENTS:
        (tmp_path / client).mkdir()
        folder = str(tmp_path / client)
        any_warehouse.add_api_client(client, "shop", folder=folder, api_key=f"{KEY}{client}")

    def write(client: str, **answers: list[dict[str, Any]]) -> None:
        for name, rows in answers.items():
            (tmp_path / client / f"{name}.json").write_text(json.dumps(rows))

    return write


def rows(table: str, *columns: str) -> list[tuple[Any, ...]]:
    return ask(f"SELECT _client_id, {', '.join(columns)} FROM shop.{table} ORDER BY 1, 2")


def test_a_replaced_table_holds_each_clients_own_rows_also_when_there_are_none(
    answer: Answer,
) -> None:
    for client in CLIENTS:
        answer(client, products=[{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": ["c"]}])
        load("shop", client)
    answer("acme", products=[{"id": 3, "tags": ["d"]}])
    load("shop", "acme")
    assert rows("products", "id") == [("acme", 3), ("zen", 1), ("zen", 2)]
    assert rows("products__tags", "value") == [
        ("acme", "d"),
        ("zen", "a"),
        ("zen", "b"),
        ("zen", "c"),
    ]
    answer("acme", products=[])
    load("shop", "acme")
    assert rows("products", "id") == [("zen", 1), ("zen", 2)]
    assert rows("products__tags", "value") == [("zen", "a"), ("zen", "b"), ("zen", "c")]


def test_a_merged_table_has_each_key_once_and_reads_on_where_it_stopped(answer: Answer) -> None:
    first = {"id": 1, "changed": 1, "state": "new", "items": [{"sku": "a"}, {"sku": "b"}]}
    for client in CLIENTS:
        answer(client, orders=[first, {"id": 2, "changed": 2, "state": "new", "items": []}])
        load("shop", client)
    answer(
        "acme",
        orders=[
            {"id": 9, "changed": 0, "state": "before the cursor"},
            {"id": 1, "changed": 3, "state": "paid", "items": [{"sku": "c"}]},
            {"id": 3, "changed": 4, "state": "new"},
        ],
    )
    load("shop", "acme")
    load("shop", "acme")
    assert rows("orders", "id", "state") == [
        ("acme", 1, "paid"),
        ("acme", 2, "new"),
        ("acme", 3, "new"),
        ("zen", 1, "new"),
        ("zen", 2, "new"),
    ]
    assert rows("orders__items", "sku") == [("acme", "c"), ("zen", "a"), ("zen", "b")]


def test_nested_rows_go_with_their_row_also_when_no_answer_has_any_more(answer: Answer) -> None:
    answer("acme", orders=[{"id": 1, "changed": 1, "items": [{"sku": "a"}]}])
    load("shop", "acme")
    answer("acme", orders=[{"id": 1, "changed": 2, "items": []}])
    load("shop", "acme")
    assert rows("orders__items", "sku") == []


def test_appended_rows_are_added_once_and_those_that_name_their_table_go_there(
    answer: Answer,
) -> None:
    for client in CLIENTS:
        answer(client, visits=[{"number": 1}], events=[{"kind": "view", "n": 1}])
        load("shop", client)
    answer("acme", visits=[{"number": 1}, {"number": 2}], events=[{"kind": "buy", "n": 2}])
    load("shop", "acme")
    assert rows("visits", "number") == [("acme", 1), ("acme", 2), ("zen", 1)]
    assert rows("view", "n") == [("acme", 1), ("zen", 1)]
    assert rows("buy", "n") == [("acme", 2)]
    windows = rows("windows", "resource", "rows")
    assert windows[0:2] == [("acme", "events", 1), ("acme", "orders", 0)]


def test_a_load_of_nothing_is_a_load(answer: Answer) -> None:
    load("shop", "acme")
    load("shop", "acme")
    assert rows("windows", "resource", "rows") == [
        ("acme", name, 0) for name in ("events", "orders", "products", "visits")
    ]


def test_one_client_s_columns_and_types_never_break_another_s_load(answer: Answer) -> None:
    answer("acme", products=[{"id": 1, "price": 10, "size": 7}])
    load("shop", "acme")
    answer("zen", products=[{"id": 1, "price": 9.5, "size": "XL", "colour": "red"}])
    load("shop", "zen")
    assert rows("products", "price", "size", "size__v_text", "colour") == [
        ("acme", 10, 7, None, None),
        ("zen", 9.5, None, "XL", "red"),
    ]
    answer("acme", products=[{"id": 1, "price": 11, "size": 8, "weight": 1.5}])
    load("shop", "acme")
    load("shop", "zen")
    assert rows("products", "price", "size", "size__v_text", "colour", "weight") == [
        ("acme", 11, 8, None, None, 1.5),
        ("zen", 9.5, None, "XL", "red", None),
    ]


@pytest.mark.parametrize(
    "strategy",
    [
        "upsert",
        "scd2",
        pytest.param("delete-insert", marks=pytest.mark.slow),
        pytest.param("insert-only", marks=pytest.mark.slow),
        pytest.param("cdc", marks=pytest.mark.slow),
    ],
)
def test_every_way_of_merging_keeps_to_the_client(
    any_warehouse: Project, answer: Answer, strategy: str
) -> None:
    any_warehouse.set(
        SOURCES__SHOP__RESOURCES='["stock"]',
        SOURCES__SHOP__HINTS__STOCK__WRITE_DISPOSITION=json.dumps(
            {"disposition": "merge", "strategy": strategy}
        ),
    )
    same = [{"id": 1, "left": 5, "at": [{"shelf": "a"}]}, {"id": 2, "left": 6}]
    for client in CLIENTS:
        answer(client, stock=same)
        load("shop", client)
        load("shop", client)
    answer("acme", stock=[{"id": 1, "left": 4, "at": [{"shelf": "b"}]}])
    load("shop", "acme")
    valid = "WHERE _dlt_valid_to IS NULL" if strategy == "scd2" else ""
    found = ask(
        f"SELECT _client_id, id, left FROM shop.stock {valid} ORDER BY 1, 2".replace(
            "left", '"left"'
        )
    )
    zens = [("zen", 1, 5), ("zen", 2, 6)]
    acmes = {
        "insert-only": [("acme", 1, 5), ("acme", 2, 6)],
        "scd2": [("acme", 1, 4)],
        "cdc": [("acme", 1, 4)],
    }
    assert found == [*acmes.get(strategy, [("acme", 1, 4), ("acme", 2, 6)]), *zens]
    shelves = ask("SELECT _client_id, shelf FROM shop.stock__at ORDER BY 1, 2")
    assert ("zen", "a") in shelves
    assert len([shelf for shelf in shelves if shelf[0] == "zen"]) == 1


def test_rows_that_bring_their_table_and_its_hints_along_are_tagged_there(
    answer: Answer, any_warehouse: Project
) -> None:
    any_warehouse.set(SOURCES__SHOP__RESOURCES='["marks"]')
    for client in CLIENTS:
        answer(client, marks=[{"kind": "lead", "id": 1}, {"kind": "deal", "id": 2}])
        load("shop", client)
    assert rows("of_lead", "id") == [("acme", 1), ("zen", 1)]
    assert rows("of_deal", "id") == [("acme", 2), ("zen", 2)]


def test_a_database_of_each_client_is_read_with_its_own_credentials(
    any_warehouse: Project, tmp_path: Path
) -> None:
    any_warehouse.add_settings(DATABASE)
    for client in CLIENTS:
        with sqlite3.connect(tmp_path / f"{client}.db") as database:
            database.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
            database.execute("INSERT INTO people VALUES (1, ?)", (f"Ann of {client}",))
        url = f"sqlite:///{tmp_path}/{client}.db"
        any_warehouse.add_api_client(client, "crm", credentials=url)
        load("crm", client)
        load("crm", client)
    found = ask("SELECT _client_id, id, name FROM crm.people ORDER BY 1")
    assert found == [("acme", 1, "Ann of acme"), ("zen", 1, "Ann of zen")]
    assert ask("SELECT count(*) FROM crm.people WHERE _loaded_at IS NULL") == [(0,)]
