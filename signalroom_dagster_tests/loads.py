"""Loading a source and asking the warehouse, in a test's own process."""

import itertools
from datetime import date
from typing import Any

from signalroom_dagster.loading.pipelines import run_load
from signalroom_dagster.loading.spans import Span
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.warehouse import access

_runs = itertools.count(1)


def load(
    source: str,
    client_id: str = "713",
    *resources: str,
    run_id: str | None = None,
    since: date | None = None,
    until: date | None = None,
    lookback_days: int | None = None,
) -> str:
    """One attempt at loading a source, as a run of its own; the run's id."""
    run_id = run_id or f"run-{next(_runs)}"
    run_load(source, get_client(client_id), run_id, resources, Span(since, until, lookback_days))
    return run_id


def ask(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows that a statement returns."""
    with access.exclusive(), access.connected() as query:
        return [tuple(row) for row in query(sql, *parameters)]
