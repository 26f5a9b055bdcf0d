"""Measures the load of S3 exports into Postgres and DuckDB and writes
`docs/benchmarks/s3-load.{md,json,png}`.

    .venv/bin/python -m bench.s3_load            everything, at most 12 minutes .venv/bin/python -m
    bench.s3_load --quick    1 and 4 files, at most 90 seconds, written to .bench/report
    .venv/bin/python -m bench.s3_load --only 16  one round of one file count, likewise

Loopback only. Databases and scratch files are removed at the end; the generated input files stay in
`.bench/files`.
"""

import argparse
import importlib
import random
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from bench import chart, cold_start, data, databases, loads, machine, report
from bench.measure import MeasuredFailureError, in_child, measured
from bench.places import FOLDER, REPORT, WORK
from bench.results import Results
from bench.targets import wall
from bench.variants import MANY, Variant, variants
from signalroom_dagster_tests.postgres import PostgresServer

LONGEST_SECONDS = 690.0  # what would end later is left out
QUICK_SECONDS = 60.0
QUICK_FILES = (1, 4)
REPEATED_FIRST = (
    (("copy", "keep_all", "default"), (16,)),
    (("copy", "keep_all", "default"), (1,)),
    (("read_csv", "duckdb_keep_all"), (16,)),
    (("copy", "keep_all", "default"), (4,)),
    (("read_csv", "duckdb_keep_all", "duckdb_default"), (1, 4)),
)
"""What the time that is left goes to, in this order: the comparisons that targets rest on come
first.
"""
QUICK_LEAVES_OUT = ("original", "sling", "ingestr", "pandas")


@dataclass(slots=True)
class Bench:
    """One benchmark under way."""

    server: PostgresServer
    results: Results
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long the benchmark has been running."""
        return time.monotonic() - self.started

    def round_of(
        self, chosen: list[Variant], files: Sequence[int], number: int, until: float
    ) -> None:
        """One repetition of everything that still wants one, in an order of its own.

        The first goes as far as the time allows. A later one is made whole or not at all: what is
        compared with each other must have been run equally often, in the same minutes.
        """
        cells = [(one, n) for one in chosen for n in files if one.repetitions.get(n, 0) > number]
        if number and self.seconds + sum(self.expected(one, n) for one, n in cells) > until:
            return
        random.Random(number).shuffle(cells)
        for variant, count in cells:
            if number or self.seconds < until:
                self.run(variant, count)
            elif not self.results.of(variant.key, count):
                self.results.skipped[variant.key] = f"no time left for {count} files"

    def expected(self, variant: Variant, files: int) -> float:
        """Seconds that a further run will take, the database's making and dropping included."""
        return (self.results.median(variant.key, files, wall) or 0.0) * 1.2 + 1.0

    def run(self, variant: Variant, files: int) -> None:
        """Load so many files once into a new database."""
        if variant.missing:
            self.results.skipped[variant.key] = variant.missing
            return
        bucket = data.bucket("measured", files)
        with databases.fresh(variant.engine, self.server) as database:
            self.load(variant, files, bucket, database, files * data.ROWS)

    def load(
        self,
        variant: Variant,
        files: int,
        bucket: Path,
        database: str,
        expected: int,
        suffix: str = "",
    ) -> None:
        """Load a bucket into a database, count its rows afterwards, and keep what it took."""
        name = variant.key + suffix
        try:
            on = self.server if variant.engine == "postgres" else None
            cost = measured(partial(variant.load, bucket, database), on)
        except MeasuredFailureError as error:
            print(f"{name}: {error}", file=sys.stderr)
            self.results.skipped[name] = (
                f"failed at {files} files: {str(error).splitlines()[-1].split(':')[0]}"
            )
            return
        rows = databases.count_rows(database)
        if rows != expected:
            self.results.skipped[name] = f"{rows:,} rows instead of {expected:,}"
            return
        self.results.add(name, files, cost, rows)
        print(
            f"{name:24} {files:4} files  wall {cost.wall:7.2f}  CPU {cost.cpu:7.2f} "
            f" +{cost.rss:.0f} MB",
            flush=True,
        )


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1 and 4 files only")
    parser.add_argument("--only", metavar="FILES", type=int, help="one round of one file count")
    chosen = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _leave)
    try:
        with FileLock(FOLDER / "lock", timeout=0):
            bench = run(chosen.only, quickly=chosen.quick)
    except Timeout:
        sys.exit("another benchmark is running: each would measure the other")
    write(bench.results, FOLDER / "report" if chosen.quick or chosen.only else REPORT)
    print(f"took {bench.seconds:.0f} s")


def run(only: int | None, *, quickly: bool) -> Bench:
    """Everything, or the part that was asked for; leaves the generated files behind and nothing
    else.
    """
    try:
        with databases.postgres_server() as server:
            bench = Bench(
                server, Results(machine.described(databases.server_version(server), data.shape()))
            )
            if only:
                one_count(bench, only)
            elif quickly:
                quick(bench)
            else:
                full(bench)
            return bench
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
        shutil.rmtree(FOLDER / "buckets", ignore_errors=True)


def full(bench: Bench) -> None:
    """Every variant once, then what is too long to repeat, then repetitions while there is time."""
    everything = variants()
    import_what_loads_import(bench.server, everything)
    sizes = sorted({n for variant in everything for n in variant.repetitions})
    bench.round_of(everything, sizes, 0, LONGEST_SECONDS)
    many_files(bench)
    cold_starts(bench)
    for keys, files in REPEATED_FIRST:
        group = [variant for variant in everything if variant.key in keys]
        for number in range(1, most_repetitions(group)):
            bench.round_of(group, files, number, LONGEST_SECONDS)


def quick(bench: Bench) -> None:
    """1 and 4 files of the variants that matter while the loader is being changed."""
    wanted = [variant for variant in variants() if variant.key not in QUICK_LEAVES_OUT]
    import_what_loads_import(bench.server, wanted)
    for number in range(most_repetitions(wanted)):
        for files in QUICK_FILES:
            bench.round_of(wanted, [files], number, QUICK_SECONDS)


def one_count(bench: Bench, files: int) -> None:
    """One round of one number of files."""
    wanted = [variant for variant in variants() if files in variant.repetitions]
    import_what_loads_import(bench.server, wanted)
    bench.round_of(wanted, [files], 0, LONGEST_SECONDS)


def most_repetitions(chosen: list[Variant]) -> int:
    """How many rounds it takes until no variant wants another."""
    return max(n for variant in chosen for n in variant.repetitions.values())


def many_files(bench: Bench) -> None:
    """182 files once, then one new file into that table, and the same file into tables that are
    there but empty.
    """
    by_key = {variant.key: variant for variant in variants()}
    loaded, one = by_key["default"], data.ROWS
    with databases.fresh("postgres", bench.server) as database:
        in_child(partial(loads.signalroom, data.bucket("measured", 0), database))
        bench.load(loaded, 1, data.bucket("measured", 1, offset=MANY), database, one, "_into_empty")
    for key in ("copy", "default"):
        needed = (bench.results.median(key, 16, wall) or 0.0) / 16 * MANY
        if bench.seconds + needed > LONGEST_SECONDS:
            bench.results.skipped[f"{key} at {MANY} files"] = (
                f"would have taken about {needed:.0f} s"
            )
            return
        with databases.fresh("postgres", bench.server) as database:
            bench.load(by_key[key], MANY, data.bucket("measured", MANY), database, MANY * one)
            if key == "default":
                bench.load(
                    loaded,
                    1,
                    data.bucket("measured", MANY + 1),
                    database,
                    (MANY + 1) * one,
                    "_into_3m",
                )


def cold_starts(bench: Bench, repetitions: int = 2) -> None:
    """Dagster and bare dlt in turn."""
    if why := cold_start.missing():
        bench.results.skipped["cold_dagster"] = why
        return
    for _ in range(repetitions):
        for way in ("bare_dlt", "dagster"):
            try:
                cost = cold_start.run(way)
            except MeasuredFailureError as error:
                print(f"cold start, {way}: {error}", file=sys.stderr)
                bench.results.skipped[f"cold_{way}"] = "failed"
                return
            bench.results.add(f"cold_{way}", 1, cost, 1)
            print(f"cold start, {way}: CPU {cost.cpu:.2f}", flush=True)


def import_what_loads_import(server: PostgresServer, chosen: list[Variant]) -> None:
    """Import here, without running any of it, every module that the loads import: their children
    find them there.
    """
    bucket = data.one_row_bucket()
    for variant in chosen:
        if variant.in_process:
            with databases.fresh(variant.engine, server) as database:
                for name in in_child(partial(_modules_after, variant, bucket, database)):
                    _import_quietly(name)


def _modules_after(variant: Variant, bucket: Path, database: str) -> list[str]:
    variant.load(bucket, database)
    return [name for name, module in sys.modules.items() if getattr(module, "__spec__", None)]


def _import_quietly(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception:  # made up while running, not a file: the children will do the same
        return


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)  # by way of every `finally`, so that the databases go, too


def write(results: Results, folder: Path) -> None:
    """The three files of the report."""
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder / "s3-load.json")
    (folder / "s3-load.md").write_text(report.text(results), "utf-8")
    chart.draw(results, folder / "s3-load.png")
    print(report.text(results))


if __name__ == "__main__":
    main()
