"""Several loads at the same moment: other clients, the same client twice, first loads of an empty
warehouse.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.loading.scratch import scratch_folder
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loading.processes import finish, start_load
from signalroom_dagster_tests.projects import Project, orders, write_export

FILES = 6
ROWS = 500


def fill(bucket: Path, first: int) -> None:
    for day in range(1, FILES + 1):
        start = first + day * 1000
        write_export(
            bucket / f"orders-create/report_2026-03-{day:02}.csv",
            orders(range(start, start + ROWS)),
        )


@pytest.mark.slow_on("duckdb")
def test_two_clients_and_each_of_them_twice_never_mix_lose_or_double_rows(
    any_warehouse: Project,
) -> None:
    fill(any_warehouse.add_client("713"), 0)
    fill(any_warehouse.add_client("cti"), 100_000)
    running = [
        start_load(any_warehouse.environment, client, f"{client}-{number}")
        for number in range(2)
        for client in ("713", "cti")
    ]
    assert [finish(process) for process in running] == [0, 0, 0, 0]
    with access.exclusive(), access.connected() as query:
        counted = query(
            "SELECT _client_id, count(*), count(DISTINCT orders_id), count(DISTINCT _file_name), "
            "min(CAST(orders_id AS integer)) FROM s3_exports.orders_create GROUP BY 1 ORDER BY 1"
        )
        ledger = query(
            "SELECT _client_id, count(*), sum(rows_loaded) FROM s3_exports.files GROUP BY 1 ORDER"
            " BY 1"
        )
    assert [tuple(row) for row in counted] == [
        ("713", FILES * ROWS, FILES * ROWS, FILES, 1000),
        ("cti", FILES * ROWS, FILES * ROWS, FILES, 101_000),
    ]
    assert [(client, files, int(rows)) for client, files, rows in ledger] == [
        ("713", FILES, FILES * ROWS),
        ("cti", FILES, FILES * ROWS),
    ]


def test_a_folder_that_is_just_being_made_is_not_taken_for_an_abandoned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALROOM_WORK_DIR", str(tmp_path))

    def keeps_its_file(_: int) -> bool:
        with scratch_folder("s3_exports__713") as folder:
            (folder / "rows.csv").write_text("1")
            return (folder / ".lock").exists() and (folder / "rows.csv").read_text() == "1"

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(keeps_its_file, range(200)))


def test_a_warehouse_that_cannot_be_written_says_where_and_what_to_set(project: Project) -> None:
    (project.root / "a_file").touch()
    project.set(DESTINATION__DUCKDB__CREDENTIALS=str(project.root / "a_file/warehouse.duckdb"))
    with (
        pytest.raises(
            ConfigurationError,
            match=r"a_file/warehouse.duckdb cannot be written .*DESTINATION__DUCKDB",
        ),
        access.exclusive(),
    ):
        pytest.fail("it was held all the same")
