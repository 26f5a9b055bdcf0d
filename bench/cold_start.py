"""What it takes to load next to nothing from a cold start: Dagster materializing one asset, against
bare dlt.

One file of one row into DuckDB, in a fresh process each, everything counted from the interpreter's
start on.
"""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bench.data import TABLE, files_of, one_row_bucket
from bench.loads import CLIENT, DATASET, signalroom_environment
from bench.measure import Cost, measured, run_program
from bench.places import ROOT, WORK

DEFINITIONS = "signalroom_dagster.definitions"


def missing() -> str | None:
    """Why a cold start cannot be measured, or None."""
    return None if importlib.util.find_spec(DEFINITIONS) else f"there is no {DEFINITIONS} yet"


def run(way: str) -> Cost:
    """One cold start, `dagster` or `bare_dlt`, in a new place."""
    folder = WORK / "cold"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "home").mkdir(parents=True)
    bucket = one_row_bucket()
    ways: dict[str, Callable[[], None]] = {
        "dagster": lambda: _materialize(bucket, folder),
        "bare_dlt": lambda: _bare(bucket, folder),
    }
    try:
        return measured(ways[way])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _materialize(bucket: Path, folder: Path) -> None:
    run_program(
        Path(sys.executable).with_name("dagster"),
        "asset",
        "materialize",
        "-m",
        DEFINITIONS,
        "--select",
        f"{DATASET}/{TABLE}",
        "--partition",
        CLIENT,
        DAGSTER_HOME=str(folder / "home"),
        DAGSTER_DISABLE_TELEMETRY="true",
        **signalroom_environment(bucket, str(folder / "cold.duckdb")),
    )


def _bare(bucket: Path, folder: Path) -> None:
    run_program(
        sys.executable,
        ROOT / "bench" / "bare_dlt.py",
        files_of(bucket)[0],
        folder / "cold.duckdb",
        folder / "dlt",
        RUNTIME__DLTHUB_TELEMETRY="false",
    )
