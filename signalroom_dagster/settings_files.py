"""The places that settings come from, in dlt's order; a file that cannot be read is left out, and told.

https://dlthub.com/docs/general-usage/credentials/setup
"""

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlt.common.configuration.providers import ConfigProvider


@functools.cache
def providers(settings: Path, secrets: Path) -> tuple["ConfigProvider", ...]:
    """The environment, `secrets.toml` of one folder and `config.toml` of the other, as far as they can be read."""
    from dlt.common.configuration.providers import ConfigTomlProvider, EnvironProvider, SecretsTomlProvider

    broken = unreadable(settings, secrets)
    files = [] if "secrets.toml" in broken else [SecretsTomlProvider(str(secrets))]
    more = [] if "config.toml" in broken else [ConfigTomlProvider(str(settings))]
    return (EnvironProvider(), *files, *more)


@functools.cache
def unreadable(settings: Path, secrets: Path) -> Mapping[str, str]:
    """What is wrong with each of the two files, by its name; never a value."""
    files = (secrets / "secrets.toml", settings / "config.toml")
    return {file.name: problem for file in files if (problem := _problem(file))}


def _problem(file: Path) -> str:
    from tomlkit import parse
    from tomlkit.exceptions import TOMLKitError

    try:
        text = file.read_text("utf-8")
        tomllib.loads(text)
        parse(text)  # which is how dlt reads it
    except FileNotFoundError:
        return ""
    except tomllib.TOMLDecodeError as error:
        return f"{file.name} is not valid TOML: {error}"
    except OSError as error:
        return f"{file.name} cannot be read: {error.strerror}"
    except (ValueError, RecursionError, TOMLKitError) as error:
        return f"{file.name} is not valid TOML ({type(error).__name__})"
    return ""
