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
