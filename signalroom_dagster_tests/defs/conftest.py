"""What the tests of Dagster's own nouns share."""

from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of its own for each test, in memory: its SQLite files would cost more than the loads."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made
