"""How every client's sources stand, as Prometheus' metrics: rows, age, open incidents, and what
runs took.

Labels are clients and sources: few, and nobody's data. https://prometheus.io/docs/practices/naming/
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from prometheus_client.core import GaugeMetricFamily, Metric

from signalroom_dagster.alerts import telling
from signalroom_dagster.freshness.status import Standing, standing
from signalroom_dagster.triggers import DagsterUnreachableError, FinishedRun, finished_runs
from signalroom_dagster.warehouse.errors import DestinationUnreachableError, LoadError

log = logging.getLogger(__name__)

KEPT_SECONDS = 60.0
"""How old figures may be: asking the warehouse costs more than a scrape is worth."""
LOCK_SECONDS = 2.0
BY_SOURCE = ("client", "source")


class SourceFigures:
    """Asked for at each scrape, answers from the last minute's look."""

    def __init__(self) -> None:
        self._found: Sequence[Metric] = ()
        self._until = 0.0

    def __call__(self) -> Sequence[Metric]:
        """The figures; of a warehouse or a Dagster that does not answer only that it does not."""
        if time.monotonic() >= self._until:
            self._found = [*_of_sources(), *_of_incidents(), *_of_runs()]
            self._until = time.monotonic() + KEPT_SECONDS
        return self._found


def _of_sources() -> Iterator[Metric]:
    try:
        found = standing(LOCK_SECONDS)
    except (DestinationUnreachableError, LoadError) as error:
        log.warning("no figures of the warehouse: %s", error)
        yield GaugeMetricFamily("signalroom_warehouse_up", "Whether the warehouse answers.", 0)
        return
    yield GaugeMetricFamily("signalroom_warehouse_up", "Whether the warehouse answers.", 1)
    rows = GaugeMetricFamily("signalroom_source_rows", "Rows read, in all.", labels=BY_SOURCE)
    loaded = GaugeMetricFamily(
        "signalroom_source_last_load_seconds", "When it was last loaded.", labels=BY_SOURCE
    )
    age = GaugeMetricFamily(
        "signalroom_source_lag_seconds", "Age of the oldest table's data.", labels=BY_SOURCE
    )
    stale = GaugeMetricFamily(
        "signalroom_source_stale", "Whether that is more than fresh_within.", labels=BY_SOURCE
    )
    now = datetime.now(UTC)
    for item in found:
        labels = _labels(item)
        rows.add_metric(labels, item.loaded.rows)
        if item.loaded.loaded_at:
            loaded.add_metric(labels, item.loaded.loaded_at.timestamp())
        if item.age:
            age.add_metric(labels, (now - item.age.covered).total_seconds())
            stale.add_metric(labels, float(item.age.is_stale(now)))
    yield from (rows, loaded, age, stale)


def _labels(item: Standing) -> Sequence[str]:
    return (item.loaded.client.id, item.loaded.source)


def _of_incidents() -> Iterator[Metric]:
    """What is broken; `subject` is a source, a table, a report or a check."""
    labels = ("client", "kind", "subject")
    failures = GaugeMetricFamily(
        "signalroom_open_incident_failures", "Failures of open incidents.", labels=labels
    )
    for incident in telling.open_incidents():
        failures.add_metric((incident.client, incident.kind, incident.subject), incident.failures)
    yield failures


def _of_runs() -> Iterator[Metric]:
    try:
        runs = finished_runs()
    except DagsterUnreachableError as error:
        log.warning("no figures of runs: %s", error)
        yield GaugeMetricFamily("signalroom_dagster_up", "Whether Dagster's webserver answers.", 0)
        return
    yield GaugeMetricFamily("signalroom_dagster_up", "Whether Dagster's webserver answers.", 1)
    yield from _of_finished(runs)


def _of_finished(runs: Iterable[FinishedRun]) -> Iterator[Metric]:
    """Of the latest runs, newest first: how long each job's last one took, and how many ended
    how.
    """
    labels = ("client", "job")
    seconds = GaugeMetricFamily(
        "signalroom_last_run_seconds", "How long the last run took.", labels=labels
    )
    ended = GaugeMetricFamily(
        "signalroom_recent_runs", "The latest runs by how they ended.", labels=(*labels, "status")
    )
    counts: dict[tuple[str, str, str], int] = {}
    last: dict[tuple[str, str], float] = {}
    for run in runs:
        last.setdefault((run.client, run.job), run.seconds)
        key = (run.client, run.job, run.status.lower())
        counts[key] = counts.get(key, 0) + 1
    for place, took in last.items():
        seconds.add_metric(place, took)
    for place, count in counts.items():
        ended.add_metric(place, count)
    yield from (seconds, ended)
