"""Sources that are no folder: any dlt source, named in the settings as `[sources.<name>]` with
`dlt_source = "module:function"`, whose `resources` are named there, too.

Nothing of it is imported or called before a load: what its tables are is said by `hints`.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.naming import wrong_source_name
from signalroom_dagster.refused_values import refusals
from signalroom_dagster.sections import once_per_settings, section
from signalroom_dagster.settings_files import worded
from signalroom_dagster.sources.tables import TAGS

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

Disposition: TypeAlias = Literal["append", "replace", "merge"]

DLT_SOURCE = "dlt_source"
LOAD = "native"
"""The kind of load of their tables."""
WINDOWS = "windows"
RESERVED = frozenset({WINDOWS, "restatements", "files", "rejected_rows"})
"""The tables that loads keep in a source's schema themselves."""


class Hints(BaseModel):
    """`[sources.<name>.hints.<resource>]`: what a resource does not say itself, in dlt's words.

    `cursor` is the column that tells what is new, or what `dlt.sources.incremental` takes.
    """

    model_config = ConfigDict(extra="forbid")

    primary_key: str | list[str] | None = None
    merge_key: str | list[str] | None = None
    write_disposition: Disposition | dict[str, Any] | None = None
    cursor: str | dict[str, Any] | None = None
    columns: dict[str, dict[str, Any]] | None = None

    @property
    def key(self) -> Sequence[str] | None:
        """The primary key, led by the client."""
        key = [self.primary_key] if isinstance(self.primary_key, str) else self.primary_key
        return ["_client_id", *key] if key else None


class Days(BaseModel):
    """`[sources.<name>] days`: the arguments for the first and last day, where it takes them."""

    model_config = ConfigDict(extra="forbid")

    since: str
    until: str | None = None


class Declaration(BaseModel):
    """What `[sources.<name>]` says of a source that is no folder."""

    model_config = ConfigDict(extra="ignore")

    dlt_source: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    resources: list[str] = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)
    hints: dict[str, Hints] = Field(default_factory=dict)
    days: Days | None = None

    @field_validator("resources")
    @classmethod
    def _not_ours(cls, value: list[str]) -> list[str]:
        if taken := RESERVED & {*value}:
            raise ValueError(f"{', '.join(sorted(taken))}: SignalRoom keeps a table of this name")
        return value

    @field_validator("hints")
    @classmethod
    def _of_resources(cls, value: dict[str, Hints], info: ValidationInfo) -> dict[str, Hints]:
        if unknown := {*value} - {*info.data.get("resources", value)}:
            raise ValueError(f"{', '.join(sorted(unknown))} is none of its resources")
        return value


class NoSettings(BaseModel):
    """A client's own arguments: which there are, its source says itself, once it is opened."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, kw_only=True)
class ConfiguredSource:
    """What a source folder offers, of one that is none."""

    name: str
    dlt_source: str
    resources: Sequence[str]
    arguments: Mapping[str, Any]
    hints: Mapping[str, Hints]
    days: Days | None
    Settings: type[BaseModel] = NoSettings
    __file__: str = __file__

    @property
    def __doc__(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the asset page says of the source."""
        return f"The dlt source `{self.dlt_source}`, as it is."

    def outline(self, configured: Iterable[BaseModel]) -> "DltSource":
        """Every resource that is named, and what loads note; asks nothing."""
        return self._outline

    @functools.cached_property
    def _outline(self) -> "DltSource":
        import dlt

        @dlt.source(name=self.name, max_table_nesting=0)
        def resources() -> Iterator["DltResource"]:
            for name in self.resources:
                hints: Any = self.hints.get(name, Hints())
                resource = dlt.resource(
                    iter(()), name=name, columns=_declared_columns(hints), primary_key=hints.key
                )
                yield resource.apply_hints(additional_table_hints={"x-load": LOAD})
            yield dlt.resource(iter(()), name=WINDOWS)

        return resources()


def _declared_columns(hints: Hints) -> Any:
    tags = {tag: {"name": tag, "data_type": kind} for tag, kind in TAGS.items()}
    return {**tags, **(hints.columns or {})}


@once_per_settings
def configured_names() -> Sequence[str]:
    """The sections of sources that name a dlt source."""
    named = section("sources").items()
    return [name for name, found in named if isinstance(found, Mapping) and DLT_SOURCE in found]


@once_per_settings
def configured_source(name: str) -> ConfiguredSource:
    """One of them. Raises ConfigurationError for what cannot be meant."""
    place = ("sources", name)
    if problem := wrong_source_name(name):
        raise ConfigurationError(f"[sources.{name}]: {problem}")
    try:
        declared = Declaration.model_validate(section(*place))
    except ValidationError as error:
        problems = (worded(each, place) for each in refusals(error, Declaration))
        raise ConfigurationError("; ".join(problems)) from None
    return ConfiguredSource(
        name=name,
        dlt_source=declared.dlt_source,
        resources=declared.resources,
        arguments=declared.arguments,
        hints=declared.hints,
        days=declared.days,
    )


def is_configured(module: Any) -> bool:
    """Whether a source is one of them."""
    return isinstance(module, ConfiguredSource)
