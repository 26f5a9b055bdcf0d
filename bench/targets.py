"""What the load has to achieve, as numbers: each target with its limit and how it is read from the
results.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bench.results import Results, Sample
from bench.variants import MANY

NOISE = 0.15
"""How far from its limit a ratio of too few runs must be to count: single runs here differ by more
than this.
"""
ENOUGH_RUNS = 3

Reading = Callable[[Results], float | None]
Cell = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Target:
    """One promise: `read` gives the number, which must not pass `limit` (or, where `at_least`, must
    reach it).

    `cells` are the variants and file counts that it is read from: how often they were run says how
    far to trust it.
    """

    what: str
    limit: float
    unit: str
    read: Reading
    cells: tuple[Cell, ...]
    at_least: bool = False

    def verdict(self, results: Results) -> str:
        """`yes`, `no`, that it was not measured, or that a single run decides nothing so near the
        limit.
        """
        if (value := self.read(results)) is None:
            return "not measured"
        met = "yes" if (value >= self.limit if self.at_least else value <= self.limit) else "**no**"
        near = abs(value / self.limit - 1) < NOISE and self.runs(results) < ENOUGH_RUNS
        return f"{met}, but within the noise" if near else met

    def runs(self, results: Results) -> int:
        """How often the least often run of its cells was run."""
        return min(len(results.of(*cell)) for cell in self.cells)


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
    """What the original design would take for 182 files: its time per file at the most files it was
    run with.
    """
    for files in (2, 1):
        if (value := results.median("original", files, what)) is not None:
            return value / files * MANY
    return None


def _divide(value: float | None, by: float | None) -> float | None:
    return None if value is None or not by else value / by


def _seconds_over_copy(results: Results) -> float | None:
    ours, floor = results.median("default", 1, wall), results.median("copy", 1, wall)
    return None if ours is None or floor is None else ours - floor


def _against(
    what: str, limit: float, variant: Cell, base: Cell, how: Callable[[Sample], float]
) -> Target:
    """A variant in relation to another."""
    return Target(
        what,
        limit,
        "x",
        lambda results: _divide(results.median(*variant, how), results.median(*base, how)),
        (variant, base),
    )


def _memory(files: int) -> Target:
    return Target(
        f"{files} files, default policy: memory added",
        150.0,
        "MB",
        lambda results: results.median("default", files, rss),
        (("default", files),),
    )


COPY_16, DEFAULT_16, DEFAULT_MANY = ("copy", 16), ("default", 16), ("default", MANY)

TARGETS = (
    _against("16 files, all columns kept: wall against COPY", 1.5, ("keep_all", 16), COPY_16, wall),
    _against("16 files, all columns kept: CPU against COPY", 2.0, ("keep_all", 16), COPY_16, cpu),
    _against("16 files, default policy: wall against COPY", 2.0, DEFAULT_16, COPY_16, wall),
    _against("16 files, default policy: CPU against COPY", 3.0, DEFAULT_16, COPY_16, cpu),
    Target(
        "1 file, default policy: wall beyond COPY",
        1.0,
        "s",
        _seconds_over_copy,
        (("default", 1), ("copy", 1)),
    ),
    Target(
        f"{MANY} files, default policy: times faster than the original design (scaled)",
        20.0,
        "x",
        lambda results: _divide(original_scaled(results), results.median(*DEFAULT_MANY, wall)),
        (DEFAULT_MANY,),
        at_least=True,
    ),
    _memory(16),
    _memory(MANY),
    _against(f"memory added at {MANY} files against 16", 1.25, DEFAULT_MANY, DEFAULT_16, rss),
    _against(
        "one new file: wall into 3.4 million rows against into an empty table",
        2.0,
        ("default_into_3m", 1),
        ("default_into_empty", 1),
        wall,
    ),
    _against(
        "DuckDB, 16 files, all columns kept: wall against read_csv",
        1.5,
        ("duckdb_keep_all", 16),
        ("read_csv", 16),
        wall,
    ),
    _against(
        "cold start: CPU of `dagster asset materialize` against bare dlt",
        2.7,
        ("cold_dagster", 1),
        ("cold_bare_dlt", 1),
        cpu,
    ),
)
