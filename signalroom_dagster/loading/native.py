"""Any dlt source, for one client: opened with the client's own arguments, its resources as they are
named in the settings.

What it finds in dlt's settings stands in `own_settings`, what happens to its rows in `staged`.
"""

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, cast, get_type_hints

import dlt
from dlt.common.configuration.exceptions import ConfigFieldMissingException
from dlt.common.configuration.inject import get_fun_spec
from dlt.common.configuration.specs.base_configuration import extract_inner_hint, is_secret_hint
from dlt.common.configuration.utils import deserialize_value
from dlt.common.typing import SecretValue
from dlt.extract import DltResource, DltSource

from signalroom_dagster.config import project_dir
from signalroom_dagster.errors import ConfigurationError, WrongRequestError
from signalroom_dagster.loading.context import LoadContext, Planned
from signalroom_dagster.loading.own_settings import own_settings_alone
from signalroom_dagster.loading.spans import Span
from signalroom_dagster.loading.staged import StagedLoad
from signalroom_dagster.redaction import keep_settings_secrets
from signalroom_dagster.registry.clients import Client
from signalroom_dagster.registry.configured_sources import ConfiguredSource, Hints
from signalroom_dagster.retries import causes
from signalroom_dagster.sections import section
from signalroom_dagster.warehouse.bookkeeping import WINDOWS

log = logging.getLogger(__name__)

PLAIN = (int, float, bool, list, dict, date)
"""What a variable's text becomes where a function takes one of these."""


@contextmanager
def opened(
    declared: ConfiguredSource,
    client: Client,
    resources: Sequence[str] = (),
    span: Span | None = None,
    today: date | None = None,
) -> Generator[DltSource]:
    """The source of one client, as long as the block lasts.

    Raises ConfigurationError for a module, a function, an argument or a resource that there is not,
    also while the block reads; and what the source's function raises.
    """
    subject = f"client {client.id}, source {declared.name}"
    values = _arguments(declared, client, span or Span(), today)
    try:
        with own_settings_alone(values):
            source = _selected(declared, _called(declared, client, values), resources, subject)
            if span and span.is_asked:
                source = _by_days(source, subject)
            yield source
    except Exception as error:
        for cause in causes(error):
            if isinstance(cause, ConfigFieldMissingException):
                raise _missing(declared, client, sorted(cause.traces)) from None
        raise


def staged_load(context: LoadContext, source: DltSource, check: Callable[[], object]) -> StagedLoad:
    """Whose rows a load of a source brings."""
    return StagedLoad(
        client_id=context.client_id,
        run_id=context.run_id,
        today=context.today,
        read_at=context.started_at,
        resources=[name for name in source.selected_resources if name != WINDOWS],
        check=check,
        on_commit=context.on_commit,
    )


def preview(source: DltSource) -> Iterator[Planned]:
    """What a load would do with each resource."""
    for name, resource in source.selected_resources.items():
        if name != WINDOWS:
            incremental = resource.incremental
            reads = "what is new since the last load" if incremental else "all of it"
            yield Planned(name, reads, f"write disposition {_disposition(resource)}", requests=1)


def probe(declared: ConfiguredSource, client: Client) -> str:
    """Open a client's source, which asks whatever its function asks; what it gives, in a few words.
    Raises what `opened` raises.
    """
    with opened(declared, client) as source:
        names = [name for name in source.resources if name != WINDOWS]
        return f"{declared.dlt_source} gives {', '.join(names)}"


def _arguments(
    declared: ConfiguredSource, client: Client, span: Span, today: date | None
) -> dict[str, Any]:
    """What a client's source is given: what is said for all clients, over it the client's own, and
    over both the days that a run is asked for.
    """
    own = section("sources", declared.name, "clients", client.id)
    keep_settings_secrets(own)
    values = {**declared.arguments, **own}
    since, days = span.since, declared.days
    if days and span.lookback_days and today:
        since = today - timedelta(days=span.lookback_days - 1)
    if days and since:
        values[days.since] = since
    if days and days.until and span.until:
        values[days.until] = span.until
    return values


def _name_the_driver_of_postgres() -> None:
    """Let `postgresql://` mean the driver that is installed: since 2.1 SQLAlchemy takes it for
    psycopg 3. https://docs.sqlalchemy.org/en/21/core/connections.html#registering-new-dialects
    """
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.dialects import registry

        registry.register("postgresql", "sqlalchemy.dialects.postgresql.psycopg2", "dialect")


def _called(declared: ConfiguredSource, client: Client, values: Mapping[str, Any]) -> DltSource:
    """What the function gives, as a source with the configured name.

    A function that dlt knows looks its arguments up where it finds nothing but `values`; one that
    dlt does not know, and an argument without a default, is given them.
    """
    function = _imported(declared.dlt_source, f"[sources.{declared.name}] dlt_source")
    _name_the_driver_of_postgres()
    parameters = inspect.signature(function).parameters
    _check_secrets(declared, client, parameters)
    hints, spec = _hints(function), cast("Any", get_fun_spec(function))
    given = {
        name: _typed(name, values[name], hints.get(name))
        for name, parameter in parameters.items()
        if name in values and (spec is None or parameter.default is parameter.empty)
    }
    if missing := [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in given
    ]:
        raise _missing(declared, client, missing)
    made: Any = function(**given)
    if isinstance(made, DltSource):
        return made.clone(with_name=declared.name)
    parts = [made] if isinstance(made, DltResource) else _parts(made)
    if not parts:
        raise ConfigurationError(
            f"[sources.{declared.name}] dlt_source: {declared.dlt_source} gives no dlt source but"
            f" {type(made).__name__}"
        )
    return dlt.source(lambda: parts, name=declared.name, section=declared.name)()


def _parts(made: Any) -> list[DltResource]:
    """The resources that a function gives without calling them a source; none where it gives
    something else.
    """
    is_many = isinstance(made, list | tuple) or inspect.isgenerator(made)
    parts: list[Any] = [*made] if is_many else []
    return parts if all(isinstance(part, DltResource) for part in parts) else []


def _check_secrets(
    declared: ConfiguredSource, client: Client, parameters: Mapping[str, inspect.Parameter]
) -> None:
    for name in declared.arguments:
        parameter = parameters.get(name)
        if parameter and (parameter.default is SecretValue or is_secret_hint(parameter.annotation)):
            raise ConfigurationError(
                f"client {client.id}, source {declared.name}: {name} is a secret: it is read from"
                f" [sources.{declared.name}.clients.{client.id}] alone, take it out of `arguments`"
            )


def _hints(function: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(function)
    except Exception:  # a stranger's annotations may name what is not there when it runs
        return {}


def _typed(name: str, value: Any, hint: Any) -> Any:
    """A variable's text, or a day, as what a function takes."""
    kind = extract_inner_hint(hint) if hint else str
    if isinstance(value, date) and kind is str:
        return value.isoformat()
    return (
        deserialize_value(name, value, kind) if isinstance(value, str) and kind in PLAIN else value
    )


def _imported(place: str, where: str) -> Any:
    """What `module:function` names. Raises ConfigurationError: what cannot be imported."""
    name, _, function = place.partition(":")
    if str(project_dir()) not in sys.path:  # where `dlt init` leaves a source's folder
        sys.path.append(str(project_dir()))
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever a stranger's module raises
        raise ConfigurationError(
            f"{where}: {name} cannot be imported ({type(error).__name__}: {error}): install its"
            " package, or put its folder on the path"
        ) from None
    found = getattr(module, function, None)
    if not callable(found):
        raise ConfigurationError(f"{where}: {name} has no function {function}")
    return found


def _selected(
    declared: ConfiguredSource, source: DltSource, chosen: Sequence[str], subject: str
) -> DltSource:
    """The resources that are to be loaded, with the hints that the settings give."""
    names = [name for name in chosen if name != WINDOWS] if chosen else declared.resources
    resources = cast("Mapping[str, DltResource]", source.resources)
    if unknown := [name for name in names if name not in resources]:
        raise ConfigurationError(
            f"{subject}: {declared.dlt_source} has no resource {', '.join(unknown)} (there are:"
            f" {', '.join(resources)}): mend `resources` in [sources.{declared.name}]"
        )
    for name in names:
        if hints := declared.hints.get(name):
            _apply(resources[name], hints)
    source.resources.add(dlt.resource(iter(()), name=WINDOWS))
    return source.with_resources(*names, WINDOWS)


def _apply(resource: DltResource, hints: Hints) -> None:
    given: dict[str, Any] = hints.model_dump(exclude_none=True, exclude={"cursor"})
    if cursor := hints.cursor:
        asked: dict[str, Any] = {"cursor_path": cursor} if isinstance(cursor, str) else cursor
        given["incremental"] = dlt.sources.incremental(**asked)
    resource.apply_hints(**given)


def _by_days(source: DltSource, subject: str) -> DltSource:
    """The resources of which some days can be read again: a merge replaces what it brings; nothing
    else can tell those days' rows from others.
    """
    names = [name for name in source.selected_resources if name != WINDOWS]
    merged = [name for name in names if _disposition(source.resources[name]) == "merge"]
    if not merged:
        raise WrongRequestError(
            f"{subject}: {', '.join(names)} cannot be read by day: only what is merged by a key can"
        )
    if left_out := sorted({*names} - {*merged}):
        log.warning("%s: not read by day, so left out: %s", subject, ", ".join(left_out))
    return source.with_resources(*merged, WINDOWS)


def _disposition(resource: DltResource) -> str:
    asked: Any = resource.write_disposition
    return asked["disposition"] if isinstance(asked, dict) else str(asked)


def _missing(declared: ConfiguredSource, client: Client, keys: Sequence[str]) -> ConfigurationError:
    where = f"sources.{declared.name}.clients.{client.id}"
    variables = [f"{where}.{key}".replace(".", "__").upper() for key in keys]
    return ConfigurationError(
        f"client {client.id}, source {declared.name}: [{where}] {', '.join(keys)} is missing; as an"
        f" environment variable: {', '.join(variables)}"
    )
