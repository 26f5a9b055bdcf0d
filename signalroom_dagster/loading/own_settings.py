"""What a dlt source finds when it looks something up in dlt's settings: the client's own values.

No other client's, none that clients share, and none that the machine happens to have: a key that
is not in the client's section is missing.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.specs.base_configuration import CredentialsWithDefault
from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from typing_extensions import override

from signalroom_dagster.errors import ConfigurationError

TUNING = frozenset({"load", "normalize", "extract", "runtime", "schema", "data_writer"})
"""The sections of dlt's own settings that say how fast, and nothing of an account."""

AMBIENT = "_set_default_credentials"
"""What dlt calls when it takes the credentials that the machine happens to have."""


class OwnSettings(ConfigProvider):
    """The client's values, each from the most specific place on; and dlt's tuning."""

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
def own_settings_alone(values: Mapping[str, Any]) -> Generator[None]:
    """Have dlt look for everything in these values alone, as long as the block lasts: in this whole
    process, which has one load at a time.
    """
    context = Container()[PluggableRunContext]
    providers, ambient = context.providers, CredentialsWithDefault.__dict__[AMBIENT]
    context.providers = ConfigProvidersContainer([OwnSettings(values, providers.providers)])
    setattr(CredentialsWithDefault, AMBIENT, _refused)
    try:
        yield
    finally:
        context.providers = providers
        setattr(CredentialsWithDefault, AMBIENT, ambient)


def _refused(credentials: Any, default: Any) -> None:
    raise ConfigurationError(
        f"no credentials are given ({type(credentials).__name__}), and those of this machine are"
        " nobody's: set credentials in the client's section"
    )
