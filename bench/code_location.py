"""What Dagster's own processes pay for this project: loading its definitions, and a tick of the
new-files sensor.

`python -m bench.code_location` measures CPU seconds in fresh processes, interleaved, and writes
docs/benchmarks/. The bucket of the sensor has 100,000 objects; its listing is invented, so what is
counted is our own work on it.
"""

import json
import resource
import shutil
import statistics
import sys
from pathlib import Path

from bench.measure import run_program
from bench.places import ROOT, WORK

REPEATS = 5
IMPORTS = "import dagster, dagster_dlt, dlt"
FROZEN = f"{IMPORTS}, gc; gc.freeze()"
LOAD = "from signalroom_dagster.definitions import defs; defs.get_repository_def()"
OBJECTS = 100_000
TICK = f"""
import json, sys, time
from datetime import UTC, datetime
import dagster as dg
from fsspec.implementations.local import LocalFileSystem
from signalroom_dagster.definitions import defs
from signalroom_dagster.defs.new_files import build_new_files_sensor
root = sys.argv[1]
moment = datetime(2026, 3, 1, tzinfo=UTC)
listing = {{}}
for n in range({OBJECTS}):
    path = f"{{root}}/orders-create/report_{{n:06}}.csv"
    listing[path] = {{"name": path, "size": 1000 + n, "ETag": f"{{n:032x}}"}}
    listing[path]["LastModified"] = moment
LocalFileSystem.find = lambda self, path, **_: listing
sensor = build_new_files_sensor("s3_exports")
with dg.DagsterInstance.ephemeral() as instance:
    def tick(cursor):
        context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs)
        return sensor(context)
    cursor = tick(None).cursor
    started = time.process_time()
    found = tick(cursor)
    seconds = time.process_time() - started
print(json.dumps({{"seconds": seconds, "cursor_bytes": len(found.cursor)}}))
"""
CLIENT = """
name = "Client {number}"
status = "active"
start_date = 2026-01-01
timezone = "America/New_York"
currency = "USD"
sources = [
  "s3_exports", "everflow", "redtrack", "posthog", "mautic", "google_sheets", "affiliate_mapping",
  {native}
]

[[reports]]
name = "daily"
template = "daily_performance"
schedule = "0 7 * * *"
slack = "#reporting"
"""
NATIVE = """
[sources.native_{number}]
dlt_source = "shop:source"
resources = ["orders", "customers", "visits"]
schedules = {{ daily = "0 6 * * *" }}
hints = {{ orders = {{ primary_key = "id", write_disposition = "merge" }} }}
"""


def main() -> None:
    """Measure, print, and write the report and its numbers."""
    few, many = project_of(2), project_of(500)
    fifty, native = project_of(50), project_of(50, native=100)
    samples: dict[str, list[float]] = {
        "imports": [],
        "imports, frozen": [],
        "2 clients": [],
        "500 clients": [],
        "50 clients": [],
        "50 clients, 100 dlt sources": [],
    }
    for _ in range(REPEATS):
        samples["imports"].append(cpu_of(IMPORTS, few))
        samples["imports, frozen"].append(cpu_of(FROZEN, few))
        samples["2 clients"].append(cpu_of(LOAD, few))
        samples["500 clients"].append(cpu_of(LOAD, many))
        samples["50 clients"].append(cpu_of(LOAD, fifty))
        samples["50 clients, 100 dlt sources"].append(cpu_of(LOAD, native))
    tick = tick_of()
    medians = {name: statistics.median(values) for name, values in samples.items()}
    stored = {"samples": samples, "medians": medians, "tick": tick, "objects": OBJECTS}
    folder = ROOT / "docs" / "benchmarks"
    (folder / "code-location.json").write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    text = report(medians, tick)
    (folder / "code-location.md").write_text(text, "utf-8")
    print(text)


def report(medians: dict[str, float], tick: dict[str, float]) -> str:
    """The numbers against their limits, as Markdown."""
    location = medians["2 clients"] / medians["imports"]
    growth = medians["500 clients"] / medians["2 clients"]
    native, fifty = medians["50 clients, 100 dlt sources"], medians["50 clients"]
    return f"""# What Dagster's processes pay for this project

`python -m bench.code_location`: CPU seconds of fresh processes,
medians of {REPEATS} interleaved runs.

| what | measured | limit |
|---|---|---|
| `import dagster, dagster_dlt, dlt` alone | {medians["imports"]:.2f} s | |
| the definitions, 2 clients | {medians["2 clients"]:.2f} s, {location:.2f} x imports | 1.3 x |
| loading it with 500 clients | {medians["500 clients"]:.2f} s, {growth:.2f} x that of 2 | 2 x |
| with 50 clients and 100 dlt sources | {native:.2f} s, {native / fifty:.2f} x without them | 2 x |
| a tick of the new-files sensor, {OBJECTS:,} objects (invented) | {tick["seconds"]:.2f} s | 1 s |
| its cursor | {tick["cursor_bytes"]:,.0f} bytes per client | 1,024 |

The definitions call `gc.freeze()` once everything is imported, so that neither a collection
nor the end of the process looks through the imports again. The imports alone with that call take
{medians["imports, frozen"]:.2f} s.
"""


def cpu_of(code: str, project: Path) -> float:
    """CPU seconds of a fresh interpreter that runs some code on a project."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_program(sys.executable, "-W", "ignore", "-c", code, SIGNALROOM_PROJECT_DIR=str(project))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def tick_of() -> dict[str, float]:
    """A second tick, when all is imported: CPU seconds and the size of the cursor."""
    project, bucket = project_of(1), WORK / "bucket"
    bucket.mkdir(parents=True, exist_ok=True)
    done = run_program(
        sys.executable,
        "-W",
        "ignore",
        "-c",
        TICK,
        bucket,
        SIGNALROOM_PROJECT_DIR=str(project),
        DESTINATION__DUCKDB__CREDENTIALS=str(WORK / "tick.duckdb"),
        SOURCES__S3_EXPORTS__CLIENTS__C000__BUCKET_URL=f"file://{bucket}",
        SOURCES__S3_EXPORTS__CLIENTS__C000__PREFIXES='["orders-create"]',
    )
    return json.loads(done.splitlines()[-1])


def project_of(clients: int, native: int = 0) -> Path:
    """A project with the committed settings, so many invented clients, and so many dlt sources
    that all of them use.
    """
    root = WORK / f"clients-{clients}-{native}"
    shutil.rmtree(root, ignore_errors=True)
    (root / ".dlt").mkdir(parents=True)
    shutil.copy(ROOT / ".dlt" / "config.toml", root / ".dlt")
    for number in range(clients):
        folder = root / "data" / "clients" / f"c{number:03}"
        folder.mkdir(parents=True)
        (folder / "client.toml").write_text(
            CLIENT.format(number=number, native=", ".join(f'"native_{n}"' for n in range(native)))
        )
    with (root / ".dlt" / "config.toml").open("a") as config:
        config.writelines(NATIVE.format(number=number) for number in range(native))
    return root


if __name__ == "__main__":
    main()
