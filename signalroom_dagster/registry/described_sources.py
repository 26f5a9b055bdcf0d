"""Sources that are no folder: HTTP APIs described as data, `data/shared/sources/<name>.toml`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from signalroom_dagster.config import project_dir
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.naming import wrong_source_name
from signalroom_dagster.sections import once_per_settings

FOLDER = Path("data", "shared", "sources")


def described_names() -> Sequence[str]:
    """The APIs that are described, by their files."""
    return sorted(file.stem for file in (project_dir() / FOLDER).glob("*.toml"))


def described_file(name: str) -> Path:
    """Where an API of this name is described."""
    return project_dir() / FOLDER / f"{name}.toml"


def hidden_by(others: Sequence[str]) -> Mapping[str, str]:
    """Why a file is not read, where another source has its name."""
    taken = sorted({*described_names()} & {*others})
    words = "another source has this name: give the file another one"
    return {str(FOLDER / f"{name}.toml"): words for name in taken}


@once_per_settings
def described_source(name: str) -> Any:
    """What a source folder offers, of one. Raises ConfigurationError for what cannot be meant."""
    if problem := wrong_source_name(name):
        raise ConfigurationError(f"{FOLDER / name}.toml: {problem}")
    from signalroom_dagster.described.modules import module_of

    return module_of(described_file(name))
