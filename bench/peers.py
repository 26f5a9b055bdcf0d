"""Other tools that load CSV files into Postgres, from a virtual environment of their own below
`.bench/`.

`python -m bench.peers` installs them, once; a benchmark never does, it uses the loopback only. Both
are run with telemetry off and are told nothing but the file and the table; their start-up is part
of what they cost.
"""

import subprocess
import sys
from pathlib import Path

from bench.data import PREFIX, TABLE, files_of
from bench.measure import run_program
from bench.places import PEERS, WORK

VERSIONS = {"sling": "1.3.5", "ingestr": "0.15.9"}
INSTALL_SECONDS = 300


def missing(tool: str) -> str | None:
    """Why a tool cannot be measured, or None."""
    return None if _program(tool).exists() else "not installed: python -m bench.peers"


def sling(bucket: Path, database: str) -> None:
    """`sling run` over the folder, full refresh."""
    run_program(
        _program("sling"),
        "run",
        "--src-stream",
        f"file://{bucket / PREFIX}/",
        "--tgt-conn",
        f"{database}?sslmode=disable",
        "--tgt-object",
        f"public.{TABLE}",
        "--mode",
        "full-refresh",
        SLING_DISABLE_TELEMETRY="true",
        SLING_HOME_DIR=str(WORK / "sling"),
        HOME=str(WORK),
    )


def ingestr(bucket: Path, database: str) -> None:
    """`ingestr ingest`, one call a file, the first replaces and the others append."""
    for number, path in enumerate(files_of(bucket)):
        run_program(
            _program("ingestr"),
            "ingest",
            "--yes",
            "--progress",
            "log",
            "--source-uri",
            f"csv://{path}",
            "--source-table",
            "orders",
            "--dest-uri",
            f"{database}?sslmode=disable",
            "--dest-table",
            f"public.{TABLE}",
            "--incremental-strategy",
            "append" if number else "replace",
            INGESTR_DISABLE_TELEMETRY="true",
            DISABLE_TELEMETRY="true",
            HOME=str(WORK),
        )


def install() -> None:
    """Install what is missing, in a virtual environment below `.bench/`; takes at most five
    minutes.
    """
    if not (PEERS / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
    for tool, version in VERSIONS.items():
        done = subprocess.run(
            [PEERS / "bin" / "pip", "install", "--quiet", f"{tool}=={version}"],
            timeout=INSTALL_SECONDS / len(VERSIONS),
            check=False,
        )
        print(f"{tool} {version}: {'not to be had' if done.returncode else 'installed'}")


def _program(tool: str) -> Path:
    return PEERS / "bin" / tool


if __name__ == "__main__":
    install()
