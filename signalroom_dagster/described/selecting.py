"""Where in an answer something stands: a JSONPath, as dlt's `data_selector` is one; and where in a
row: names with dots.
"""

import functools
from collections.abc import Mapping
from typing import Any, cast

from dlt.common import jsonpath

from signalroom_dagster.sources.tables import Row


@functools.lru_cache(maxsize=512)
def _compiled(selector: str) -> Any:
    try:
        return jsonpath.compile_path(selector)
    except Exception as error:  # the parser's own errors have no common class
        raise ValueError(
            f"{selector} is no JSONPath; a name with other signs than letters is quoted:"
            " '@odata.count'"
        ) from error


def checked_selector(selector: str) -> str:
    """A JSONPath as it is. Raises ValueError for what is none."""
    if selector:
        _compiled(selector)
    return selector


def selected(selector: str, body: Any) -> list[Any]:
    """Everything that stands there."""
    return jsonpath.find_values(_compiled(selector), body)


def rows_at(selector: str, body: Any) -> list[Any] | None:
    """The rows of an answer where the selector points: a list, one row, or nothing (null). None for
    an answer without that place, which is no empty list: taken for one it would empty a table.
    """
    matches = selected(selector, body)
    if "[*]" in selector:
        is_there = matches or selected(selector.partition("[*]")[0], body)
        return matches if is_there else None
    if not matches:
        return None
    rows = [] if matches[0] is None else matches[0]
    return cast("list[Any]", rows) if isinstance(rows, list) else [rows]


def at(row: Any, path: str) -> Any:
    """What a row has under a path; None for nothing."""
    for step in path.split("."):
        row = cast("Row", row).get(step) if isinstance(row, Mapping) else None
    return row
