"""The results as Markdown. `python -m bench.report` writes report and chart again from the stored
JSON.
"""

from collections.abc import Iterator

from bench import chart
from bench.places import REPORT
from bench.results import Results, read_results
from bench.targets import TARGETS, cpu, original_scaled, rss, wall
from bench.variants import MANY, Variant, variants

FLOORS = {"postgres": "copy", "duckdb": "read_csv"}
EXTRA = {
    "default_into_3m": "one new file into 3.4 million rows",
    "default_into_empty": "the same file into the same tables, empty",
    "cold_dagster": "cold start: `dagster asset materialize`, one row, DuckDB",
    "cold_bare_dlt": "cold start: bare dlt script, one row, DuckDB",
}


def text(results: Results) -> str:
    """The whole report."""
    parts = [
        ["# Loading S3 exports", "", *_intro(results)],
        ["## Targets", "", *_targets(results)],
        ["## Postgres", "", *_table(results, "postgres")],
        ["## DuckDB", "", *_table(results, "duckdb")],
        ["## Single measurements", "", *_extra(results)],
        ["## How it is measured", "", METHOD],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _intro(results: Results) -> Iterator[str]:
    about = results.machine
    libraries = ", ".join(f"{name} {number}" for name, number in about["libraries"].items())
    yield (
        f"{about['date']}; {about['cores']} cores shared by client and database,"
        f" {about['memory_gb']} GB, {about['system']}, Python {about['python']}, Postgres"
        f" {about['postgres']} on loopback, {libraries}; load average at the start"
        f" {about['load_average_at_start']}."
    )
    yield ""
    yield f"A file: {about['files']}. Medians of the runs made; made with `make bench`."
    yield ""
    yield "![Seconds per variant](s3-load.png)"


def _targets(results: Results) -> Iterator[str]:
    yield "| target | limit | measured | runs | met |"
    yield "|---|---|---|---|---|"
    for target in TARGETS:
        value = target.read(results)
        limit = f"{'≥' if target.at_least else '≤'} {target.limit:g} {target.unit}"
        found = "" if value is None else f"{value:.{1 if abs(value) >= 10 else 2}f} {target.unit}"
        yield (
            f"| {target.what} | {limit} | {found} | {target.runs(results)} |"
            f" {target.verdict(results)} |"
        )


def _table(results: Results, engine: str) -> Iterator[str]:
    yield "| files | | runs | wall s | x floor | CPU s | x floor | memory added MB |"
    yield "|---|---|---|---|---|---|---|---|"
    shown = [variant for variant in variants() if variant.engine == engine]
    counts = sorted(
        {sample.files for sample in results.samples if sample.variant in {one.key for one in shown}}
    )
    for files in counts:
        for variant in shown:
            if results.of(variant.key, files):
                yield _row(results, variant, files)
        if files == MANY and engine == "postgres" and (scaled := original_scaled(results)):
            scaled_cpu = original_scaled(results, cpu) or 0.0
            cells = (
                f"{scaled:.0f}",
                _times(scaled, results, "copy", files, wall),
                f"{scaled_cpu:.0f}",
                _times(scaled_cpu, results, "copy", files, cpu),
            )
            yield (
                f"| {files} | original design, **scaled linearly**, not run | 0 |"
                f" {' | '.join(cells)} | |"
            )
    for variant in shown:
        if why := results.skipped.get(variant.key):
            yield f"| | {variant.label}: {why} | 0 | | | | | |"


def _row(results: Results, variant: Variant, files: int) -> str:
    floor = FLOORS[variant.engine]
    seconds, used = (results.median(variant.key, files, what) or 0.0 for what in (wall, cpu))
    memory = (
        f"{results.median(variant.key, files, rss) or 0.0:.0f}"
        if variant.in_process
        else "not measured"
    )
    between = results.spread(variant.key, files, wall)
    span = f" ({between[0]:.2f}-{between[1]:.2f})" if between else ""
    return (
        f"| {files} | {variant.label} | {len(results.of(variant.key, files))} | {seconds:.2f}{span}"
        f" | {_times(seconds, results, floor, files, wall)} | {used:.2f} |"
        f" {_times(used, results, floor, files, cpu)} | {memory} |"
    )


def _times(value: float, results: Results, floor: str, files: int, what: object) -> str:
    base = results.median(floor, files, what)  # type: ignore[arg-type]
    return f"{value / base:.1f}" if base else ""


def _extra(results: Results) -> Iterator[str]:
    yield "| | runs | wall s | CPU s |"
    yield "|---|---|---|---|"
    for key, label in EXTRA.items():
        if runs := results.of(key, 1):
            yield (
                f"| {label} | {len(runs)} | {results.median(key, 1, wall):.2f} |"
                f" {results.median(key, 1, cpu):.2f} |"
            )
        else:
            yield f"| {label}: {results.skipped.get(key, 'not run')} | 0 | | |"


METHOD = """\
Every run is a child forked from one warm process, so imports are not counted (they are in the cold
starts and for
sling and ingestr, which are programs). It loads into a database of its own that is dropped
afterwards; the order is
shuffled in each repetition, and the rows are counted after each run. CPU is user and system time
of the client and of
all Postgres processes during the run; in brackets the least and the most of several runs. A
target's runs are those
of the least often run variant it rests on. Memory is the child's peak beyond what it was born
with. Postgres runs with
fsync on, 512 MB of shared buffers and autovacuum off.

SignalRoom's runs include tags, index, ledger and the creation of its tables; the floors have none
of these. They use
as many connections as the project configures, COPY uses one: CPU compares like with like, wall
also shows the second
core. Files are read from the local disk, 16 distinct ones under as many names as needed, all in
the page cache: there
is no network in these numbers. The original design's 182 files are its time per file at 2 files,
times 182."""


if __name__ == "__main__":
    stored = read_results(REPORT / "s3-load.json")
    (REPORT / "s3-load.md").write_text(text(stored), "utf-8")
    chart.draw(stored, REPORT / "s3-load.png")
