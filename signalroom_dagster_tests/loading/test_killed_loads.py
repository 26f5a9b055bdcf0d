"""kill -9 at every stage of a load, then one more run: every row of every file is there exactly
once.
"""

import shutil
import time
from itertools import product
from pathlib import Path

import pytest

from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loading.processes import STAGES, finish, start_load
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project, orders, write_export

FILES = 4
ROWS = 300
ALL = list(product(STAGES, ["work folder kept", "work folder gone"]))
QUICK = [("mid-copy", "work folder gone"), ("after commit", "work folder kept")]
SLOW = [pytest.param(*case, marks=pytest.mark.slow) for case in ALL if case not in QUICK]

END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
AS_THE_LEDGER_SAYS = """
SELECT (SELECT count(*) FROM s3_exports.orders_create),
    (SELECT coalesce(sum(rows_loaded), 0)::bigint FROM s3_exports.files WHERE status = 'loaded')
"""


@pytest.fixture
def bucket(any_warehouse: Project) -> Path:
    """Files of which one was loaded before and has been overwritten since."""
    bucket = any_warehouse.add_client("713")
    write_export(bucket / "orders-create/report_2026-03-01.csv", orders(range(9_000, 9_000 + ROWS)))
    assert finish(start_load(any_warehouse.environment, "713", "before")) == 0
    for day in range(1, FILES + 1):
        write_export(
            bucket / f"orders-create/report_2026-03-{day:02}.csv",
            orders(range(day * 1000, day * 1000 + ROWS)),
        )
    return bucket


@pytest.mark.parametrize(("stage", "folder"), [*QUICK, *SLOW])
def test_after_a_kill_the_next_run_has_every_row_once(
    bucket: Path, any_warehouse: Project, stage: str, folder: str
) -> None:
    assert finish(start_load(any_warehouse.environment, "713", "killed", stage)) == -9
    if folder == "work folder gone":
        shutil.rmtree(any_warehouse.root / "work")
    assert finish(start_load(any_warehouse.environment, "713", "after")) == 0
    with access.exclusive(), access.connected() as query:
        rows = query(
            "SELECT _file_name, count(*), count(DISTINCT orders_id), min(orders_id) FROM"
            " s3_exports.orders_create GROUP BY 1 ORDER BY 1"
        )
        statuses = query("SELECT DISTINCT status, rows_loaded FROM s3_exports.files")
    assert [tuple(row) for row in rows] == [
        (f"orders-create/report_2026-03-{day:02}.csv", ROWS, ROWS, str(day * 1000))
        for day in range(1, FILES + 1)
    ]
    assert [tuple(row) for row in statuses] == [("loaded", ROWS)]
    assert list((any_warehouse.root / "work" / "s3_exports__713").iterdir()) == []


@pytest.mark.slow
def test_a_load_whose_connections_the_server_ends_again_and_again_leaves_no_file_in_part(
    project: Project, postgres_url: str
) -> None:
    project.use_postgres(postgres_url)
    bucket = project.add_client("713")
    for day in range(1, FILES + 1):
        name = f"orders-create/report_2026-03-{day:02}.csv"
        write_export(bucket / name, orders(range(day * 10_000, day * 10_000 + 10 * ROWS)))
    running, ended = start_load(project.environment, "713", "ended"), 0
    while running.is_alive():
        ended += len(ask(END_OTHERS))
        if (
            None
            not in ask(
                "SELECT to_regclass('s3_exports.files'), to_regclass('s3_exports.orders_create')"
            )[0]
        ):
            in_table, in_ledger = ask(AS_THE_LEDGER_SAYS)[0]
            assert in_table == in_ledger
        time.sleep(0.2)
    assert ended
    assert finish(start_load(project.environment, "713", "after")) == 0
    assert ask(AS_THE_LEDGER_SAYS) == [(FILES * 10 * ROWS, FILES * 10 * ROWS)]
    assert ask("SELECT count(DISTINCT orders_id) FROM s3_exports.orders_create") == [
        (FILES * 10 * ROWS,)
    ]
