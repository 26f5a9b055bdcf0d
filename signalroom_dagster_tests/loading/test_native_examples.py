"""The examples of docs/SOURCE_EXAMPLES.md that name a dlt source, as they stand there."""

import json
import re
import sqlite3
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from signalroom_dagster.sandbox.vendor_server import serve
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import ROOT, Project
from signalroom_dagster_tests.test_guides import files_of

CLIENTS = ("acme", "zen")


def example(heading: str) -> str:
    """The settings below a heading."""
    text = (ROOT / "docs" / "SOURCE_EXAMPLES.md").read_text()
    part = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.search(r"```toml\n(.*?)```", part, re.DOTALL)
    assert found, heading
    return found[1]


def test_a_sql_database_of_each_client(any_warehouse: Project, tmp_path: Path) -> None:
    any_warehouse.add_settings(example("A SQL database"))
    for client in CLIENTS:
        url = f"sqlite:///{tmp_path}/{client}.db"
        any_warehouse.add_api_client(client, "shop", credentials=url)
        with sqlite3.connect(tmp_path / f"{client}.db") as database:
            database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, updated_at INT, n INT)")
            database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
            database.execute("INSERT INTO orders VALUES (1, 1, 1), (2, 2, 2)")
            database.execute("INSERT INTO customers VALUES (1), (2)")
        load("shop", client)
    with sqlite3.connect(tmp_path / "acme.db") as database:
        database.execute("UPDATE orders SET updated_at = 3, n = 7 WHERE id = 1")
        database.execute("DELETE FROM customers")
    load("shop", "acme")
    orders = ask("SELECT _client_id, id, n FROM shop.orders ORDER BY 1, 2")
    assert orders == [("acme", 1, 7), ("acme", 2, 2), ("zen", 1, 1), ("zen", 2, 2)]
    assert ask("SELECT _client_id, id FROM shop.customers ORDER BY 2") == [("zen", 1), ("zen", 2)]


def test_a_postgres_database_that_clients_share_by_schema(
    project: Project, postgres_url: str
) -> None:
    project.add_settings(example("A SQL database"))
    with psycopg2.connect(postgres_url) as database, database.cursor() as cursor:
        for number, client in enumerate(CLIENTS, 1):
            cursor.execute(f"CREATE SCHEMA {client}; SET search_path TO {client}")
            cursor.execute("CREATE TABLE customers (id int PRIMARY KEY)")
            cursor.execute("CREATE TABLE orders (id int PRIMARY KEY, updated_at int, n numeric)")
            cursor.execute("INSERT INTO orders VALUES (1, 1, %s)", (number + Decimal("0.25"),))
    for client in CLIENTS:
        project.add_api_client(client, "shop", credentials=postgres_url, schema=client)
        load("shop", client)
        load("shop", client)
    orders = ask("SELECT _client_id, id, n FROM shop.orders ORDER BY 1")
    assert orders == [("acme", 1, Decimal("1.25")), ("zen", 1, Decimal("2.25"))]


REST_API = """
[sources.crm]
dlt_source = "dlt.sources.rest_api:rest_api_source"
resources = ["contacts"]
[sources.crm.hints.contacts]
write_disposition = "replace"
"""
OF_CLIENT = """
[sources.crm.clients.{client}.config]
resources = [{{ name = "contacts", endpoint = {{ path = "contacts", data_selector = "items" }} }}]
[sources.crm.clients.{client}.config.client]
base_url = "{url}"
paginator = "single_page"
auth = {{ type = "bearer", token = "key-{client}" }}
"""


def test_an_api_of_dlt_s_own_rest_api_form(any_warehouse: Project) -> None:
    people = {"acme": [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}], "zen": [{"id": 1}]}

    async def contacts(request: Request) -> Response:
        key = request.headers["Authorization"].removeprefix("Bearer key-")
        return JSONResponse({"items": people[key]})

    with serve([Route("/contacts", contacts)]) as vendor:
        settings = [OF_CLIENT.format(client=client, url=vendor.url) for client in CLIENTS]
        any_warehouse.add_settings("".join([REST_API, *settings]))
        for client in CLIENTS:
            any_warehouse.add_api_client(client, "crm")
            load("crm", client)
        people["zen"] = []
        for client in CLIENTS:
            load("crm", client)
    assert ask("SELECT _client_id, id FROM crm.contacts ORDER BY 2") == [("acme", 1), ("acme", 2)]
    tags = "SELECT _client_id, value FROM crm.contacts__tags ORDER BY 2"
    assert ask(tags) == [("acme", "a"), ("acme", "b")]


def test_files_of_each_client(any_warehouse: Project, tmp_path: Path) -> None:
    any_warehouse.add_settings(example("Files: JSON lines, Parquet, CSV"))
    for number, client in enumerate(CLIENTS):
        folder = tmp_path / client / "leads"
        folder.mkdir(parents=True)
        (folder / "monday.jsonl").write_text(json.dumps({"id": 1, "score": number}))
        any_warehouse.add_api_client(client, "leads", bucket_url=f"file://{tmp_path}/{client}")
        load("leads", client)
        load("leads", client)
    rows = ask("SELECT _client_id, id, score FROM leads.read_jsonl ORDER BY 1")
    assert rows == [("acme", 1, 0), ("zen", 1, 1)]


def test_a_folder_beside_the_data(any_warehouse: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "weather", raising=False)
    any_warehouse.add_settings(example("A source of your own, or of a package"))
    file = any_warehouse.root / "weather" / "__init__.py"
    file.parent.mkdir()
    file.write_text(files_of("SOURCE_EXAMPLES.md")["weather/__init__.py"])
    for client in CLIENTS:
        any_warehouse.add_api_client(client, "weather", api_key=f"key-of-{client}")
        load("weather", client)
    load("weather", "acme", since=date(2026, 1, 1), until=date(2026, 1, 31))
    days = "SELECT _client_id, CAST(day AS varchar) FROM weather.days ORDER BY 1, 2"
    assert ask(days) == [
        ("acme", "2026-01-01"),
        ("acme", "2026-01-31"),
        ("acme", "2026-03-01"),
        ("acme", "2026-03-31"),
        ("zen", "2026-03-01"),
        ("zen", "2026-03-31"),
    ]
    assert ask("SELECT count(*) FROM weather.days__hours WHERE _client_id = 'acme'") == [(4,)]
