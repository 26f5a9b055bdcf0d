"""Any dlt source, for one client: opened with the client's own arguments, its resources as they are
named in the settings.

Whatever the source looks up in dlt's own settings, it finds in the client's section alone: no other
client's, and none that clients share, is ever in sight. What happens to its rows stands in
`staged`.
"""

import importlib
import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import dlt
from dlt.common.configuration.container import Container
from dlt.common.configuration.exceptions import ConfigFieldMissingException
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.configuration.utils import deserialize_value
from dlt.extract import DltResource, DltSource
from typing_extensions import override

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.loading.staged import StagedLoad
from signalroom_dagster.registry.clients import Client
from signalroom_dagster.registry.configured_sources import ConfiguredSource, Hints
from signalroom_dagster.retries import causes
from signalroom_dagster.sections import section
from signalroom_dagster.sources.context import SourceContext
from signalroom_dagster.warehouse.bookkeeping import WINDOWS

TUNING = frozenset({"load", "normalize", "extract", "runtime", "schema", "data_writer"})
"""The sections of dlt's own settings that say how fast, and nothing of an account."""


class ClientSettings(ConfigProvider):
    """The one place in which a source finds what it looks up: the client's section, from the most
    specific place on; and dlt's tuning.
    """

    def __init__(self, values: Mapping[str, Any], tuning: Sequence[ConfigProvider]) -> None:
        self._values, self._tuning = values, tuning

    @override
    def get_value(
        self, key: str, hint: Any, pipeline_name: str | None, *sections: str
    ) -> tuple[Any, str]:
        if sections and sections[0] in TUNING:
            asked = (each.get_value(key, hint, "", *sections)[0] for each in self._tuning)
            return next((value for value in asked if value is not None), None), key
        for start in range(len(sections) + 1):
            value: Any = self._values
            for part in (*sections[start:], key):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is not None:
                return value, key
        return None, key

    @property
    @override
    def supports_secrets(self) -> bool:
        return True

    @property
    @override
    def supports_sections(self) -> bool:
        return True

    @property
    @override
    def name(self) -> str:
        return "the client's section"


@contextmanager
def opened(
    declared: ConfiguredSource, client: Client, resources: Sequence[str] = ()
) -> Generator[DltSource]:
    """The source of one client, as long as the block lasts; asks what its function asks when it is
    called. Raises ConfigurationError for a module, a function, an argument or a resource that there
    is not.
    """
    subject = f"client {client.id}, source {declared.name}"
    values = arguments(declared, client)
    try:
        with _own_settings_alone(values):
            source = _called(declared, values, subject)
            yield _selected(declared, source, _names(declared, resources), subject)
    except Exception as error:
        for cause in causes(error):
            if isinstance(cause, ConfigFieldMissingException):
                raise _missing(declared, client, cause) from None
        raise


def staged_load(
    declared: ConfiguredSource,
    context: SourceContext,
    resources: Sequence[str],
    check: Callable[[], object],
) -> StagedLoad:
    """Whose rows a load brings."""
    return StagedLoad(
        client_id=context.client_id,
        run_id=context.run_id,
        today=context.today,
        read_at=context.started_at,
        resources=_names(declared, resources),
        check=check,
    )


def _names(declared: ConfiguredSource, chosen: Sequence[str]) -> Sequence[str]:
    """The resources to be loaded: those that were chosen, else all that are configured."""
    return [name for name in chosen if name != WINDOWS] if chosen else declared.resources


def arguments(declared: ConfiguredSource, client: Client) -> Mapping[str, Any]:
    """What a client's source is given: what is said for all clients, and over it the client's
    own.
    """
    return {**declared.arguments, **section("sources", declared.name, "clients", client.id)}


@contextmanager
def _own_settings_alone(values: Mapping[str, Any]) -> Generator[None]:
    """Within the block, dlt looks for what a source is given in these values alone."""
    context = Container()[PluggableRunContext]
    before = context.providers
    context.providers = ConfigProvidersContainer([ClientSettings(values, before.providers)])
    try:
        yield
    finally:
        context.providers = before


def _called(declared: ConfiguredSource, values: Mapping[str, Any], subject: str) -> DltSource:
    """What the function gives, as a source with the configured name."""
    function = _imported(declared.dlt_source, f"[sources.{declared.name}] dlt_source")
    parameters = inspect.signature(function).parameters
    given = {
        name: _typed(name, value, parameters[name])
        for name, value in values.items()
        if name in parameters
    }
    made: Any = function(**given)
    if isinstance(made, DltSource):
        return made.clone(with_name=declared.name)
    parts = [made] if isinstance(made, DltResource) else list(made)
    if not all(isinstance(part, DltResource) for part in parts):
        raise ConfigurationError(f"{subject}: {declared.dlt_source} gives no dlt source")
    return dlt.source(lambda: parts, name=declared.name, section=declared.name)()


def _typed(name: str, value: Any, parameter: inspect.Parameter) -> Any:
    """The text of a variable as what the function takes."""
    plain = isinstance(value, str) and parameter.annotation in (int, float, bool, list, dict)
    return deserialize_value(name, value, parameter.annotation) if plain else value


def _imported(place: str, where: str) -> Any:
    """What `module:function` names. Raises ConfigurationError: what cannot be imported."""
    name, _, function = place.partition(":")
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever a stranger's module raises
        raise ConfigurationError(
            f"{where}: {name} cannot be imported ({type(error).__name__}: {error}): install its"
            " package, or put its folder on the path"
        ) from None
    if not callable(found := getattr(module, function, None)):
        raise ConfigurationError(f"{where}: {name} has no function {function}")
    return found


def _selected(
    declared: ConfiguredSource, source: DltSource, names: Sequence[str], subject: str
) -> DltSource:
    known = cast("Mapping[str, DltResource]", source.resources)
    if unknown := [name for name in names if name not in known]:
        raise ConfigurationError(
            f"{subject}: {declared.dlt_source} has no resource {', '.join(unknown)} (there are:"
            f" {', '.join(known)}): mend `resources` in [sources.{declared.name}]"
        )
    for name in names:
        if hints := declared.hints.get(name):
            _apply(known[name], hints)
    source.resources.add(dlt.resource(iter(()), name=WINDOWS))
    return source.with_resources(*names, WINDOWS)


def _apply(resource: DltResource, hints: Hints) -> None:
    given: dict[str, Any] = hints.model_dump(exclude_none=True, exclude={"cursor"})
    if hints.cursor:
        cursor = hints.cursor
        asked: dict[str, Any] = {"cursor_path": cursor} if isinstance(cursor, str) else cursor
        given["incremental"] = dlt.sources.incremental(**asked)
    resource.apply_hints(**given)


def _missing(
    declared: ConfiguredSource, client: Client, error: ConfigFieldMissingException
) -> ConfigurationError:
    keys = sorted(error.traces)
    section_name = f"sources.{declared.name}.clients.{client.id}"
    variables = [f"{section_name}.{key}".replace(".", "__").upper() for key in keys]
    return ConfigurationError(
        f"client {client.id}, source {declared.name}: [{section_name}] {', '.join(keys)} is"
        f" missing; as an environment variable: {', '.join(variables)}"
    )
