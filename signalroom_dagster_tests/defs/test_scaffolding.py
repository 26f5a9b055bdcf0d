"""What a user scaffolds with `dg` appears beside SignalRoom's own assets."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from signalroom_dagster.config import project_dir

SCRIPT = """type: dagster.PythonScriptComponent

attributes:
  execution:
    path: weather.py
  assets:
    - key: weather
"""
KEYS = (
    "from signalroom_dagster.definitions import defs; "
    "print(*sorted(spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()))"
)


@pytest.mark.slow
def test_an_asset_and_a_component_that_dg_scaffolds_stand_beside_ours(tmp_path: Path) -> None:
    for name in ("signalroom_dagster", "data", ".dlt"):
        shutil.copytree(
            project_dir() / name,
            tmp_path / name,
            ignore=shutil.ignore_patterns("secrets.toml", "__pycache__"),
        )
    shutil.copy(project_dir() / "pyproject.toml", tmp_path)
    run(tmp_path, "-m", "dagster_dg_cli.cli", "scaffold", "defs", "dagster.asset", "regions.py")
    run(
        tmp_path,
        "-m",
        "dagster_dg_cli.cli",
        "scaffold",
        "defs",
        "dagster.PythonScriptComponent",
        "forecast",
    )
    folder = tmp_path / "signalroom_dagster/defs/scaffolded/forecast"
    (folder / "defs.yaml").write_text(SCRIPT)
    (folder / "weather.py").write_text("print('sunny')\n")
    keys = run(tmp_path, "-W", "ignore", "-c", KEYS).split()
    assert {"regions", "weather", "everflow/daily_stats", "public/orders"} <= set(keys)


def run(folder: Path, *arguments: str) -> str:
    """The output of a Python of its own, in which the copy is the package."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "SIGNALROOM_PROJECT_DIR": str(folder)}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
