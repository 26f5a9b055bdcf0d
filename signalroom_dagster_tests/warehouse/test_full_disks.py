"""Disks that are full, folders that may not be written, files that are no database: told in words,
nothing is lost.
"""

import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.loading.files import FileLane
from signalroom_dagster.retries import root_error
from signalroom_dagster.warehouse.errors import LoadError
from signalroom_dagster.warehouse.postgres import connect, explain
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project, orders, write_export

FILES, ROWS = 3, 200
COUNTED = "SELECT count(*), count(DISTINCT orders_id) FROM s3_exports.orders_create"


@contextmanager
def no_file_above(size: int) -> Generator[None]:
    """As on a disk that is full: the operating system refuses every write past so many bytes of a
    file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def on_a_full_disk(_lane: FileLane, _number: int, _what: str) -> Path:
    return Path("/dev/full")


@pytest.fixture
def bucket(any_warehouse: Project) -> Path:
    bucket = any_warehouse.add_client("713")
    for number in range(FILES):
        ids = range(number * ROWS, (number + 1) * ROWS)
        write_export(bucket / f"orders-create/report_2026-03-0{number + 1}.csv", orders(ids))
    return bucket


@pytest.mark.usefixtures("bucket")
def test_a_full_scratch_folder_is_named_with_client_and_source_and_loses_no_row(
    any_warehouse: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full, pytest.raises(LoadError) as raised:
        full.setattr(FileLane, "_scratch", on_a_full_disk)
        load("s3_exports")
    work = any_warehouse.root / "work"
    assert (
        str(raised.value)
        == f"client 713, source s3_exports: {work} (SIGNALROOM_WORK_DIR) cannot be written (No"
        " space left on device): free space there"
    )
    load("s3_exports")
    assert ask(COUNTED) == [(FILES * ROWS, FILES * ROWS)]


def test_a_full_disk_of_duckdb_is_named_and_loses_no_row(project: Project) -> None:
    bucket = project.add_client("713")
    assert project.environment  # no connection stays open between two loads
    write_export(bucket / "orders-create/first.csv", orders([1]))
    load("s3_exports")
    size = (project.root / "warehouse.duckdb").stat().st_size
    for number in range(FILES):
        ids = (f"{number}-{row}" for row in range(ROWS * 8))
        write_export(bucket / f"orders-create/{number}.csv", orders(ids, order_status="x" * 60))
    with no_file_above(size + 100_000), pytest.raises(PipelineStepFailed) as raised:
        load("s3_exports")
    assert str(root_error(raised.value)).endswith(
        "warehouse.duckdb (File too large): free space there"
    )
    load("s3_exports")
    assert ask(COUNTED) == [(FILES * ROWS * 8 + 1, FILES * ROWS * 8 + 1)]


def test_a_file_in_the_place_of_the_scratch_folder_is_a_setting_to_correct(
    project: Project,
) -> None:
    project.add_client("713")
    (project.root / "work").write_text("")
    with pytest.raises(ConfigurationError, match=r"\(SIGNALROOM_WORK_DIR\) cannot be written"):
        load("s3_exports")


def test_a_file_that_is_no_duckdb_is_not_taken_for_one_that_somebody_else_has_open(
    project: Project,
) -> None:
    project.add_client("713")
    (project.root / "warehouse.duckdb").write_bytes(b"\0" * 20_000)
    with pytest.raises(
        ConfigurationError, match=r"warehouse\.duckdb is another kind of file, no DuckDB"
    ):
        load("s3_exports")


def test_a_database_that_takes_no_writes_says_so(postgres_url: str) -> None:
    connection = connect(postgres_url)
    with connection.cursor() as cursor, pytest.raises(Exception, match="read-only") as raised:
        cursor.execute("SET TRANSACTION READ ONLY; CREATE TABLE a (b int)")
    connection.close()
    assert str(explain(raised.value, "client 713")).startswith(
        "client 713: Postgres refused it: it takes no writes now"
    )
