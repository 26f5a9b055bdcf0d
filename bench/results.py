"""What was measured: one sample per run, stored as JSON beside the report, read through medians."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of one variant; `rows` were counted in the database afterwards."""

    variant: str
    files: int
    wall: float
    client_cpu: float
    server_cpu: float
    rss: float
    rows: int

    @property
    def cpu(self) -> float:
        """CPU seconds of the client and the database together."""
        return self.client_cpu + self.server_cpu


@dataclass(slots=True)
class Results:
    """All samples of one benchmark, where it ran, and what was left out and why."""

    machine: dict[str, Any]
    samples: list[Sample] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, variant: str, files: int, cost: Cost, rows: int) -> None:
        """Keep one run."""
        rounded = {name: round(value, 3) for name, value in asdict(cost).items()}
        self.samples.append(Sample(variant=variant, files=files, rows=rows, **rounded))

    def of(self, variant: str, files: int) -> list[Sample]:
        """The runs of one variant at one number of files."""
        return [
            sample for sample in self.samples if (sample.variant, sample.files) == (variant, files)
        ]

    def median(self, variant: str, files: int, what: Callable[[Sample], float]) -> float | None:
        """The median over the runs of one variant, None where it was not run."""
        found = self.of(variant, files)
        return median(what(sample) for sample in found) if found else None

    def spread(
        self, variant: str, files: int, what: Callable[[Sample], float]
    ) -> tuple[float, float] | None:
        """The least and the most over the runs of one variant, None where there are not two."""
        found = [what(sample) for sample in self.of(variant, files)]
        return (min(found), max(found)) if len(found) > 1 else None

    def write(self, path: Path) -> None:
        """Store everything."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")


def read_results(path: Path) -> Results:
    """What an earlier run has stored."""
    stored = json.loads(path.read_text("utf-8"))
    return Results(
        stored["machine"], [Sample(**sample) for sample in stored["samples"]], stored["skipped"]
    )
