"""Schema files: what the columns of a CSV are, in a TOML file of the same name beside it.

table = "price_list"                # public.price_list
about = "What the asset page says."
key = ["sku"]                       # column names; they name one row of a client
[columns]                           # header -> text | integer | bigint | decimal | bool | date
"sku" = "text"
"unit.price" = "decimal"            # dots and spaces become underscores: unit_price
"note" = { type = "text", optional = true }
[single]                            # optional: each sku belongs to one supplier, as a check
sku = "supplier"
"""

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.naming import snake_case
from signalroom_dagster.reference_data import OWN_COLUMNS, Kind, ReferenceSchema
from signalroom_dagster.refused_values import refused
from signalroom_dagster.settings_files import ENCODING

_COLUMN = re.compile(r"[a-z_][a-z0-9_]*\Z")


class _Column(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Kind
    optional: bool = False


class _SchemaFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    table: str = Field(pattern=r"^[a-z][a-z0-9_]{0,47}$", examples=["price_list"])
    about: str = Field(min_length=1)
    key: list[str] = Field(min_length=1)
    columns: dict[str, Kind | _Column] = Field(min_length=1)
    single: dict[str, str] = {}

    @model_validator(mode="after")
    def _names_fit(self) -> "_SchemaFile":
        names = [snake_case(header) for header in self.columns]
        unusable = [
            name
            for name in names
            if not _COLUMN.match(name) or name in OWN_COLUMNS or names.count(name) > 1
        ]
        if unusable:
            raise ValueError(
                "columns: not usable or not the only one of its name:"
                f" {', '.join(sorted(set(unusable)))}"
            )
        unknown = [
            name for name in (*self.key, *self.single, *self.single.values()) if name not in names
        ]
        if unknown or len(set(self.key)) < len(self.key):
            raise ValueError(
                f"key and single name columns once, such as {names[0]}:"
                f" {', '.join(unknown or self.key)}"
            )
        return self


@dataclass(frozen=True, slots=True)
class Layout:
    """A schema and how its file spells it: the header of each column, and the columns that a file
    may leave out.
    """

    schema: ReferenceSchema
    headers: Mapping[str, str]
    optional: frozenset[str]


@functools.cache
def affiliate_layout() -> Layout:
    """The schema that comes with this source."""
    return _layout(
        files(__name__.rpartition(".")[0]).joinpath("affiliate_mapping.toml").read_text("utf-8")
    )


def read_layout(path: Path, shown: str) -> Layout:
    """A schema file. Raises ConfigurationError naming it as `shown`, and the key."""
    try:
        return _layout(path.read_text(ENCODING))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{shown}: not valid TOML: {error}") from None
    except ValidationError as error:
        raise ConfigurationError(f"{shown}: {refused(error, _SchemaFile)}") from None


def _layout(text: str) -> Layout:
    told = _SchemaFile.model_validate(tomllib.loads(text))
    columns = {
        snake_case(header): item if isinstance(item, _Column) else _Column(type=item)
        for header, item in told.columns.items()
    }
    return Layout(
        schema=ReferenceSchema(
            name=told.table,
            about=told.about.strip(),
            key=tuple(told.key),
            columns={name: column.type for name, column in columns.items()},
            single=told.single,
        ),
        headers={snake_case(header): header for header in told.columns},
        optional=frozenset(
            name for name, column in columns.items() if column.optional and name not in told.key
        ),
    )
