"""The places that settings come from, in dlt's order; an unreadable file is left out and named.

A file may begin with a byte order mark, as Windows' Notepad writes it.

https://dlthub.com/docs/general-usage/credentials/setup
"""

import functools
import itertools
import tomllib
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from signalroom_dagster.environment_settings import variable_of
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.refused_values import Place, Refusal, in_words, kind_of, refusals

if TYPE_CHECKING:
    from dlt.common.configuration.providers import ConfigProvider

ENCODING = "utf-8-sig"
"""Of every text that a person writes: UTF-8, with a byte order mark or without."""
SECRETS, CONFIG = "secrets.toml", "config.toml"


def read_toml(file: Path) -> dict[str, Any]:
    """A TOML file. Raises OSError, and ValueError or RecursionError for what is none."""
    return tomllib.loads(file.read_text(ENCODING))


@functools.cache
def providers(settings: Path, secrets: Path) -> tuple["ConfigProvider", ...]:
    """The environment, `secrets.toml` and `config.toml`, as far as they can be read."""
    from dlt.common.configuration.providers import CustomLoaderDocProvider, EnvironProvider

    broken = unreadable(settings, secrets)

    def in_file(file: Path) -> "ConfigProvider":
        is_readable = file.exists() and file.name not in broken
        tables = read_toml(file) if is_readable else {}
        return CustomLoaderDocProvider(file.name, lambda: tables, file.name == SECRETS)

    return EnvironProvider(), in_file(secrets / SECRETS), in_file(settings / CONFIG)


def check_tables(section: Sequence[str], provided: Sequence["ConfigProvider"]) -> None:
    """Raises ConfigurationError where a file has something else than a table on the way."""
    for provider in provided[1:]:
        for length in range(1, len(section) + 1):
            *above, key = section[:length]
            value = provider.get_value(key, str, "", *above)[0]
            if value is not None and not isinstance(value, Mapping):
                place = f"[{'.'.join(above)}] {key}" if above else key
                raise ConfigurationError(
                    f"{place} in {provider.name} is {kind_of(value)}, and has to be a table of"
                    f" keys: write them below [{'.'.join(section[:length])}]"
                )


def explained(
    error: ValidationError,
    model: type[BaseModel],
    sections: Sequence[tuple[str, ...]],
    clients_own: Set[str],
    provided: Sequence["ConfigProvider"],
    *,
    missing: bool = True,
) -> str:
    """What is wrong with each setting, where it stands, and the variable that is read in its place.

    It stands in the first of some sections or, unless it is a client's own, in a later one.
    """
    problems: list[str] = []
    for refusal in refusals(error, model):
        if refusal.is_missing and not missing:
            continue
        is_own = not refusal.place or refusal.place[0] in clients_own
        section, file = _standing(refusal.place, sections[:1] if is_own else sections, provided)
        stands = f", in {file}" if file and not refusal.is_missing else ""
        problems.append(
            f"{worded(refusal, section)}{stands}{named_variable(refusal, model, section)}"
        )
    return "; ".join(problems)


def worded(refusal: Refusal, section: Sequence[str]) -> str:
    """What is wrong with a setting of a section."""
    words = refusal.words if refusal.is_missing else f"is not valid ({refusal.words})"
    return f"[{'.'.join(section)}] {in_words(refusal.place)} {words}"


def named_variable(refusal: Refusal, model: type[BaseModel], section: Sequence[str]) -> str:
    """The variable that is read for a setting; none for a key that there is not."""
    if not refusal.place or refusal.is_unknown_key:
        return ""
    return f"; as an environment variable: {variable_of(model, refusal.place, section)}"


def _standing(
    place: Place, sections: Sequence[tuple[str, ...]], provided: Sequence["ConfigProvider"]
) -> tuple[tuple[str, ...], str]:
    """The section that a value is read from, and its file; the first section if none has it."""
    keys = list(itertools.takewhile(lambda part: isinstance(part, str), place))
    for length in range(len(keys), 0, -1):
        *above, key = map(str, keys[:length])
        for section in sections:
            for provider in provided:
                if provider.get_value(key, str, "", *section, *above)[0] is not None:
                    return section, (
                        provider.name if provider.name.endswith(".toml") else "the environment"
                    )
    return sections[0], ""


@functools.cache
def unreadable(settings: Path, secrets: Path) -> Mapping[str, str]:
    """What is wrong with each of the two files, by its name; never a value."""
    files = (secrets / SECRETS, settings / CONFIG)
    return {file.name: problem for file in files if (problem := _problem(file))}


def _problem(file: Path) -> str:
    try:
        read_toml(file)
    except FileNotFoundError:
        return ""
    except tomllib.TOMLDecodeError as error:
        return f"{file.name} is not valid TOML: {error}"
    except OSError as error:
        return f"{file.name} cannot be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        return f"{file.name} is not valid TOML ({type(error).__name__})"
    return ""
