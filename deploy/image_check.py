"""Build the image and run its roles, without a container engine: `make image-check`.

Needs root on Debian or Ubuntu, and `apt-get install buildah podman debootstrap`. The base image is
a Debian made by debootstrap, because a registry of images may be out of reach: what is shown is
that the Dockerfile's steps and the roles work, not that `python:3.12-slim` does. Buildah's chroot
isolation has no networks or volumes of its own, so the roles meet on loopback and share a folder,
as they share the volume of docker-compose.yml. Everything is removed.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from signalroom_dagster_tests.postgres import PASSWORD, PostgresServer, free_port

PROJECT = Path(__file__).resolve().parent.parent
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BASE = "localhost/signalroom-base"
STARTS_WITHIN_SECONDS = 180

# What must hold in the image, each a shell command that fails when it does not.
IMAGE_RULES = {
    "runs as uid 10001": 'test "$(id -u)" = 10001',
    "can write nowhere under /app or /venv": "! find /app /venv -writable ! -type l | grep .",
    "holds no secrets, settings of a machine or databases": (
        "! find / -xdev -not -path '/proc/*' "
        "'(' -name secrets.toml -o -name .env -o -name '*.duckdb' ')' 2> /dev/null | grep ."
    ),
    "holds no tests of ours, no sources beside the package": (
        "test ! -e /app/signalroom_dagster_tests "
        "&& ! python -c 'import signalroom_dagster_tests' 2> /dev/null"
    ),
    "holds no test tools": (
        "! python -c 'import pytest' 2> /dev/null && ! python -c 'import moto' 2> /dev/null"
    ),
    "holds no build tools": (
        "! command -v gcc && ! command -v make && ! command -v uv && ! command -v git"
    ),
    "holds no caches": "! test -e ~root/.cache && ! test -e /var/lib/signalroom/.cache",
    "reads its clients": "signalroom clients",
}


class Images:
    """Buildah with a storage of its own, which is removed at the end."""

    def __init__(self, folder: Path, driver: str) -> None:
        self.folder = folder
        self.store = [
            "--root",
            str(folder / "images"),
            "--runroot",
            str(folder / "run"),
            "--storage-driver",
            driver,
        ]

    def __call__(self, *arguments: str) -> str:
        """Run one buildah command; what it printed."""
        done = subprocess.run(
            ["buildah", *self.store, *arguments], cwd=PROJECT, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            raise SystemExit(f"buildah {' '.join(arguments)[:200]} failed")
        return done.stdout.strip()

    def inside(self, container: str, command: Sequence[str], env: dict[str, str]) -> list[str]:
        """The command line that runs something in a container, on this machine's network."""
        settings = [part for key, value in env.items() for part in ("--env", f"{key}={value}")]
        return [
            "buildah",
            *self.store,
            "run",
            "--isolation",
            "chroot",
            *settings,
            container,
            "--",
            *command,
        ]

    def import_base(self) -> None:
        """A Debian of this machine's release with Python, and with this machine's certificates, for
        its proxies.
        """
        root = self.folder / "base"
        packages = "python3,python3-venv,ca-certificates"
        with (self.folder / "debootstrap.log").open("w") as log:
            made = subprocess.run(
                ["debootstrap", "--variant=minbase", f"--include={packages}", _release(), root],
                stdout=log,
            )
        if made.returncode:
            raise SystemExit((self.folder / "debootstrap.log").read_text()[-2_000:])
        shutil.copyfile(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as packed:
            trust = [
                f"--change=ENV {name}={CERTIFICATES}" for name in ("SSL_CERT_FILE", "PIP_CERT")
            ]
            subprocess.run(
                ["podman", *self.store, "import", "-q", *trust, "-", BASE],
                stdin=packed.stdout,
                check=True,
            )
        shutil.rmtree(root)


def main() -> None:
    """Build each target, check the image, and for `prod` start the roles and load a source through
    them.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "targets", nargs="*", default=["prod"], help="dev, prod, fly; default: prod"
    )
    parser.add_argument(
        "--storage-driver",
        default="overlay",
        help="vfs where overlay does not work: slow and large",
    )
    chosen = parser.parse_args()
    missing = [tool for tool in ("buildah", "podman", "debootstrap") if not shutil.which(tool)]
    if missing or os.geteuid() != 0:
        raise SystemExit(
            "needs root, and: apt-get install buildah podman debootstrap (missing:"
            f" {missing or 'root'})"
        )
    folder = Path(tempfile.mkdtemp(prefix="signalroom-image-", dir="/var/tmp"))
    images = Images(folder, chosen.storage_driver)
    try:
        _told("base image", images.import_base)
        for target in chosen.targets:
            _told(f"build --target {target}", lambda target=target: build(images, target))
            check(images, target)
    finally:
        for command in (["rm", "--all"], ["rmi", "--all", "--force"]):
            subprocess.run(["buildah", *images.store, *command], stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


def build(images: Images, target: str) -> None:
    """Build one target; in Docker's format, since the other has no health check."""
    how = ("-q", "--layers", "--isolation", "chroot", "--network", "host", "--format", "docker")
    images(
        "bud",
        *how,
        "--build-arg",
        f"BASE={BASE}",
        "--target",
        target,
        "--tag",
        f"localhost/signalroom:{target}",
        ".",
    )


def check(images: Images, target: str) -> None:
    """The rules of the image, and whether its roles start."""
    image = f"localhost/signalroom:{target}"
    told = json.loads(images("inspect", "--type", "image", image))["Docker"]
    size = next(
        each["size"]
        for each in json.loads(images("images", "--json"))
        if image in (each["names"] or [])
    )
    print(
        f"  {size}, user {told['config']['User']!r}, entrypoint {told['config'].get('Entrypoint')}"
    )
    container = images("from", image)
    if target == "dev":
        tests = [
            ".venv/bin/python",
            "-m",
            "pytest",
            "signalroom_dagster_tests/loading/test_postgres.py",
        ]
        _told("runs tests", lambda: _run(images.inside(container, tests, {})))
    elif target == "fly":
        state = images("mount", container) + "/var/lib/signalroom"
        os.chown(state, 0, 0)  # as Fly mounts it
        _told(
            "fly: gives root up, all roles in one container", lambda: one_machine(images, container)
        )
    else:
        if "Healthcheck" not in told["config"]:
            raise SystemExit("the image has no health check")
        for rule, command in IMAGE_RULES.items():
            _told(
                rule,
                lambda command=command: _run(images.inside(container, ["sh", "-c", command], {})),
            )
        roles(images, container)
    images("rm", container)


def roles(images: Images, container: str) -> None:
    """The roles of docker-compose.yml with Dagster's storage in Postgres, and a load of the
    affiliate mapping.
    """
    with ExitStack() as opened:
        server = PostgresServer().start()
        opened.callback(server.remove)
        server.create_database("dagster")
        env = _storage(server)

        def command(*words: str) -> list[str]:
            return images.inside(container, ["deploy/entrypoint.sh", *words], env)

        def role(name: str, *words: str) -> None:
            opened.enter_context(_running(command(*words), images.folder / f"{name}.log"))

        _told("migrate", lambda: _run(command("dagster", "instance", "migrate")))
        serve = (
            "--host",
            "127.0.0.1",
            "--port",
            "4000",
            "--module-name",
            "signalroom_dagster.definitions",
        )
        role("code-server", "dagster", "api", "grpc", *serve)
        health = command("dagster", "api", "grpc-health-check", "--port", "4000")
        _told(
            "code server: healthy",
            lambda: _until(lambda: subprocess.run(health, capture_output=True).returncode == 0),
        )
        port = free_port()
        workspace = ("--workspace", "deploy/workspace.yaml")
        role(
            "webserver", "dagster-webserver", "--host", "127.0.0.1", "--port", str(port), *workspace
        )
        role("daemon", "dagster-daemon", "run", *workspace)
        url = f"http://127.0.0.1:{port}"
        _told(
            "webserver: GET /server_info",
            lambda: _until(lambda: "dagster_version" in _get(f"{url}/server_info")),
        )
        tags = json.dumps({"dagster/partition": "713"})
        launch = command(
            "dagster", "job", "launch", *workspace, "-j", "affiliate_mapping", "--tags", tags
        )
        _told("launch a run", lambda: _run(launch))
        query = urllib.request.Request(
            f"{url}/graphql",
            json.dumps({"query": "{runsOrError {... on Runs {results {status}}}}"}).encode(),
            {"Content-Type": "application/json"},
        )
        _told(
            "queue, daemon, code server: RUN SUCCESS",
            lambda: _until(lambda: '"SUCCESS"' in _get(query)),
        )
        _told("daemon: liveness-check", lambda: _run(command("dagster-daemon", "liveness-check")))


def one_machine(images: Images, container: str) -> None:
    """`deploy/one-machine.sh` with its storage in SQLite; the gateway is left out where it has no
    settings.
    """
    env = {"SIGNALROOM_GATEWAY": "off"}
    run = images.inside(container, ["deploy/entrypoint.sh", "deploy/one-machine.sh"], env)
    with _running(run, images.folder / "fly.log"):
        _until(lambda: "dagster_version" in _get("http://127.0.0.1:3000/server_info"))
        _run(
            images.inside(
                container,
                ["sh", "-c", "test $(stat -c %u $DAGSTER_HOME/dagster.yaml) = 10001"],
                env,
            )
        )


def _storage(server: PostgresServer) -> dict[str, str]:
    where = {
        "HOST": "127.0.0.1",
        "PORT": str(server.port),
        "DB": "dagster",
        "USERNAME": "postgres",
        "PASSWORD": PASSWORD,
    }
    return {f"DAGSTER_PG_{key}": value for key, value in where.items()} | {
        "SIGNALROOM_CODE_SERVER": "127.0.0.1"
    }


def _release() -> str:
    told = dict(
        line.split("=", 1)
        for line in Path("/etc/os-release").read_text().splitlines()
        if "=" in line
    )
    return told["VERSION_CODENAME"].strip('"')


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        yield
    except BaseException:
        print(f"--- {log.name}\n{log.read_text()[-3_000:]}", file=sys.stderr)
        raise
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, how)
                process.wait(20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(command[-3:])}\n{done.stdout[-3_000:]}")


def _get(page: str | urllib.request.Request) -> str:
    try:
        with urllib.request.urlopen(page, timeout=10) as reply:
            return reply.read().decode()
    except OSError:
        return ""


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + STARTS_WITHIN_SECONDS
    while not holds():
        if time.monotonic() > give_up:
            raise SystemExit(f"not within {STARTS_WITHIN_SECONDS} seconds")
        time.sleep(1)


def _told(what: str, work: Callable[[], None]) -> None:
    began = time.monotonic()
    work()
    print(f"ok  {what} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
