"""What a table of an API source is made of, as data: `tables.toml` beside the source says it, this
reads it.

A column is `name = "kind path | text"`: its kind, where in the vendor's row its value stands (dots
go down; left out when it has the column's own name), and what it means, where its name does not say
it. Kinds are dlt's data types, `epoch` (a timestamp from seconds since 1970, 0 for none) and
`jsontext` (JSON that the vendor sends as text). Vendors' empty text is NULL everywhere. Money is
decimal with four places, rounded half up.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import Any, Literal, TypeAlias, cast

from signalroom_dagster.json_text import UNSTORABLE, Cleaned
from signalroom_dagster.kinds import CONVERTERS, DATA_TYPES, UNREADABLE, Convert

Row: TypeAlias = Mapping[str, Any]
Figure: TypeAlias = int | Decimal
Replaces: TypeAlias = Literal["days", "client", "keys"]
"""Which of the client's rows a reading takes the place of: those of its days, all of them, or those
with its keys.
"""

Oddity: TypeAlias = tuple[str, str]
"""A column, and why its cell in some row is NULL or not quite as the vendor sent it."""

Counts: TypeAlias = Mapping[str, Mapping[date, Figure]]
"""Totals by column and day."""

NUMBERED = ("_id", "_code")
"""How columns end whose numbers name something."""
TAGS: Mapping[str, str] = {"_client_id": "text", "_loaded_at": "timestamp"}
"""The columns that lead every row of an API table, with their dlt types."""
TAGS_ABOUT = {
    "_client_id": "the client whose row it is",
    "_loaded_at": "when this version of the row was loaded, UTC",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its kind, the path to its value in the vendor's row, and what it means."""

    name: str
    kind: str
    path: tuple[str, ...]
    about: str = ""

    @property
    def data_type(self) -> str:
        """dlt's name for the type."""
        return DATA_TYPES.get(self.kind, self.kind)

    @property
    def value(self) -> Convert:
        """A function from a vendor's row to this column's cell; raises ValueError for what the kind
        cannot hold.
        """
        convert, path = CONVERTERS[self.kind], self.path
        if len(path) == 1:
            only = path[0]
            return lambda row: convert(row.get(only))
        return lambda row: convert(_down(row, path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table. `key` names its rows within a client; `day` is the column that says which day a
    row belongs to.

    `figures` are the columns whose change restates a day: all that are counted, unless a table says
    otherwise. `needed` are those that the vendor always sends and models count on: a reading
    without them is not loaded. `total` is what the vendor's own total counts: "rows", or the column
    to sum. `renamed` says what columns were called in earlier releases, by their name of today:
    their tables are altered.

    `replaces` says what a reading takes the place of: its days, all of the client's rows, or the
    rows with its keys. One with `sweep` is read by change, and whole every so many days as the
    setting of this name says; `changes` says what is read then, with settings, and `since`, in
    braces. `is_compared` is a list whose reading is given what the last one left. `longest` is how
    many days are asked for at once, `requests` how many requests that takes at least. Days that
    were over are read again, where a run is asked to look back deeper, only of a table that
    `deepens`: whose rows change. The cursor of one that `settles` is the instant up to which a
    reading went: a day may end after it. Of two rows with one key in one reading the later stands:
    the one that came last, or, where no order is kept, of the latest `latest`.

    `proof` says in words how it is known that nothing is missing, where a table says it itself.
    """

    name: str
    about: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    day: str | None = None
    figures: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    total: str = "rows"
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    replaces: Replaces = "days"
    longest: int = 1
    requests: int = 1
    deepens: bool = True
    sweep: str = ""
    changes: str = ""
    is_compared: bool = False
    settles: bool = False
    latest: str = ""
    proof: str = ""
    hints: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Say it in dlt's words once."""
        required = {"_client_id", *self.key}
        kinds = {**TAGS, **{column.name: column.data_type for column in self.columns}}
        about = {
            **TAGS_ABOUT,
            **{column.name: column.about for column in self.columns if column.about},
        }
        hints = {name: _hint(name, kind, name in required) for name, kind in kinds.items()}
        for name, text in about.items():
            hints[name]["description"] = text
        object.__setattr__(self, "hints", hints)


def read_tables(package: str) -> Mapping[str, Table]:
    """The tables that `tables.toml` of a source package describes, by name."""
    text = files(package).joinpath("tables.toml").read_text("utf-8")
    return {name: table_of(name, described) for name, described in tomllib.loads(text).items()}


def columns_of(described: Mapping[str, str]) -> tuple[Column, ...]:
    """Columns from `name = "kind path | text"`."""
    found: list[Column] = []
    for name, text in described.items():
        place, _, about = text.partition(" | ")
        kind, _, path = place.partition(" ")
        found.append(Column(name, kind, tuple((path or name).split(".")), about))
    return tuple(found)


def cells_of(columns: Sequence[Column]) -> Callable[[Row, list[Oddity]], list[Any]]:
    """A function from a vendor's row to all its cells, and, in the list it is given, what was odd
    with some of them.

    A cell that its kind cannot hold is None.
    """
    values = [column.value for column in columns]
    plain = [
        (CONVERTERS[column.kind], column.path[0]) for column in columns if len(column.path) == 1
    ]

    def cells(row: Row) -> list[Any]:
        if len(plain) < len(values):
            return [value(row) for value in values]
        get = row.get
        return [convert(get(name)) for convert, name in plain]

    def careful(row: Row, odd: list[Oddity]) -> list[Any]:
        try:
            found = cells(row)
        except UNREADABLE:
            found = [_cell(column, row, odd) for column in columns]
        if Cleaned in map(type, found):
            odd += [
                (c.name, UNSTORABLE)
                for c, cell in zip(columns, found, strict=True)
                if type(cell) is Cleaned
            ]
        return found

    return careful


def _cell(column: Column, row: Row, odd: list[Oddity]) -> Any:
    try:
        return column.value(row)
    except UNREADABLE as error:
        what = str(error) if type(error) is ValueError else f"of another shape than {column.kind}"
        odd.append((column.name, f"{what}, which became NULL"))
        return None


def table_of(name: str, described: Mapping[str, Any]) -> Table:
    """A table from what is said of it."""
    columns, key = columns_of(described["columns"]), tuple(described["key"])
    counted = (
        [column.name for column in columns if _is_counted(column, key)]
        if "day" in described
        else []
    )
    optional = {each.name for each in fields(Table)} - {
        "name",
        "key",
        "columns",
        "figures",
        "needed",
        "hints",
    }
    rest: dict[str, Any] = {"replaces": "days" if "day" in described else "client"}
    rest |= {name: described[name] for name in optional if name in described}
    figures, needed = tuple(described.get("figures", counted)), tuple(described.get("needed", ()))
    return Table(name=name, key=key, columns=columns, figures=figures, needed=needed, **rest)


def _is_counted(column: Column, key: Sequence[str]) -> bool:
    """Whether a column's numbers are counts or money, not names of something."""
    return (
        column.kind in ("bigint", "decimal")
        and column.name not in key
        and not column.name.endswith(NUMBERED)
    )


def _hint(name: str, kind: str, required: bool) -> dict[str, Any]:
    places = {"precision": 18, "scale": 4} if kind == "decimal" else {}
    return {"name": name, "data_type": kind, "nullable": not required, **places}


def _down(row: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if not isinstance(row, Mapping):
            if row:  # PHP writes nothing as an empty list
                raise ValueError("of another shape")
            return None
        row = cast("Row", row).get(step)
    return row
