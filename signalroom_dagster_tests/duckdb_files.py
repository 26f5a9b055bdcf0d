"""DuckDB takes 30 ms of processor time to open a file, more than most steps of a test take."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from signalroom_dagster_tests.projects import Project


@contextmanager
def warehouse_kept_open(project: Project, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Once a test has opened its warehouse, keep it open until the test ends.

    Not while the project is shared: DuckDB lets nobody in as long as one process has the file open,
    and a test of several processes would fail at once.
    """
    connect = duckdb.connect
    kept: list[duckdb.DuckDBPyConnection] = []

    def connect_and_keep(database: str = ":memory:", **options: Any) -> duckdb.DuckDBPyConnection:
        if Path(database).is_relative_to(project.root) and not kept and not project.shared:
            kept.append(
                connect(database, **options)
            )  # a duplicate of the other would not keep the file open
        return connect(database, **options)

    def let_go() -> None:
        while kept:
            kept.pop().close()

    monkeypatch.setattr(duckdb, "connect", connect_and_keep)
    project.when_shared = let_go
    yield
    let_go()
