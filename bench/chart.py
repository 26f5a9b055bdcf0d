"""One picture: how long the largest common load takes each way, per engine, as bars against the
floor.
"""

from pathlib import Path

from bench.results import Results
from bench.targets import wall
from bench.variants import Variant, variants

COLOURS = {True: "#2f6f9f", False: "#b8b8b8"}


def draw(results: Results, path: Path) -> None:
    """Write the chart as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    for panel, (engine, title) in zip(
        panels, (("postgres", "Postgres"), ("duckdb", "DuckDB")), strict=True
    ):
        bars = _bars(results, engine)
        names = [_name(variant, files) for variant, files, _ in bars]
        colours = [COLOURS["SignalRoom" in variant.label] for variant, _, _ in bars]
        drawn = panel.barh(names, [seconds for _, _, seconds in bars], color=colours)
        panel.bar_label(drawn, fmt="%.2f", padding=3, fontsize=8)
        panel.set(title=f"{title}: seconds per file", xlabel="seconds")
        panel.margins(x=0.15)
        panel.invert_yaxis()
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _bars(results: Results, engine: str) -> list[tuple[Variant, int, float]]:
    """Each variant at the most files it was run with, as seconds per file."""
    found: list[tuple[Variant, int, float]] = []
    for variant in (one for one in variants() if one.engine == engine):
        counts = [files for files in variant.repetitions if results.of(variant.key, files)]
        if counts:
            files = max(counts)
            found.append(
                (variant, files, (results.median(variant.key, files, wall) or 0.0) / files)
            )
    return found


def _name(variant: Variant, files: int) -> str:
    label = variant.label.replace("**", "").partition(":")[0]
    return f"{label}\n({files} file{'s' if files > 1 else ''})"
