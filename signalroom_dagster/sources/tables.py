"""What a table of an API source is made of, as data: `tables.toml` beside the source says it, this reads it.

A column is `name = "kind path | text"`: its kind, where in the vendor's row its value stands (dots go down; left out
when it has the column's own name), and what it means, where its name does not say it. Kinds are dlt's data types,
`epoch` (a timestamp from seconds since 1970, 0 for none) and `jsontext` (JSON that the vendor sends as text).
Vendors' empty text is NULL everywhere. Money is decimal with four places, rounded half up.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from importlib.resources import files
from math import isfinite
from typing import Any, TypeAlias, cast

from signalroom_dagster.sources.json_text import UNSTORABLE, Cleaned, checked, clean, encoded

Row: TypeAlias = Mapping[str, Any]
Convert: TypeAlias = Callable[[Any], Any]
Oddity: TypeAlias = tuple[str, str]
"""A column, and why its cell in some row is NULL or not quite as the vendor sent it."""

NUMBERED = ("_id", "_code")
"""How columns end whose numbers name something."""
PLACES = Decimal("0.0001")
MOST_DIGITS = 40
LARGEST_INTEGER = 2**63 - 1
LARGEST_DECIMAL = Decimal("99999999999999.9999")
UNREADABLE = (ValueError, TypeError, ArithmeticError, AttributeError, RecursionError)
"""What a converter raises for a value that its kind cannot hold."""
TAGS: Mapping[str, str] = {"_client_id": "text", "_loaded_at": "timestamp"}
"""The columns that lead every row of an API table, with their dlt types."""
TAGS_ABOUT = {"_client_id": "the client whose row it is", "_loaded_at": "when this version of the row was loaded, UTC"}


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
        return _DATA_TYPES.get(self.kind, self.kind)

    @property
    def value(self) -> Convert:
        """A function from a vendor's row to this column's cell; raises ValueError for what the kind cannot hold."""
        convert, path = CONVERTERS[self.kind], self.path
        if len(path) == 1:
            only = path[0]
            return lambda row: convert(row.get(only))
        return lambda row: convert(_down(row, path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table. `key` names its rows within a client; `day` is the column that says which day a row belongs to.

    `figures` are the columns whose change restates a day: all that are counted, unless a table says otherwise. `needed`
    are those that the vendor always sends and models count on: a reading without them is not loaded. `total` is what
    the vendor's own total counts: "rows", or the column to sum. `renamed` says what columns were called in earlier
    releases, by their name of today: their tables are altered.
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
    hints: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Say it in dlt's words once."""
        required = {"_client_id", *self.key}
        kinds = {**TAGS, **{column.name: column.data_type for column in self.columns}}
        about = {**TAGS_ABOUT, **{column.name: column.about for column in self.columns if column.about}}
        hints = {name: _hint(name, kind, name in required) for name, kind in kinds.items()}
        for name, text in about.items():
            hints[name]["description"] = text
        object.__setattr__(self, "hints", hints)


def read_tables(package: str) -> Mapping[str, Table]:
    """The tables that `tables.toml` of a source package describes, by name."""
    text = files(package).joinpath("tables.toml").read_text("utf-8")
    return {name: _table(name, described) for name, described in tomllib.loads(text).items()}


def columns_of(described: Mapping[str, str]) -> tuple[Column, ...]:
    """Columns from `name = "kind path | text"`."""
    found: list[Column] = []
    for name, text in described.items():
        place, _, about = text.partition(" | ")
        kind, _, path = place.partition(" ")
        found.append(Column(name, kind, tuple((path or name).split(".")), about))
    return tuple(found)


def cells_of(columns: Sequence[Column]) -> Callable[[Row, list[Oddity]], list[Any]]:
    """A function from a vendor's row to all its cells, and, in the list it is given, what was odd with some of them.

    A cell that its kind cannot hold is None.
    """
    values = [column.value for column in columns]
    plain = [(CONVERTERS[column.kind], column.path[0]) for column in columns if len(column.path) == 1]

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
            odd += [(c.name, UNSTORABLE) for c, cell in zip(columns, found, strict=True) if type(cell) is Cleaned]
        return found

    return careful


def _cell(column: Column, row: Row, odd: list[Oddity]) -> Any:
    try:
        return column.value(row)
    except UNREADABLE as error:
        what = str(error) if type(error) is ValueError else f"of another shape than {column.kind}"
        odd.append((column.name, f"{what}, which became NULL"))
        return None


def _table(name: str, described: dict[str, Any]) -> Table:
    columns, key = columns_of(described["columns"]), tuple(described["key"])
    counted = [column.name for column in columns if _is_counted(column, key)] if "day" in described else []
    rest = {name: described[name] for name in ("about", "day", "total", "renamed") if name in described}
    figures, needed = tuple(described.get("figures", counted)), tuple(described.get("needed", ()))
    return Table(name=name, key=key, columns=columns, figures=figures, needed=needed, **rest)


def _is_counted(column: Column, key: Sequence[str]) -> bool:
    """Whether a column's numbers are counts or money, not names of something."""
    return column.kind in ("bigint", "decimal") and column.name not in key and not column.name.endswith(NUMBERED)


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


def as_text(value: Any) -> str | None:
    """Text without NUL and half characters; numbers and flags as text; an empty one is NULL."""
    if isinstance(value, str):
        return clean(value) or None
    if value is None:
        return None
    if isinstance(value, Mapping | list):
        return encoded(value)
    if isinstance(value, Decimal | float) and not isfinite(value):
        raise ValueError("not a finite number")
    return str(value)


def as_integer(value: Any) -> int | None:
    """A whole number, also from text or from a decimal without a fraction."""
    if value is None or value == "":
        return None
    number = int(value) if isinstance(value, int) else _decimal(value)
    if abs(number) > LARGEST_INTEGER:
        raise ValueError("longer than 64 bits")
    if number != int(number):
        raise ValueError("not a whole number")
    return int(number)


def as_decimal(value: Any) -> Decimal | int | None:
    """An exact number with at most four places, rounded half up."""
    if value is None or value == "":
        return None
    number = value if type(value) is int else _decimal(value)
    if abs(number) > LARGEST_DECIMAL:
        raise ValueError("longer than 18 digits with four places")
    return number if isinstance(number, int) or not _is_finer(number) else number.quantize(PLACES, ROUND_HALF_UP)


def as_bool(value: Any) -> bool | None:
    """true, false, 0, 1, and both as text."""
    if value is None or value == "":
        return None
    found = _FLAGS.get(str(value).strip().lower())
    if found is None:
        raise ValueError("neither true nor false")
    return found


def as_date(value: Any) -> str | None:
    """An ISO date; what follows it (a time) is cut off."""
    if value is None or value == "":
        return None
    try:
        return value.isoformat()[:10] if isinstance(value, date) else date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError:
        raise ValueError("not a date") from None


def as_timestamp(value: Any) -> str | None:
    """An ISO date and time; one without a zone is UTC."""
    if value is None or value == "":
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("not a date and time") from None


def as_moment(value: Any) -> str | None:
    """Seconds since 1970, in UTC; 0 means that it did not happen."""
    seconds = as_integer(value)
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None
    except (ValueError, OverflowError, OSError):
        raise ValueError("not seconds since 1970") from None


def as_json(value: Any) -> str | None:
    """A nested value as JSON text."""
    return None if value is None else encoded(value)


def as_json_text(value: Any) -> str | None:
    """JSON that comes as text, or as a value after all."""
    if value is None or value == "":
        return None
    return checked(value) if isinstance(value, str) else encoded(value)


CONVERTERS: Mapping[str, Convert] = {
    "text": as_text,
    "bigint": as_integer,
    "decimal": as_decimal,
    "bool": as_bool,
    "date": as_date,
    "timestamp": as_timestamp,
    "epoch": as_moment,
    "json": as_json,
    "jsontext": as_json_text,
}
_DATA_TYPES = {"epoch": "timestamp", "jsontext": "json"}
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _decimal(value: Any) -> Decimal:
    text = str(value).strip()
    try:
        number = value if isinstance(value, Decimal) else Decimal(text)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if "_" in text or not text.isascii():
        raise ValueError(
            "not a number"
        )  # to Python 1_000 and digits of any script are numbers, to vendors they are not
    if not number.is_finite():
        raise ValueError("not a finite number")
    if number.adjusted() > MOST_DIGITS:
        raise ValueError("longer than any number has to be")  # before arithmetic, which would take forever or overflow
    return number


def _is_finer(number: Decimal) -> bool:
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent < -4
