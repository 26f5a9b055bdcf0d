"""What a client's configuration says about its exports. Account settings are read from the client's
section only.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from signalroom_dagster.addresses import Address
from signalroom_dagster.config import ClientOnly
from signalroom_dagster.naming import column_name, snake_case
from signalroom_dagster.sources.s3_exports.formats import Format, by_column_name
from signalroom_dagster.sources.s3_exports.layouts import Policy, layout_of, layouts

_S3 = ("s3://", "s3a://")  # s3fs takes both, and without a key whatever the machine has
LITTLE_UNPACKED_BYTES = 16 * 1024**2
_ALIKE = 0.8  # from there on a name is taken for another one that is misspelled
_NO_TABLES = ("", "files", "rejected_rows")


def one_of_each_table(prefixes: Iterable[str]) -> Sequence[str]:
    """The first prefix of each table that they make; those that cannot be a table are left out."""
    named: dict[str, str] = {}
    for prefix in prefixes:
        named.setdefault(snake_case(prefix), prefix)
    return [prefix for name, prefix in named.items() if name not in _NO_TABLES]


def without_slashes(prefixes: Any) -> list[str]:
    """Prefixes as they are used, from settings that may not have been checked; of what is no list
    none.
    """
    found = cast("list[Any]", prefixes) if isinstance(prefixes, list) else []
    return [name for prefix in found if (name := str(prefix).strip().strip("/"))]


class RowFilter(BaseModel):
    """Whose rows are this client's, where several clients share a prefix: `column` holds one of
    `values`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    values: list[str] = Field(min_length=1)

    @field_validator("column")
    @classmethod
    def _as_column(cls, value: str) -> str:
        return column_name(value)


class Settings(BaseModel):
    """`[sources.s3_exports.clients.<id>]`; `columns` adds to the default policy of
    `[sources.s3_exports]`.

    `listing_seconds` is how long the sensor and doctor wait for a client's listing; a gzip that
    unpacks to more than `max_unpacked_bytes`, or than `max_unpacked_ratio` times its size, is
    quarantined.
    """

    model_config = ConfigDict(frozen=True, validate_default=True)

    bucket_url: Annotated[str, ClientOnly()] = Field(min_length=1)
    prefixes: Annotated[list[str], ClientOnly()] = Field(min_length=1)
    aws_access_key_id: Annotated[SecretStr | None, ClientOnly()] = None
    aws_secret_access_key: Annotated[SecretStr | None, ClientOnly()] = None
    region_name: Annotated[str | None, ClientOnly()] = None
    endpoint_url: Annotated[Address | None, ClientOnly()] = None
    row_filter: Annotated[RowFilter | None, ClientOnly()] = None
    columns: dict[str, Policy] = {}
    formats: Annotated[dict[str, Format], ClientOnly()] = {}
    new_columns: int = Field(default=200, ge=0, le=1_000)
    hash_key: Annotated[SecretStr | None, ClientOnly()] = None
    fresh_within: str = "26h"
    listing_seconds: float = Field(default=30, gt=0)
    max_unpacked_bytes: int = Field(default=4 * 1024**3, gt=0)
    max_unpacked_ratio: int = Field(default=200, gt=0)

    @field_validator("prefixes", mode="before")
    @classmethod
    def _without_slashes(cls, value: Any) -> Any:
        return without_slashes(value) if isinstance(value, list) else value

    @field_validator("prefixes")
    @classmethod
    def _one_table_each(cls, value: list[str]) -> list[str]:
        if len({*_NO_TABLES, *map(snake_case, value)}) < len(_NO_TABLES) + len(value):
            raise ValueError(
                "each prefix is a table: a name of its own, neither files nor rejected_rows"
            )
        if nested := [
            name for name in value if any(name.startswith(f"{other}/") for other in value)
        ]:
            raise ValueError(f"a file is of one table: another prefix holds {', '.join(nested)}")
        return value

    @field_validator("columns")
    @classmethod
    def _of_columns(cls, value: dict[str, Policy], info: ValidationInfo) -> dict[str, Policy]:
        policy = by_column_name(value)
        known = {
            name
            for prefix in info.data.get("prefixes", ())
            if (layout := layout_of(prefix))
            for name in layout.columns
        }
        for name in policy:
            is_known = name in known or re.sub(r"_?\d+$", "", name) in known
            if not is_known and (near := get_close_matches(name, known, 1, _ALIKE)):
                raise ValueError(
                    f"no export has a column {name}: write {near[0]}; a policy for a column of one"
                    " prefix alone stands in formats.<table>.columns"
                )
        return policy

    @field_validator("formats")
    @classmethod
    def _of_prefixes(cls, value: dict[str, Format], info: ValidationInfo) -> dict[str, Format]:
        by_table = {snake_case(name): form for name, form in value.items()}
        tables = [snake_case(prefix) for prefix in info.data.get("prefixes", ())]
        if unknown := [name for name in by_table if name not in tables]:
            raise ValueError(
                f"no prefix makes the table {', '.join(unknown)} (tables: {', '.join(tables)})"
            )
        return by_table

    @field_validator("aws_access_key_id", "aws_secret_access_key")
    @classmethod
    def _given_for_s3(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if not value and str(info.data.get("bucket_url")).startswith(_S3):
            raise PydanticCustomError("missing", "s3:// needs the client's own key")
        return value

    @field_validator("hash_key")
    @classmethod
    def _given_for_hashes(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        policies = [
            info.data.get("columns", {}),
            *(form.columns for form in info.data.get("formats", {}).values()),
        ]
        if not value and any("hash" in policy.values() for policy in policies):
            raise PydanticCustomError("missing", "a column's policy is hash")
        return value

    def most_unpacked(self, stored_bytes: int) -> int:
        """How many bytes a gzip of a size may unpack to; the ratio counts only for what is more
        than a little.
        """
        return min(
            self.max_unpacked_bytes,
            max(LITTLE_UNPACKED_BYTES, stored_bytes * self.max_unpacked_ratio),
        )

    def policy_of(self, prefix: str) -> Mapping[str, Policy]:
        """What becomes of the columns of one prefix."""
        return {**self.columns, **self.format_of(prefix).columns}

    def format_of(self, prefix: str) -> Format:
        """How the files of one prefix are written."""
        return self.formats.get(snake_case(prefix), Format())

    def watched(self, prefix: str, *, own_alone: bool = False) -> frozenset[str]:
        """The hiding policies that must meet a column of each of a prefix's files: of this prefix
        alone, or of all.

        Not those that some layout has a column for.
        """
        policy = self.policy_of(prefix)
        candidates = self.format_of(prefix).columns if own_alone else policy
        known = {name for layout in layouts().values() for name in layout.columns}
        return frozenset(
            name for name in candidates if policy[name] != "keep" and name not in known
        )

    @property
    def storage_options(self) -> dict[str, Any]:
        """What fsspec needs to open `bucket_url`; botocore's own retries are off, the step
        retries.
        """
        if not self.bucket_url.startswith(_S3):
            return {}
        key, secret = self.aws_access_key_id, self.aws_secret_access_key
        return {
            "key": key.get_secret_value() if key else None,
            "secret": secret.get_secret_value() if secret else None,
            "endpoint_url": self.endpoint_url,
            "client_kwargs": {"region_name": self.region_name or "us-east-1"},
            "config_kwargs": {
                "retries": {"total_max_attempts": 1},
                "connect_timeout": 10,
                "read_timeout": 60,
                "max_pool_connections": 8,
            },
            "use_listings_cache": False,
            "skip_instance_cache": True,
        }
