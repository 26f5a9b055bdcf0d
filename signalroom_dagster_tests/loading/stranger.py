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

    return products, orders, visits, events
