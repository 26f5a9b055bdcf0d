"""What a client's configuration says about its sheets: where each lies, and which of its columns
are loaded as what.
"""

import json
import re
from collections import Counter
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator

from signalroom_dagster.addresses import Address
from signalroom_dagster.config import ClientOnly, project_dir
from signalroom_dagster.naming import snake_case
from signalroom_dagster.sources.google_sheets.header import folded

Kind: TypeAlias = Literal["text", "integer", "decimal", "bool", "date", "datetime"]

SHEET_NAME = re.compile(r"[a-z](?:[a-z0-9]|_(?=[a-z0-9])){0,49}")
TAKEN = frozenset({"windows", "restatements"})
_CELLS = re.compile(r"\$?[A-Z]{1,3}\$?\d+|\$?[A-Z]{0,3}\$?\d*:\$?[A-Z]{0,3}\$?\d*", re.IGNORECASE)


class Guard(NamedTuple):
    """When a sheet is not believed; see `Settings`."""

    min_rows: int = 1
    keep_share: float = 0.5
    misfit_share: float = 0.1
    may_shrink: bool = False


class Sheet(BaseModel):
    """`[sources.google_sheets.clients.<id>.sheets.<name>]`: one table. `columns` maps headers to
    kinds.

    `min_rows`, `keep_share` and `misfit_share` stand in the place of the source's own; `may_shrink`
    lets the sheet lose any number of rows, and its columns any number of cells. Rows with a cell
    that says one of `skip_rows` are left out; so is one that says `stop_at`, with all that is below
    it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spreadsheet_id: str
    range: str
    columns: dict[str, Kind] = Field(min_length=1)
    min_rows: int | None = Field(default=None, ge=0)
    keep_share: float | None = Field(default=None, ge=0, le=1)
    misfit_share: float | None = Field(default=None, ge=0, le=1)
    may_shrink: bool = False
    skip_rows: list[Annotated[str, Field(pattern=r"\S")]] = []
    stop_at: str | None = Field(default=None, pattern=r"\S")

    @field_validator("spreadsheet_id")
    @classmethod
    def _only_an_id(cls, value: str) -> str:
        if not re.fullmatch(r"[\w-]+", value, re.ASCII):
            raise ValueError("it is the part between /d/ and /edit of the spreadsheet's address")
        return value

    @field_validator("range")
    @classmethod
    def _with_its_tab(cls, value: str) -> str:
        if _CELLS.fullmatch(value.strip()):
            raise ValueError("it needs its tab, in single quotes, as in 'Spend 2026'!A1:Z")
        return value.strip()

    @field_validator("columns")
    @classmethod
    def _one_column_each(cls, value: dict[str, Kind]) -> dict[str, Kind]:
        for names in (Counter(map(folded, value)), Counter(map(snake_case, value))):
            if names[""]:
                raise ValueError(
                    "a header needs a Latin letter or a digit, of which its column's name is made"
                )
            if twice := [name for name, times in names.items() if times > 1]:
                raise ValueError(f"two headers are the same column: {', '.join(twice)}")
        return value

    def guarded(self, source: Guard) -> Guard:
        """When this sheet is not believed: as its own settings say, else as the source's."""
        own = {name: value for name in Guard._fields if (value := getattr(self, name)) is not None}
        return source._replace(**own)


def _with_names_of_tables(sheets: dict[str, Sheet]) -> dict[str, Sheet]:
    for name in sheets:
        if not SHEET_NAME.fullmatch(name) or name in TAKEN:
            raise ValueError(
                f"{name} cannot be a table: use lower-case letters, digits and single underscores,"
                " a letter first, at most 50 of them, and neither windows nor restatements"
            )
    return sheets


Sheets: TypeAlias = Annotated[dict[str, Sheet], AfterValidator(_with_names_of_tables)]


class Settings(BaseModel):
    """`[sources.google_sheets.clients.<id>]`. `credentials` is a service account's key: its JSON,
    or the file's path.

    A load fails, and leaves what is there, when a sheet has fewer than `min_rows` rows, fewer than
    `keep_share` of the rows that were loaded last or of a column's cells, or a column where more
    than `misfit_share` of the cells are not of its kind.
    """

    model_config = ConfigDict(frozen=True)

    credentials: Annotated[SecretStr, ClientOnly()] = Field(min_length=1)
    sheets: Annotated[Sheets, ClientOnly()] = Field(min_length=1)
    base_url: Address = "https://sheets.googleapis.com"
    requests_per_minute: int = Field(default=60, gt=10)
    min_rows: int = Field(default=1, ge=0)
    keep_share: float = Field(default=0.5, ge=0, le=1)
    misfit_share: float = Field(default=0.1, ge=0, le=1)

    @field_validator("credentials", mode="before")
    @classmethod
    def _a_table_is_json(cls, value: Any) -> Any:
        return json.dumps(value) if isinstance(value, dict) else value

    @field_validator("credentials")
    @classmethod
    def _a_path_begins_at_the_project(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value().strip()
        return value if text.startswith(("{", "~")) else SecretStr(str(project_dir() / text))
