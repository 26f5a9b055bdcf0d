"""What the tests of Dagster's own nouns share."""

from collections.abc import Iterator

import dagster as dg
import pytest

from signalroom_dagster import retries


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of its own for each test, in memory: its SQLite files would cost more than the loads.

    What is tried again is so without the waits, which are a matter of `retries` and its tests.
    """
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.01)
    with dg.DagsterInstance.ephemeral() as made:
        yield made
