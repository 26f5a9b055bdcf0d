"""The gateway's own figures and its store's, in Prometheus' format; others may be handed in.

Labels are clients, paths, states and outcomes: few, and nobody's data.

https://prometheus.io/docs/practices/naming/
"""

import logging
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from signalroom_dagster.events.stores.store import DeadLetter, Outcome, Received, Store, StoreError

log = logging.getLogger(__name__)

STORE_SECONDS = 15.0
"""How old the store's figures may be: counting its jobs costs more than a scrape is worth."""
SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

More = Callable[[], Iterable[Metric]]


class Metrics:
    """One gateway's figures."""

    def __init__(self, store: Store, more: More | None = None) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(StoreFigures(store))
        if more:
            self._registry.register(_Guarded(more))
        self.requests = Counter(
            "signalroom_gateway_requests",
            "Requests by what they asked for and how they were answered.",
            ("path", "status"),
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "signalroom_gateway_request_seconds",
            "From the request to its answer.",
            ("path",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self.commit_seconds = Histogram(
            "signalroom_gateway_commit_seconds",
            "How long the store took for a batch.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self.batch_events = Histogram(
            "signalroom_gateway_batch_events",
            "Events in a batch.",
            buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
            registry=self._registry,
        )
        self.waiting = Gauge(
            "signalroom_gateway_waiting_events",
            "Events that wait to be committed.",
            registry=self._registry,
        )
        self._events = Counter(
            "signalroom_gateway_events",
            "Events by tenant and by what became of them.",
            ("tenant", "outcome"),
            registry=self._registry,
        )

    def count_batch(
        self, events: Sequence[Received], outcomes: Sequence[Outcome], letters: Sequence[DeadLetter]
    ) -> None:
        """Count a committed batch."""
        self.batch_events.observe(len(events) + len(letters))
        tally = Tally(
            (event.tenant_id, str(outcome)) for event, outcome in zip(events, outcomes, strict=True)
        )
        tally.update(("", "dead_letter") for _ in letters)  # what they name may be anything
        for (tenant, outcome), count in tally.items():
            self._events.labels(tenant, outcome).inc(count)

    def text(self) -> bytes:
        """Everything, for a scrape. Asks the store: call it in a thread."""
        return generate_latest(self._registry)


class StoreFigures:
    """A collector of what stands where in the store, asked at most every 15 s."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: Sequence[Metric] = ()
        self._until = 0.0

    def collect(self) -> Iterable[Metric]:
        """The last known figures, and whether the store answered."""
        up = GaugeMetricFamily("signalroom_store_up", "Whether the events' store answers.")
        if time.monotonic() >= self._until:
            try:
                self._found = self._ask()
                self._until = time.monotonic() + STORE_SECONDS
            except StoreError as error:
                log.warning("%s", error)
                self._found, self._until = (), 0.0
        up.add_metric([], float(bool(self._found)))
        return [up, *self._found]

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry must not ask the store before it is there."""
        return []

    def _ask(self) -> Sequence[Metric]:
        jobs = GaugeMetricFamily(
            "signalroom_jobs",
            "Jobs by tenant and status; done: in the last hour.",
            labels=("tenant", "status"),
        )
        letters = GaugeMetricFamily(
            "signalroom_dead_letters", "Dead letters not replayed.", labels=("tenant",)
        )
        waiting = GaugeMetricFamily(
            "signalroom_unpublished_results", "Results to be published.", labels=("tenant",)
        )
        lag = GaugeMetricFamily(
            "signalroom_lag_seconds", "Age of the oldest job that is ready.", labels=("tenant",)
        )
        for tenant, found in self._store.stats().items():
            for status in ("open", "ready", "done", "failed", "expired"):
                jobs.add_metric([tenant, status], getattr(found, status))
            letters.add_metric([tenant], found.dead_letters)
            waiting.add_metric([tenant], found.unpublished)
            lag.add_metric([tenant], found.lag_seconds)
        return [jobs, letters, waiting, lag]


class _Guarded:
    """Figures of somebody else's: when they cannot be had, the gateway's own still can."""

    def __init__(self, more: More) -> None:
        self._more = more

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        try:
            return list(self._more())
        except (
            Exception
        ) as error:  # whoever's they are: a scrape of the gateway does not fail for them
            log.warning("figures for /metrics could not be had: %s", type(error).__name__)
            return []
