"""Which rows a reader loses while it reports success: the same faulty vendor, read by a described
API, by dlt's own rest_api and by airbyte-cdk. Writes `docs/benchmarks/lost-rows.md`.

    .venv/bin/python -m bench.lost_rows --install   airbyte-cdk, into .bench/airbyte, once
    .venv/bin/python -m bench.lost_rows             all of it, about 3 minutes

Nothing is measured in seconds: a table of what stands in the warehouse afterwards.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dlt
import duckdb
from dlt.sources.rest_api import rest_api_source

from bench.faulty_vendor import PAGE, ROWS, SAYS, vendor
from bench.places import FOLDER, REPORT, ROOT
from signalroom_dagster import retries
from signalroom_dagster.described.modules import module_of
from signalroom_dagster.retries import repeated

AIRBYTE = FOLDER / "airbyte"
AIRBYTE_VERSION = "7.39.1"
READ_SECONDS = 120
FILE = """
[client]
base_url = "{url}"
paginator = {{ type = "offset", limit = {page} }}
requests_per_minute = 60000

[resources.rows]
endpoint = {{ path = "/{fault}/rows", data_selector = "items" }}
primary_key = "id"
complete = {complete}
columns = {{ id = "bigint", amount = "decimal" }}
"""


def described(url: str, fault: str, folder: Path) -> int:
    """Rows that an API as one file brings to DuckDB."""
    complete = "{ cap = 30 }" if fault == "cap" else '{ total = "total" }'
    text = FILE.format(url=url, fault=fault, page=PAGE, complete=complete)
    (folder / "vendor.toml").write_text(text)
    module: Any = module_of(folder / "vendor.toml")
    return repeated(partial(_loaded, module.vendor, folder), "the vendor")  # as a step does


def stock_dlt(url: str, fault: str, folder: Path) -> int:
    """Rows that dlt's rest_api brings to DuckDB, told the same of the vendor."""
    config: Any = {
        "client": {
            "base_url": url,
            "paginator": {"type": "offset", "limit": PAGE, "total_path": "total"},
        },
        "resources": [
            {
                "name": "rows",
                "primary_key": "id",
                "write_disposition": "replace",
                "endpoint": {"path": f"/{fault}/rows", "data_selector": "items"},
            }
        ],
    }
    return _loaded(lambda: rest_api_source(config), folder)


def airbyte(url: str, fault: str, folder: Path) -> int:
    """Rows that airbyte-cdk hands over, told the same of the vendor."""
    program = [AIRBYTE / "bin" / "python", ROOT / "bench" / "lost_rows_airbyte.py", url, fault]
    done = subprocess.run(
        program, cwd=folder, capture_output=True, text=True, timeout=READ_SECONDS, check=False
    )
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(done.stderr.strip().splitlines()[-1:] or "no answer") from None
    if answer["error"]:
        raise RuntimeError(answer["error"])
    return len(set(answer["ids"]))


READERS: dict[str, Callable[[str, str, Path], int]] = {
    "a described API": described,
    "dlt `rest_api`": stock_dlt,
    "`airbyte-cdk`": airbyte,
}


def _loaded(source: Callable[[], Any], folder: Path) -> int:
    file = folder / "rows.duckdb"
    pipeline = dlt.pipeline(
        "lost_rows",
        pipelines_dir=str(folder),
        destination=dlt.destinations.duckdb(str(file)),
        dataset_name="vendor",
    )
    try:
        pipeline.run(source())
    finally:
        pipeline.deactivate()
    with duckdb.connect(str(file)) as connection:
        found = connection.execute("SELECT count(DISTINCT id) FROM vendor.rows").fetchone()
    return found[0] if found else 0


def _cell(read: Callable[[str, str, Path], int], url: str, fault: str) -> str:
    with TemporaryDirectory() as folder:
        try:
            rows = read(url, fault, Path(folder))
        except Exception as error:  # whatever a reader raises is what it reports
            return "fails" if not isinstance(error, FileNotFoundError) else "not installed"
    return f"{rows} rows" if rows == ROWS else f"**{rows} of {ROWS} rows, success**"


def report() -> str:
    """The table as Markdown."""
    lines = [f"| the vendor | {' | '.join(READERS)} |", f"|---|{'---|' * len(READERS)}"]
    with vendor() as url:
        for fault, words in SAYS.items():
            cells = [_cell(read, url, fault) for read in READERS.values()]
            lines.append(f"| {words} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


INTRODUCTION = f"""# Which rows a reader loses while it reports success

One vendor with {ROWS} rows, in pages of {PAGE}, by offset and with a total; one fault at a time.
The same is told to each reader: where the rows and the total stand, how long a page is, the key;
airbyte-cdk takes no total, and a cap is told to the described API alone.
"Fails" means that the run fails and nothing is loaded; each such fault has a test that names it
(`signalroom_dagster_tests/described/test_faults.py`). Made by `python -m bench.lost_rows` with dlt
{{dlt}} and airbyte-cdk {AIRBYTE_VERSION}.

"""


def main() -> None:
    """Install, or write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--install", action="store_true", help="install airbyte-cdk and end")
    if parser.parse_args().install:
        subprocess.run([sys.executable, "-m", "venv", AIRBYTE], check=True)
        pip = AIRBYTE / "bin" / "pip"
        subprocess.run([pip, "install", "-q", f"airbyte-cdk=={AIRBYTE_VERSION}"], check=True)
        return
    os.environ.setdefault("SIGNALROOM_WORK_DIR", str(FOLDER / "work"))
    retries.FIRST_WAIT_SECONDS = 0.01
    text = INTRODUCTION.format(dlt=dlt.__version__) + report() + "\n"
    (REPORT / "lost-rows.md").write_text(text)


if __name__ == "__main__":
    main()
