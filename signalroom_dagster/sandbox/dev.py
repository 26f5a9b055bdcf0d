"""`make dev`: the Dagster UI on the demo's data, for this machine alone."""

import socket
import sys

from signalroom_dagster.config import ConfigurationError, project_dir
from signalroom_dagster.sandbox.environment import in_the_sandbox, run_there

HOST = "127.0.0.1"


def main(port: str) -> int:
    """Run `dagster dev` until it ends or Ctrl-C; how it ended. Raises ConfigurationError where the
    port is no use.
    """
    _check_free(port)
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", "-h", HOST, "-p", port]
    with in_the_sandbox(SIGNALROOM_UI_URL=f"http://{HOST}:{port}") as settings:
        return run_there([*command, "-w", str(project_dir() / "workspace.yaml")], settings)


def _check_free(port: str) -> None:
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigurationError(
            f"PORT is {port!r}; give a number from 1 to 65535, as in: make dev PORT=3001"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(port)))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} cannot be used ({error.strerror}): end what listens there, or choose"
                f" another one, as in: make dev PORT={int(port) + 1}"
            ) from None


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1]))
    except ConfigurationError as problem:
        raise SystemExit(f"dev: {problem}") from None
