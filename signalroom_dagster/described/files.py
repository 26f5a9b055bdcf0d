"""What a described API's file says, and what is wrong with one: by file, key, and what to do.

The form is dlt's own rest_api form, its resources by name. Ours are `window` (how a stretch of days
is asked for) and `complete` (what the vendor itself says of how much there is).
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from signalroom_dagster.described.selecting import checked_selector
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.refused_values import refused
from signalroom_dagster.settings_files import read_toml
from signalroom_dagster.sources.tables import Table

OWN_BASE_URL = "{base_url}"
HEADER = "header:"
"""Before the name of a header, where a total stands in one."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _by_type(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _by_path(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _below_base_url(path: str) -> str:
    if "//" in path:
        raise ValueError("it has to be a path below base_url, such as /v1/orders")
    return path


def _iana_zone(name: str | None) -> str | None:
    if name is not None and name not in available_timezones():
        raise ValueError("must be an IANA time zone, such as America/New_York")
    return name


def _day_format(form: str) -> str:
    if "%" not in form and form not in ("epoch", "epoch_ms"):
        raise ValueError("it has to be a strftime form such as %Y-%m-%d, or epoch, or epoch_ms")
    return form


Zone = Annotated[str | None, AfterValidator(_iana_zone)]

PathBelow = Annotated[str, AfterValidator(_below_base_url)]

Selector = Annotated[str, AfterValidator(checked_selector)]
"""Where in an answer something stands."""

Typed = Annotated[dict[str, Any], BeforeValidator(_by_type)]
"""A paginator or an authentication: dlt's name for it, alone or as `type` among its arguments."""


class Endpoint(_Part):
    """What is asked: dlt's words. `data_selector` says where in an answer the rows stand."""

    path: PathBelow
    method: Literal["GET", "POST"] = "GET"
    params: dict[str, Any] = {}
    body: dict[str, Any] | None = Field(default=None, alias="json")
    headers: dict[str, str] = {}
    data_selector: Selector = "$"
    paginator: Typed | None = None


class Window(_Part):
    """How a stretch of days is asked for: `{since}` and `{until}` stand in the endpoint, in this
    `format` (strftime, `epoch` or `epoch_ms`), `longest` days at once.

    `until` says whether the last moment that is named belongs to the stretch. `day` is the column
    of a row's day; `moment` where in a row an instant stands whose day in `timezone` it is.
    """

    day: str
    moment: str = ""
    format: Annotated[str, AfterValidator(_day_format)] = "%Y-%m-%d"
    until: Literal["included", "excluded"] = "included"
    longest: PositiveInt = 1
    timezone: Zone = None
    kept_days: PositiveInt | None = None


class Count(_Part):
    """A request of its own that counts the rows, with the same parameters as the endpoint's."""

    path: PathBelow
    select: Selector = "$"


class Sum(_Part):
    """The vendor's own sum of a column: `select` says where it stands in an answer, of the endpoint
    or of a request of its own (`path`, `params`). With `day` and `value` it is a list of sums by
    day.
    """

    column: str
    select: Selector
    path: PathBelow = ""
    params: dict[str, Any] | None = None
    day: str = ""
    value: str = ""

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if bool(self.day) != bool(self.value):
            raise ValueError("`day` and `value` go together: the names in each entry of the list")
        return self


def _total(text: str) -> str:
    return text if text.startswith(HEADER) else checked_selector(text)


class Complete(_Part):
    """How it is known that nothing is missing: see the guide."""

    total: Annotated[str, AfterValidator(_total)] = ""
    count: Annotated[Count | None, BeforeValidator(_by_path)] = None
    sum: Sum | None = None
    cap: PositiveInt | None = None
    unproven: bool = False

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        exact = [name for name in ("total", "count", "sum") if getattr(self, name)]
        if len(exact) > 1:
            raise ValueError(f"{' and '.join(exact)} are two: name the one that counts")
        if self.unproven and (exact or self.cap):
            raise ValueError("unproven goes with nothing else: leave it out")
        if not (exact or self.cap or self.unproven):
            raise ValueError(SAY_COMPLETE)
        return self

    @property
    def is_exact(self) -> bool:
        """Whether the vendor itself says how much there is."""
        return bool(self.total or self.count or self.sum)


SAY_COMPLETE = (
    "say how it is known that nothing is missing: the vendor's own `total`, `count` or `sum`, a"
    " `cap` that no answer may reach, or `unproven = true`"
)


class Resource(_Part):
    """One table. `personal` are the fields that a recording hides; what may be left out of a draft
    is None.
    """

    about: str = ""
    endpoint: Annotated[Endpoint, BeforeValidator(_by_path)]
    primary_key: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    columns: dict[str, str | dict[str, Any]] = {}
    window: Window | None = None
    complete: Complete | None = None
    figures: tuple[str, ...] | None = None
    needed: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()


class Client(_Part):
    """Whom to ask: dlt's words, and the account's pace. `private` allows a host in a private
    network; `probe` is a path that shows whether the account answers.
    """

    base_url: str
    auth: Typed | None = None
    headers: dict[str, str] = {}
    paginator: Typed | None = None
    requests_per_minute: PositiveInt = 60
    probe: PathBelow = ""
    private: bool = False


def _by_name(value: Any) -> Any:
    """dlt's own form is a list of resources, each with its name."""
    if not isinstance(value, list):
        return value
    named: dict[str, Any] = {}
    for entry in cast("list[Any]", value):
        resource = dict(entry) if isinstance(entry, Mapping) else {}
        name = str(resource.pop("name", ""))
        if not name or name in named:
            raise ValueError("each entry needs a `name`, and none twice")
        named[name] = resource
    return named


class Description(_Part):
    """A whole file."""

    title: str = ""
    about: str = ""
    client: Client
    resources: Annotated[dict[str, Resource], BeforeValidator(_by_name)] = Field(min_length=1)

    def paginator_of(self, resource: Resource) -> dict[str, Any] | None:
        """How its pages follow each other, by itself or as for all."""
        return resource.endpoint.paginator or self.client.paginator

    @property
    def windows(self) -> Mapping[str, Window]:
        """How days of each table are asked for that has any."""
        return {name: part.window for name, part in self.resources.items() if part.window}

    @property
    def timezone(self) -> str | None:
        """The zone whose days the vendor counts; None for the client's own."""
        return next(iter(window.timezone for window in self.windows.values()), None)

    @model_validator(mode="after")
    def _counts_one_kind_of_day(self) -> Self:
        if len({window.timezone for window in self.windows.values()}) > 1:
            raise ValueError("its windows name two time zones: give each a file of its own")
        return self


@dataclass(frozen=True, slots=True)
class Api:
    """A described API: its file's name, what the file says, which names stand in braces there and
    whether each is a secret, and its tables.
    """

    name: str
    description: Description
    names: Mapping[str, bool]
    tables: Mapping[str, Table]

    @property
    def has_own_address(self) -> bool:
        """Whether each client has an address of its own."""
        return self.description.client.base_url == OWN_BASE_URL


def read_description(file: Path, shown: str) -> Description:
    """A file, which may still be a draft. Raises ConfigurationError that names it as `shown`, with
    the line or the key.
    """
    try:
        return Description.model_validate(read_toml(file))
    except ValidationError as error:
        raise ConfigurationError(f"{shown}: {refused(error, Description)}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{shown} is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{shown} is not valid TOML ({type(error).__name__})") from None


def lacking(description: Description) -> Iterator[str]:
    """What a draft still has to say before it can be loaded."""
    for name, resource in description.resources.items():
        missing: Mapping[str, Any] = {
            "primary_key": resource.primary_key,
            "columns": resource.columns,
            "complete": resource.complete,
            "endpoint.paginator": description.paginator_of(resource),
        }
        words = {
            "complete": f" ({SAY_COMPLETE})",
            "endpoint.paginator": ' (or client.paginator; "single_page" where there is one only)',
        }
        for key, value in missing.items():
            if not value:
                yield f"resources.{name}.{key} is missing{words.get(key, '')}"
