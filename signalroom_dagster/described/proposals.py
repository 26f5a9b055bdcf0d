"""What an answer suggests that a description should say: where its rows stand, how pages follow
each other, its columns, key, day and total. Proposals are TOML, for a person to look at and paste.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from dlt.sources.helpers.rest_client.detector import PaginatorFactory, find_response_page_data
from dlt.sources.helpers.rest_client.paginators import (
    HeaderLinkPaginator,
    JSONLinkPaginator,
    JSONResponseCursorPaginator,
    PageNumberPaginator,
)

from signalroom_dagster.described.asking import Answer
from signalroom_dagster.described.files import Description, Resource
from signalroom_dagster.described.selecting import at
from signalroom_dagster.naming import snake_case, wrong_name
from signalroom_dagster.sources.tables import Row

LEVELS = 3
_TOTAL = re.compile(r"^(total|count|(total|num)_?(count|rows|results|items|records))$", re.I)
_TOTAL_HEADER = re.compile(r"^x-(wp-)?total(-count)?$", re.I)
_PERSONAL = re.compile(r"mail|phone|address|_ip$|^ip|name$|token|secret|password|birth", re.I)
_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")
_AMOUNT = re.compile(r"^-?\d+\.\d+$")
_MOMENT = re.compile(r"(_at|_on|time|timestamp|date)$")


def rows_in(answer: Answer, selector: str) -> tuple[str, Sequence[Row]]:
    """Where the rows of an answer stand, and they: where the selector says, or dlt's guess."""
    if selector != "$" or not isinstance(answer.body, dict):
        return selector, []
    path, rows = find_response_page_data(cast("dict[str, Any]", answer.body))
    entries = cast("list[Any]", rows if isinstance(rows, list) else [])
    return ".".join(path), [row for row in entries if isinstance(row, Mapping)]


def proposal(
    name: str, description: Description, resource: Resource, answer: Answer, rows: Sequence[Row]
) -> Iterator[str]:
    """The lines that a resource's description lacks, for TOML; none where it says everything."""
    endpoint = list(_of_endpoint(description, resource, answer))
    table = list(_of_table(name, resource, answer, rows))
    yield from (f"# into the endpoint of {name}:", *endpoint) if endpoint else ()
    yield from (f"# below [resources.{name}]:", *table) if table else ()


def _of_endpoint(description: Description, resource: Resource, answer: Answer) -> Iterator[str]:
    selector, _ = rows_in(answer, resource.endpoint.data_selector)
    if selector != resource.endpoint.data_selector:
        yield f'data_selector = "{selector}"'
    if not description.paginator_of(resource):
        yield f"paginator = {_paginator(answer)}"


def _of_table(name: str, resource: Resource, answer: Answer, rows: Sequence[Row]) -> Iterator[str]:
    columns = columns_in(rows)
    if not resource.primary_key and rows:
        key = _key(rows, columns, resource.window.day if resource.window else "")
        yield (
            f"primary_key = {_list(key)}  # unique among these {len(rows)} rows"
            if key
            else ("# primary_key: no three columns are unique among these rows")
        )
    if resource.complete is None:
        yield f"complete = {_complete(answer, len(rows))}"
    if resource.columns:
        return
    days = [column for column, (kind, _) in columns.items() if kind in ("date", "timestamp")]
    if resource.window is None and days:
        yield f'# if it is read by day: [resources.{name}.window] with day = "{days[0]}"'
    yield f"[resources.{name}.columns]"
    for column, (kind, path) in columns.items():
        line = f'{column} = "{kind if path == column else f"{kind} {path}"}"'
        is_personal = _PERSONAL.search(column)
        yield (
            f"# {line}  # a person's, or a secret? take it if you need it" if is_personal else line
        )


def columns_in(rows: Sequence[Row]) -> Mapping[str, tuple[str, str]]:
    """A column for each field of the rows: its kind, and its path in a row."""
    values: dict[tuple[str, ...], list[Any]] = {}
    for row in rows:
        for path, value in _fields(row):
            values.setdefault(path, []).append(value)
    columns: dict[str, tuple[str, str]] = {}
    for path, seen in values.items():
        name = snake_case("_".join(path))
        name = f"field_{name.lstrip('_')}" if wrong_name(name) else name
        if name not in columns and not any("." in step for step in path):
            columns[name] = (_kind(name, seen), ".".join(path))
    return columns


def _fields(row: Row, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in row.items():
        path = (*above, str(name))
        if isinstance(value, Mapping) and value and len(path) < LEVELS:
            yield from _fields(cast("Row", value), path)
        else:
            yield path, value


def _kind(name: str, values: Sequence[Any]) -> str:
    seen = [value for value in values if value not in (None, "")]
    if not seen:
        return "text"
    if all(isinstance(value, bool) for value in seen):
        return "bool"
    if all(isinstance(value, int) for value in seen):
        is_moment = _MOMENT.search(name) and all(10**9 <= value < 10**10 for value in seen)
        return "epoch" if is_moment else "bigint"
    if all(isinstance(value, int | float | Decimal) for value in seen):
        return "decimal"
    if any(isinstance(value, Mapping | list) for value in seen):
        return "json"
    return _kind_of_texts([str(value) for value in seen])


def _kind_of_texts(texts: Sequence[str]) -> str:
    if all(map(_DAY.match, texts)):
        return "date"
    if all(map(_AMOUNT.match, texts)):
        return "decimal"
    try:
        moments = [datetime.fromisoformat(text) for text in texts]
    except ValueError:
        return "text"
    return "timestamp" if moments and min(map(len, texts)) > len("2026-03-01") else "text"


def _key(rows: Sequence[Row], columns: Mapping[str, tuple[str, str]], day: str) -> Sequence[str]:
    """The fewest columns whose values no two rows share, ids first; of a table with a day behind
    it, for these rows may be of one day.
    """
    cells = {name: [at(row, path) for row in rows] for name, (_, path) in columns.items()}
    fit = [
        name
        for name, (kind, _) in columns.items()
        if kind in ("text", "bigint", "date") and None not in cells[name]
    ]
    fit.sort(key=lambda name: (name not in ("id", "uuid"), columns[name][0] != "date"))
    named = [name for name in fit if name.endswith(("id", "uuid", "key", "code", "date"))]
    for size in (1, 2, 3):
        for names in itertools.combinations(dict.fromkeys([*named, *fit]), size):
            if len({*zip(*(cells[name] for name in names), strict=True)}) == len(rows):
                is_whole = not day or day in names or names[0] in ("id", "uuid")
                return names if is_whole else (day, *names)
    return ()


def _paginator(answer: Answer) -> str:
    paginator, _ = PaginatorFactory().create_paginator(answer)
    if isinstance(paginator, JSONResponseCursorPaginator):
        path = paginator.cursor_path
        return f'{{ type = "cursor", cursor_path = "{path}", cursor_param = "cursor" }}'
    if isinstance(paginator, JSONLinkPaginator):
        return f'{{ type = "json_link", next_url_path = "{paginator.next_url_path}" }}'
    if isinstance(paginator, PageNumberPaginator):
        return f'{{ type = "page_number", base_page = 1, total_path = "{paginator.total_path}" }}'
    return '"header_link"' if isinstance(paginator, HeaderLinkPaginator) else '"single_page"'


def _complete(answer: Answer, rows: int) -> str:
    for name in answer.headers:
        if _TOTAL_HEADER.match(name):
            return f'{{ total = "header:{name}" }}'
    for path, value in _fields(answer.body) if isinstance(answer.body, dict) else ():
        if _TOTAL.match(path[-1]) and isinstance(value, int) and value >= rows:
            return f'{{ total = "{".".join(path)}" }}'
    return "{ unproven = true }  # nothing here says how many rows there are"


def _list(names: Sequence[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return quoted if len(names) == 1 else f"[{quoted}]"
