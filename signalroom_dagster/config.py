"""Where this process works: its folders, its addresses and its kind of warehouse, all said by the
environment. The sections of the settings are read by `sections`.
"""

import functools
import os
from pathlib import Path
from typing import Literal

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.sandboxed import check_sandbox

DestinationName = Literal["duckdb", "postgres"]


class ClientOnly:
    """Marks a setting that identifies or opens an account: never read from a shared section."""


def project_dir() -> Path:
    """The folder of `data/` and `.dlt/`: `SIGNALROOM_PROJECT_DIR`, else the checkout, else here.

    Raises ConfigurationError for one that is not there.
    """
    chosen = os.environ.get("SIGNALROOM_PROJECT_DIR")
    return _resolved(chosen) if chosen else _checkout() or Path.cwd()


@functools.cache
def _resolved(folder: str) -> Path:
    """Raises ConfigurationError for a missing folder: it would look like one without clients."""
    path = Path(folder).resolve()
    if not path.is_dir():
        raise ConfigurationError(
            f"SIGNALROOM_PROJECT_DIR is {folder}, which is no folder: name the one that holds"
            " data/clients/, or leave it out for the checkout"
        )
    return path


@functools.cache
def _checkout() -> Path | None:
    """The folder that the package lies in, when it is a project."""
    folder = Path(__file__).resolve().parent.parent
    return folder if (folder / "data" / "clients").is_dir() else None


def shown(path: Path) -> str:
    """A path as messages name it: from the project folder on, or whole where it lies elsewhere."""
    return str(path.relative_to(project_dir())) if path.is_relative_to(project_dir()) else str(path)


def work_dir() -> Path:
    """Where runs keep their scratch files; safe to delete whenever no run is active."""
    return Path(os.environ.get("SIGNALROOM_WORK_DIR") or project_dir() / ".signalroom" / "work")


def reports_dir() -> Path:
    """Where reports are written: `SIGNALROOM_REPORTS_DIR`, else `.signalroom/reports`."""
    return Path(
        os.environ.get("SIGNALROOM_REPORTS_DIR") or project_dir() / ".signalroom" / "reports"
    )


def state_dir() -> Path:
    """Where what must outlive a run but is no client's data is kept: `SIGNALROOM_STATE_DIR` (a
    volume that several machines share), else `DAGSTER_HOME`, else `.signalroom/` in the project.
    """
    check_sandbox()
    chosen = os.environ.get("SIGNALROOM_STATE_DIR") or os.environ.get("DAGSTER_HOME")
    return Path(chosen) if chosen else project_dir() / ".signalroom"


def ui_url() -> str:
    """`SIGNALROOM_UI_URL`: where people open the Dagster UI; messages link to it."""
    return (os.environ.get("SIGNALROOM_UI_URL") or "http://127.0.0.1:3000").rstrip("/")


def webserver_url() -> str:
    """`SIGNALROOM_WEBSERVER_URL`: where processes reach Dagster's webserver, if not as people."""
    check_sandbox()
    return (os.environ.get("SIGNALROOM_WEBSERVER_URL") or ui_url()).rstrip("/")


def plain_http_hosts() -> frozenset[str]:
    """`SIGNALROOM_PLAIN_HTTP_HOSTS`: other hosts that may be asked without https, as `a,b`."""
    return frozenset(
        (os.environ.get("SIGNALROOM_PLAIN_HTTP_HOSTS") or "").lower().replace(" ", "").split(",")
    )


def secrets_dir() -> Path:
    """The folder of `secrets.toml`: `SIGNALROOM_SECRETS_DIR` (a mounted secret), else `.dlt/`."""
    return Path(os.environ.get("SIGNALROOM_SECRETS_DIR") or project_dir() / ".dlt")


def environment() -> Literal["dev", "production"]:
    """`SIGNALROOM_ENV`: schedules and sensors start out running (`production`) or not (`dev`)."""
    name = os.environ.get("SIGNALROOM_ENV") or "dev"
    if name not in ("dev", "production"):
        raise ConfigurationError(f"SIGNALROOM_ENV is {name!r}; set it to dev or production")
    return name


def destination_name() -> DestinationName:
    """`SIGNALROOM_DESTINATION`: which warehouse every command and run loads into."""
    name = os.environ.get("SIGNALROOM_DESTINATION") or "duckdb"
    if name not in ("duckdb", "postgres"):
        raise ConfigurationError(
            f"SIGNALROOM_DESTINATION is {name!r}; set it to duckdb or postgres"
        )
    return name
