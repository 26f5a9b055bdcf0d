"""The report of the events' benchmark in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

STORES = {
    "postgres": "Postgres, results in the drain's transaction",
    "sqlite": "SQLite, results published to DuckDB",
}


def text(about: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    return "\n".join(_lines(about, runs)) + "\n"


def _lines(about: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "# Events, from the sender to the result"
    yield ""
    yield (
        f"{about['date']}; {about['cores']} cores shared by generator, gateway, consumer and"
        f" database, Python {about['python']}, Postgres {about['postgres']}, load average"
        f" {about['load_average_at_start']} before. Jobs of three events, 5 % sent twice, in"
        " disorder. Made with `python -m bench.events`."
    )
    for run in runs:
        yield from _run(run)


def _run(run: Mapping[str, Any]) -> Iterator[str]:
    is_steady = run["kind"] == "steady"
    rate = run["sent"] / run["seconds"]
    yield ""
    yield f"## {STORES[run['store']]}: {'a steady load' if is_steady else 'as fast as it goes'}"
    yield ""
    yield "| what | limit | measured |"
    yield "|---|---|---|"
    yield f"| messages in {run['seconds']:.0f} s | | {run['sent']:,} ({rate:,.0f}/s) |"
    if not is_steady:
        yield f"| until the last result: events a second | ≥ 3,000 | {run['sustained']:,.0f} |"
    limits = ("p99 < 250 ms", "p99 < 5 s") if is_steady else ("", "")
    yield f"| answer p50 / p99 | {limits[0]} | {_ms(run['ack_p50'])} / {_ms(run['ack_p99'])} |"
    yield (
        f"| last event to result p50 / p99 | {limits[1]} | {run['result_p50']:.2f} s /"
        f" {run['result_p99']:.2f} s |"
    )
    yield (
        f"| acknowledged events that are not stored | 0 | {run['missing_events']:,} of"
        f" {run['events']:,} |"
    )
    yield (
        f"| complete jobs without a result | 0 | {run['missing_results']:,} of"
        f" {run['complete_jobs']:,} |"
    )
    yield (
        "| answers | 204 |"
        f" {', '.join(f'{answer}: {count:,}' for answer, count in run['answers'].items())} |"
    )
    busy = sorted(run["cores"].items(), key=lambda item: -item[1])
    yield f"| cores used | | {', '.join(f'{name} {cores:.2f}' for name, cores in busy)} |"
    if not is_steady:
        yield f"| busiest process | | {busy[0][0]}, {busy[0][1]:.2f} of a core |"
    for name, megabytes in run["rss_mb"].items():
        yield (
            f"| memory of the {name}, MB: at 10 %, half, end, highest | flat |"
            f" {_over_time(megabytes)} |"
        )


def _over_time(megabytes: Sequence[float]) -> str:
    at = [megabytes[int(share * (len(megabytes) - 1))] for share in (0.1, 0.5, 1.0)]
    return " / ".join(f"{figure:.0f}" for figure in (*at, max(megabytes)))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
