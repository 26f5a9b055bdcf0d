"""The Dagster that a module runs, ready for each of its tests."""

import pytest

from signalroom_dagster_tests.running.agency import Running


@pytest.fixture
def running(_running: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A running Dagster, and its settings in this process."""
    for name, value in _running.project.environment.items():
        monkeypatch.setenv(name, value)
    _running.dev.start()
    return _running
