"""Sources that are no folder: any dlt source, named in the settings as `[sources.<name>]` with
`dlt_source = "module:function"`, whose `resources` are named there, too.

Nothing of it is imported or called before a load: what its tables are is said by `hints`.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from signalroom_dagster.config import section, settings_state
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.naming import SOURCE_NAME
from signalroom_dagster.refused_values import refusals
from signalroom_dagster.settings_files import worded
from signalroom_dagster.sources.tables import TAGS

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

DLT_SOURCE = "dlt_source"


class Declaration(BaseModel):
    """What `[sources.<name>]` says of a source that is no folder."""

    model_config = ConfigDict(extra="ignore")

    dlt_source: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    resources: list[str] = Field(min_length=1)


class ConfiguredSource:
    """What a source folder offers, of one that is none."""

    class Settings(BaseModel):
        """A client's own arguments: which there are, the source says itself."""

        model_config = ConfigDict(extra="allow")

    def __init__(self, name: str, declared: Declaration) -> None:
        self.name, self.declared = name, declared
        self.__doc__ = f"`{declared.dlt_source}`, a dlt source."
        self.__file__ = __file__

    def outline(self, configured: Iterable[BaseModel]) -> "DltSource":
        """Every resource that is named; asks nothing."""
        import dlt

        tags: Any = {name: {"name": name, "data_type": kind} for name, kind in TAGS.items()}

        @dlt.source(name=self.name)
        def resources() -> Iterator["DltResource"]:
            for name in self.declared.resources:
                yield dlt.resource(iter(()), name=name, columns=tags)

        return resources()


def configured_names() -> Sequence[str]:
    """The sections of sources that name a dlt source."""
    return _names(settings_state())


@functools.lru_cache(maxsize=8)
def _names(state: int) -> Sequence[str]:
    named = section("sources").items()
    return [name for name, found in named if isinstance(found, Mapping) and DLT_SOURCE in found]


def configured_source(name: str) -> Any:
    """One of them. Raises ConfigurationError for what cannot be meant."""
    return _made(name, settings_state())


@functools.lru_cache(maxsize=4096)
def _made(name: str, state: int) -> ConfiguredSource:
    place = ("sources", name)
    if not SOURCE_NAME.match(name):
        raise ConfigurationError(
            f"[sources.{name}]: a source is named in small letters, digits and single underscores"
        )
    try:
        declared = Declaration.model_validate(section(*place))
    except ValidationError as error:
        problems = (worded(each, place) for each in refusals(error, Declaration))
        raise ConfigurationError("; ".join(problems)) from None
    return ConfiguredSource(name, declared)
