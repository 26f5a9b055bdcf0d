"""What Dagster is shown: without network, without secrets, and without a line of Python for a new
client.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg

from signalroom_dagster import definitions
from signalroom_dagster.config import project_dir
from signalroom_dagster_tests.projects import client_toml

ROOT = Path(__file__).parents[2]
OFFLINE = """
import json, socket, sys
def refuse(*_, **__): raise AssertionError("a definition opened a socket")
socket.socket.connect = socket.getaddrinfo = refuse
from signalroom_dagster.definitions import defs
from dagster import AssetKey
graph = defs.resolve_asset_graph()
print(json.dumps({
    "assets": sorted(key.to_user_string() for key in graph.get_all_asset_keys()),
    "partitions": graph.get(
        AssetKey(["s3_exports", "orders_create"])
    ).partitions_def.get_partition_keys(),
    "heavy": sorted(
        {"pandas", "pyarrow", "matplotlib", "s3fs", "botocore", "duckdb", "psycopg2"}
        & set(sys.modules)
    ),
}))
"""


TABLES = {
    "s3_exports": ("orders_create", "orders_update", "prospects_create", "files", "rejected_rows"),
    "everflow": (
        "daily_stats",
        "conversions",
        "clicks",
        "affiliates",
        "offers",
        "advertisers",
        "windows",
        "restatements",
    ),
}


def definitions_in(folder: Path, **environment: str) -> dict[str, list[str]]:
    """What a fresh process sees of the definitions, with an otherwise empty environment and no
    sockets.
    """
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", OFFLINE],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "BetaWarning" not in done.stderr and "PreviewWarning" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_definitions_load_in_an_empty_environment_without_sockets_and_heavy_imports(
    tmp_path: Path,
) -> None:
    seen = definitions_in(tmp_path)
    assert set(seen["assets"]) >= {
        f"{source}/{table}" for source, tables in TABLES.items() for table in tables
    }
    assert seen["partitions"] == ["713", "cti"]
    assert seen["heavy"] == []


def test_a_new_client_is_a_folder_and_gets_its_partition(tmp_path: Path) -> None:
    for client_id in ("713", "acme"):
        folder = tmp_path / "data" / "clients" / client_id
        folder.mkdir(parents=True)
        (folder / "client.toml").write_text(client_toml(client_id))
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(
        '[sources.s3_exports.clients.acme]\nbucket_url = "s3://acme"\nprefixes = ["orders-create",'
        ' "refunds"]\n'
    )
    seen = definitions_in(tmp_path, SIGNALROOM_PROJECT_DIR=str(tmp_path))
    assert seen["partitions"] == ["713", "acme"]
    assert "s3_exports/refunds" in seen["assets"]


def validated(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *command],
        env={
            "PATH": os.defpath,
            "HOME": str(ROOT),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            **environment,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_clients_typo_leaves_the_code_location_and_fails_its_validation(tmp_path: Path) -> None:
    for client_id, text in {
        "713": client_toml("713"),
        "cti": client_toml("cti", status="planed"),
    }.items():
        folder = tmp_path / "data" / "clients" / client_id
        folder.mkdir(parents=True)
        (folder / "client.toml").write_text(text)
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(
        '[sources.s3_exports.clients.713]\nbucket_url = "s3://713"\nprefixes = ["orders-create"]\n'
    )
    (tmp_path / ".dlt" / "secrets.toml").write_text("[sources.everflow\n")
    seen = definitions_in(tmp_path, SIGNALROOM_PROJECT_DIR=str(tmp_path))
    assert "status/definitions" in seen["assets"] and seen["heavy"] == []
    done = validated(
        "dagster",
        "definitions",
        "validate",
        "-m",
        "signalroom_dagster.definitions",
        SIGNALROOM_PROJECT_DIR=str(tmp_path),
    )
    assert done.returncode == 1
    assert (
        "cti client cti: " in done.stdout
        and "status: it has to be 'active' or 'planned'" in done.stdout
    )
    assert "file secrets.toml: secrets.toml is not valid TOML" in done.stdout


def test_every_asset_says_what_it_is_whose_it_is_and_where_it_belongs() -> None:
    from signalroom_dagster.definitions import defs

    for spec in defs.resolve_all_asset_specs():
        assert spec.group_name in (spec.key.path[0], "affiliate_mapping", "models", "bookkeeping")
        assert spec.owners == ["team:data"]
        assert spec.kinds > {"duckdb"}
        assert spec.description and (
            "https://" in spec.description or "Grain: client" in spec.description
        )
        assert bool(list(spec.deps)) == (spec.group_name in ("models", "reports"))


def test_sensors_stay_off_in_development_and_run_in_production() -> None:
    from signalroom_dagster.defs.new_files import build_new_files_sensor

    assert build_new_files_sensor("s3_exports").default_status == dg.DefaultSensorStatus.STOPPED
    os.environ["SIGNALROOM_ENV"] = "production"
    try:
        assert build_new_files_sensor("s3_exports").default_status == dg.DefaultSensorStatus.RUNNING
    finally:
        del os.environ["SIGNALROOM_ENV"]


def test_every_file_keeps_its_size_budget() -> None:
    lengths = {
        path: len(path.read_text().splitlines())
        for path in (project_dir() / "signalroom_dagster").rglob("*.py")
    }
    assert {path.name: length for path, length in lengths.items() if length > 300} == {}
    written = sorted(length for length in lengths.values() if length)
    assert written[len(written) // 2] <= 110
    assert lengths[project_dir() / "signalroom_dagster" / "definitions.py"] <= 40


def test_every_function_keeps_its_size_budget() -> None:
    lengths: dict[str, int] = {}
    for path in (project_dir() / "signalroom_dagster").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                place = f"{path.name}:{node.lineno} {node.name}"
                lengths[place] = node.end_lineno - node.lineno + 1
    assert {place: length for place, length in lengths.items() if length > 60} == {}
    sizes = sorted(lengths.values())
    assert sizes[len(sizes) // 2] <= 8
    assert sizes[len(sizes) * 9 // 10] <= 24


def test_an_asset_s_page_says_what_its_columns_mean_and_where_its_code_stands() -> None:
    stats, windows, model = (
        definitions.defs.resolve_asset_graph().get(dg.AssetKey(key.split("/")))
        for key in ("everflow/daily_stats", "everflow/windows", "public/daily_performance")
    )
    columns = {column.name: column for column in stats.metadata["dagster/column_schema"].columns}
    assert (
        columns["payout"].description
        == "what the network owes the affiliate: an external affiliate's cost"
    )
    assert (columns["payout"].type, columns["date"].constraints.nullable) == (
        "decimal(18,4)",
        False,
    )
    assert (stats.group_name, windows.group_name) == ("everflow", "bookkeeping")
    for node, file in (
        (stats, "sources/everflow/__init__.py"),
        (model, "models/public/daily_performance.sql"),
    ):
        (reference,) = node.metadata["dagster/code_references"].code_references
        assert reference.file_path.endswith(file) and Path(reference.file_path).is_file()


def test_the_job_of_a_source_loads_what_it_keeps_beside_its_tables_too() -> None:
    selected = definitions.defs.resolve_job_def("everflow").asset_layer.selected_asset_keys
    assert {key.path[-1] for key in selected} >= {"daily_stats", "windows", "restatements"}
    assert {key.path[0] for key in selected} == {"everflow"}
