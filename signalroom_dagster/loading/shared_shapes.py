"""How a client's staged rows and the tables that all clients share come to fit each other.

What one client's data are like never keeps another's from being loaded: a table gets columns that
it lacks, which may be empty for everybody else; a column gets the wider of two number or date
types; and where two types do not go together, the later one stands in a column of its own, as dlt
names such columns (`price__v_text`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.sources.tables import TAGS
from signalroom_dagster.warehouse.bookkeeping import OURS, move_aside

Column: TypeAlias = dict[str, Any]
Columns: TypeAlias = dict[str, Column]
"""What dlt says of a table's columns, by name."""
SqlType: TypeAlias = Callable[[Column], str]
Quote: TypeAlias = Callable[[str], str]

TYPE = ("data_type", "precision", "scale")
MOST_DIGITS = 38
DECIMAL = (38, 9)
"""Digits, and those behind the point, of a decimal that says neither."""
VARIANT = "__v_"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its names as in SQL, shared and staged; its columns as declared (changed in
    place), as they stand in the shared one and as they were staged.
    """

    name: str
    shared_name: str
    staged_name: str
    declared: Columns
    shared: Mapping[str, Any]
    staged: Mapping[str, Any]


def wider(one: Mapping[str, Any], other: Mapping[str, Any]) -> Column | None:
    """The type that holds the values of both; None where they do not go together."""
    kinds = {one["data_type"], other["data_type"]}
    if kinds == {"bigint"} or len(kinds) == 1 and "decimal" not in kinds:
        return {"data_type": one["data_type"]}
    if kinds <= {"bigint", "decimal"}:
        whole = max(_digits(column)[0] - _digits(column)[1] for column in (one, other))
        places = max(_digits(column)[1] for column in (one, other))
        return {
            "data_type": "decimal",
            "precision": min(whole + places, MOST_DIGITS),
            "scale": places,
        }
    if kinds <= {"bigint", "double", "decimal"}:
        return {"data_type": "double"}
    return {"data_type": "timestamp"} if kinds == {"date", "timestamp"} else None


def fit(table: Table, sql_type: SqlType, quote: Quote) -> Iterator[str]:
    """The statements that make staged and shared columns fit; the declared ones are then what both
    are. Raises ConfigurationError for a table that another system made, and for a key whose types
    do not go together.
    """
    if table.shared and not {*table.shared} >= OURS:
        raise _of_another_system(table)
    for name in [name for name, column in table.declared.items() if column.get("variant")]:
        if name in table.staged:
            yield from _folded(table, name, sql_type, quote)
    for name in [*table.declared]:
        if name in table.shared and name in table.staged:
            yield from _joined(table, name, sql_type, quote)
    for name, column in table.declared.items():
        if not name.startswith("_dlt_"):
            column["nullable"] = True  # what one client always has, another may lack
        if column.get("data_type") in ("text", "bigint"):
            column.pop("precision", None)


def tag(table: Any) -> None:
    """Declare the tags of a table, and lead its keys by the client."""
    tags: Columns = {
        name: {"name": name, "data_type": kind, "nullable": name != "_client_id"}
        for name, kind in TAGS.items()
    }
    for key in ("primary_key", "merge_key"):
        if any(column.get(key) for column in table["columns"].values()):
            tags["_client_id"][key] = True
    table["columns"] = {**tags, **table["columns"]}


def _folded(table: Table, variant: str, sql_type: SqlType, quote: Quote) -> Iterator[str]:
    """Numbers that dlt has put beside other numbers, back into one column."""
    name = variant.rpartition(VARIANT)[0]
    own = table.declared.get(name)
    joined = wider(own, table.declared[variant]) if own and name in table.staged else None
    if own is None or joined is None:
        return
    staged, base, beside = table.staged_name, quote(name), quote(variant)
    _retype(own, joined)
    yield f"ALTER TABLE {staged} ALTER COLUMN {base} TYPE {sql_type(own)}"
    yield f"UPDATE {staged} SET {base} = {beside} WHERE {beside} IS NOT NULL"
    yield f"ALTER TABLE {staged} DROP COLUMN {beside}"
    del table.declared[variant]


def _joined(table: Table, name: str, sql_type: SqlType, quote: Quote) -> Iterator[str]:
    own, there = table.declared[name], table.shared[name]
    joined = wider(own, there)
    if joined is None:
        yield from _set_beside(table, name, quote)
        return
    widened = {**own}
    _retype(widened, joined)
    if _plain(joined) != _plain(there):
        yield f"ALTER TABLE {table.shared_name} ALTER COLUMN {quote(name)} TYPE {sql_type(widened)}"
    own.clear()
    own.update(widened)


def _set_beside(table: Table, name: str, quote: Quote) -> Iterator[str]:
    """Rename a staged column whose type does not go together with the shared one."""
    own, there = table.declared[name], table.shared[name]
    if own.get("primary_key") or own.get("merge_key"):
        raise ConfigurationError(
            f"{table.shared_name}: the key {name} is {there['data_type']} in the warehouse and"
            f" {own['data_type']} in this client's data: say its type in `hints`, as columns ="
            f' {{ {name} = {{ data_type = "{there["data_type"]}" }} }}'
        )
    variant = f"{name}{VARIANT}{own['data_type']}"
    base, beside, staged = quote(name), quote(variant), table.staged_name
    if variant in table.staged:
        yield f"UPDATE {staged} SET {beside} = coalesce({beside}, {base})"
        yield f"ALTER TABLE {staged} DROP COLUMN {base}"
    else:
        yield f"ALTER TABLE {staged} RENAME COLUMN {base} TO {beside}"
    table.declared[variant] = {**own, "name": variant, "variant": True}
    _retype(own, {part: there[part] for part in TYPE if part in there})


def _retype(column: Column, kind: Mapping[str, Any]) -> None:
    for part in TYPE:
        column.pop(part, None)
    column.update(kind)


def _plain(column: Mapping[str, Any]) -> tuple[Any, ...]:
    """A type as it is compared: of numbers with digits those, of all others nothing more."""
    kind = column["data_type"]
    return (kind, *_digits(column)) if kind == "decimal" else (kind,)


def _digits(column: Mapping[str, Any]) -> tuple[int, int]:
    if column["data_type"] == "bigint":
        return 19, 0
    precision, scale = column.get("precision"), column.get("scale")
    return (DECIMAL[0] if precision is None else precision, DECIMAL[1] if scale is None else scale)


def _of_another_system(table: Table) -> ConfigurationError:
    schema, _, name = table.shared_name.replace('"', "").rpartition(".")
    return ConfigurationError(
        f"{schema}.{name} is there, and another system made it: nothing was changed. Keep it under"
        f" another name with {move_aside(schema, name)}"
    )
