"""kill -9 and races in loads of any dlt source: what was there stays, the next load is exact."""

import json
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster_tests.loading.processes import NATIVE_STAGES, finish, start_load
from signalroom_dagster_tests.loading.stranger import KEY
from signalroom_dagster_tests.loading.test_native import SHOP
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project

CLIENTS = ("acme", "zen")
TABLES = {
    "products": "id",
    "orders": "state",
    "orders__items": "sku",
    "visits": "number",
    "view": "n",
}
BEFORE = {
    "products": [1, 2],
    "orders": ["new", "new"],
    "orders__items": ["a", "b"],
    "visits": [1, 2],
    "view": [1],
}
AFTER = {
    "products": [3],
    "orders": ["new", "new", "paid"],
    "orders__items": ["b", "c"],
    "visits": [1, 2, 3],
    "view": [1, 2],
}


@pytest.fixture
def shops(any_warehouse: Project, tmp_path: Path) -> dict[str, Path]:
    """The folders of two clients' shops; both have been loaded once."""
    any_warehouse.add_settings(SHOP)
    folders = {client: tmp_path / client for client in CLIENTS}
    for client, folder in folders.items():
        folder.mkdir()
        any_warehouse.add_api_client(client, "shop", folder=str(folder), api_key=f"{KEY}{client}")
        answer(
            folder,
            products=[{"id": 1}, {"id": 2}],
            orders=[
                {"id": 1, "changed": 1, "state": "new", "items": [{"sku": "a"}]},
                {"id": 2, "changed": 1, "state": "new", "items": [{"sku": "b"}]},
            ],
            visits=[{"number": 1}, {"number": 2}],
            events=[{"kind": "view", "n": 1}],
        )
        load("shop", client)
    return folders


def change(folder: Path) -> None:
    """Something new of everything, a column that there was not among it."""
    answer(
        folder,
        products=[{"id": 3, "colour": "red"}],
        orders=[
            {"id": 1, "changed": 2, "state": "paid", "items": [{"sku": "c"}]},
            {"id": 3, "changed": 2, "state": "new"},
        ],
        visits=[{"number": 2}, {"number": 3}],
        events=[{"kind": "view", "n": 2}],
    )


def answer(folder: Path, **answers: list[dict[str, Any]]) -> None:
    for name, rows in answers.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))


def holds(client: str, expected: dict[str, list[Any]]) -> None:
    held = {
        table: [
            value
            for (value,) in ask(
                f"SELECT {column} FROM shop.{table} WHERE _client_id = %s ORDER BY 1", client
            )
        ]
        for table, column in TABLES.items()
    }
    assert held == expected


@pytest.mark.parametrize(
    "stage",
    [
        stage if stage == "before _dlt_loads" else pytest.param(stage, marks=pytest.mark.slow)
        for stage in NATIVE_STAGES
    ],
)
def test_a_killed_load_changes_nothing_and_the_next_one_is_exact(
    any_warehouse: Project, shops: dict[str, Path], stage: str
) -> None:
    change(shops["acme"])
    assert finish(start_load(any_warehouse.environment, "acme", "killed", stage, "shop")) == -9
    holds("acme", AFTER if stage == "after _dlt_loads" else BEFORE)
    if stage == "after _dlt_loads":  # what came without a cursor comes again, as it would have
        answer(shops["acme"], events=[])
    load("shop", "acme")
    holds("acme", AFTER)
    holds("zen", BEFORE)
    schemas = "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE %s"
    assert ask(schemas, "signalroom_staging%") == []


@pytest.mark.slow
def test_two_loads_of_one_client_and_one_of_another_at_once_are_exact(
    any_warehouse: Project, shops: dict[str, Path]
) -> None:
    for folder in shops.values():
        change(folder)
        answer(folder, events=[])
    running = [
        start_load(any_warehouse.environment, client, f"{client}-{number}", source="shop")
        for number, client in enumerate(("acme", "zen", "acme", "zen"))
    ]
    assert [finish(process) for process in running] == [0, 0, 0, 0]
    for client in CLIENTS:
        holds(client, {**AFTER, "view": [1]})
