"""A dlt source as somebody writes it who has never heard of SignalRoom: a shop's answers, which lie
in a folder as JSON, behind a key.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt

KEY = "key-of-"


@dlt.source
def shop(folder: str = dlt.config.value, api_key: str = dlt.secrets.value) -> Any:
    def answer(name: str) -> list[dict[str, Any]]:
        if api_key != f"{KEY}{Path(folder).name}":
            raise PermissionError(f"the key is not that of {folder}")
        file = Path(folder) / f"{name}.json"
        return json.loads(file.read_text()) if file.is_file() else []

    @dlt.resource(write_disposition="replace")
    def products() -> Iterator[Any]:
        """What the shop sells."""
        yield answer("products")

    @dlt.resource(write_disposition="merge", primary_key="id")
    def orders(
        changed: Any = dlt.sources.incremental("changed", initial_value=0),  # noqa: B008
    ) -> Iterator[Any]:
        yield from answer("orders")

    @dlt.resource(write_disposition="append")
    def visits(number: Any = dlt.sources.incremental("number", initial_value=0)) -> Iterator[Any]:  # noqa: B008
        yield answer("visits")

    @dlt.resource(write_disposition="append", table_name=lambda row: row["kind"])
    def events() -> Iterator[Any]:
        yield from answer("events")

    @dlt.resource
    def marks() -> Iterator[Any]:
        for row in answer("marks"):
            hints = dlt.mark.make_hints(table_name=f"of_{row['kind']}", primary_key="id")
            yield dlt.mark.with_hints(row, hints, create_table_variant=True)

    @dlt.resource(primary_key="id")
    def stock() -> Iterator[Any]:
        yield answer("stock")

    return products, orders, visits, events, marks, stock


@dlt.source
def careless() -> Any:
    """What looks its key up where it likes."""

    @dlt.resource
    def keys(api_key: str = dlt.secrets.value) -> Iterator[Any]:
        yield {"key": api_key, "other": dlt.config.get("sources.careless.clients.zen.api_key")}

    return keys


@dlt.source
def windows_of_others() -> Any:
    return dlt.resource([{"id": 1}], name="panes", table_name="windows")


@dlt.source
def tagged() -> Any:
    return dlt.resource([{"id": 1, "_client_id": "zen"}], name="rows")
