"""How the exports of one prefix are written, where that is not as Sticky.io writes them: a client's
own words on it.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from signalroom_dagster.naming import column_name
from signalroom_dagster.sources.files import OTHER_COLUMNS, TAGS
from signalroom_dagster.sources.s3_exports.layouts import Policy


class Format(BaseModel):
    """`[sources.s3_exports.clients.<id>.formats.<table>]`.

    `delimiter` parts the fields. `header` names the columns of files that come without one (`false`
    numbers them); `true` says that the first line is a header whatever it looks like. `names` gives
    header cells other columns than their text would, `columns` adds policies for this prefix alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: Literal[",", ";", "\t", "|"] | None = None
    header: bool | list[str] | None = None
    names: dict[str, str] = {}
    columns: dict[str, Policy] = {}

    @field_validator("header")
    @classmethod
    def _distinct(cls, value: bool | list[str] | None) -> bool | list[str] | None:
        names = [column_name(cell) for cell in value] if isinstance(value, list) else []
        if isinstance(value, list) and (
            not names or len({*names}) < len(names) or not all(map(str.strip, value))
        ):
            raise ValueError("each field needs a name of its own")
        return value

    @field_validator("names")
    @classmethod
    def _as_columns(cls, value: dict[str, str]) -> dict[str, str]:
        if wrong := [
            name
            for name in value.values()
            if column_name(name) != name or name in (*TAGS, OTHER_COLUMNS)
        ]:
            raise ValueError(f"{', '.join(wrong)}: a column is lower case words with underscores")
        return {header.strip(): name for header, name in value.items()}

    @field_validator("columns")
    @classmethod
    def _by_column_name(cls, value: dict[str, Policy]) -> dict[str, Policy]:
        return by_column_name(value)


def by_column_name(policy: Mapping[str, Policy]) -> dict[str, Policy]:
    """A policy whose columns may be named as in the header."""
    return {column_name(name): kind for name, kind in policy.items()}
