"""What the load has to achieve, as numbers: each target with its limit and how it is read from the results."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.results import Results, Sample
from bench.variants import MANY

Reading = Callable[[Results], float | None]


@dataclass(frozen=True, slots=True)
class Target:
    """One promise: `read` gives the number, which must not pass `limit` (or, where `at_least`, must reach it)."""

    what: str
    limit: float
    unit: str
    read: Reading
    at_least: bool = False

    def verdict(self, results: Results) -> str:
        """`yes`, `no`, or that it was not measured."""
        if (value := self.read(results)) is None:
            return "not measured"
        return "yes" if (value >= self.limit if self.at_least else value <= self.limit) else "**no**"


def wall(sample: Sample) -> float:
    """Seconds on the clock."""
    return sample.wall


def cpu(sample: Sample) -> float:
    """CPU seconds of client and database."""
    return sample.cpu


def rss(sample: Sample) -> float:
    """Megabytes of peak memory added."""
    return sample.rss


def original_scaled(results: Results, what: Callable[[Sample], float] = wall) -> float | None:
    """What the original design would take for 182 files: its time per file at the most files it was run with."""
    for files in (2, 1):
        if (value := results.median("original", files, what)) is not None:
            return value / files * MANY
    return None


def _ratio(variant: str, base: str, files: int, what: Callable[[Sample], float]) -> Reading:
    return lambda results: _divide(results.median(variant, files, what), results.median(base, files, what))


def _divide(value: float | None, by: float | None) -> float | None:
    return None if value is None or not by else value / by


def _seconds_over_copy(results: Results) -> float | None:
    ours, floor = results.median("default", 1, wall), results.median("copy", 1, wall)
    return None if ours is None or floor is None else ours - floor


TARGETS = (
    Target("16 files, all columns kept: wall against COPY", 1.5, "x", _ratio("keep_all", "copy", 16, wall)),
    Target("16 files, all columns kept: CPU against COPY", 2.0, "x", _ratio("keep_all", "copy", 16, cpu)),
    Target("16 files, default policy: wall against COPY", 2.0, "x", _ratio("default", "copy", 16, wall)),
    Target("16 files, default policy: CPU against COPY", 3.0, "x", _ratio("default", "copy", 16, cpu)),
    Target("1 file, default policy: wall beyond COPY", 1.0, "s", _seconds_over_copy),
    Target(
        f"{MANY} files, default policy: times faster than the original design (scaled)", 20.0, "x",
        lambda results: _divide(original_scaled(results), results.median("default", MANY, wall)), at_least=True,
    ),
    Target("16 files, default policy: memory added", 150.0, "MB", lambda results: results.median("default", 16, rss)),
    Target(f"{MANY} files: memory added", 150.0, "MB", lambda results: results.median("default", MANY, rss)),
    Target(
        f"memory added at {MANY} files against 16", 1.25, "x",
        lambda results: _divide(results.median("default", MANY, rss), results.median("default", 16, rss)),
    ),
    Target(
        "one new file: wall into 3.4 million rows against into an empty table", 2.0, "x",
        lambda results: _divide(
            results.median("default_into_3m", 1, wall), results.median("default_into_empty", 1, wall)
        ),
    ),
    Target("DuckDB, 16 files, all columns kept: wall against read_csv", 1.5, "x",
           _ratio("duckdb_keep_all", "read_csv", 16, wall)),
    Target("cold start: CPU of `dagster asset materialize` against bare dlt", 2.7, "x",
           _ratio("cold_dagster", "cold_bare_dlt", 1, cpu)),
)  # fmt: skip
