"""S3 exports run alone: with dlt and a stock destination, twice without doubling, and give what a
load gives.
"""

from pathlib import Path

from signalroom_dagster.sources.s3_exports import s3_exports
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project, orders, write_export
from signalroom_dagster_tests.sources.alone import rows_alone, rows_of_the_load, run_alone

PREFIXES = ("orders-create", "leads")


def test_exports_alone_load_twice_what_a_load_loads(any_warehouse: Project, tmp_path: Path) -> None:
    bucket = any_warehouse.add_client("713", prefixes=PREFIXES)
    write_export(
        bucket / "orders-create/2026-03-01.csv",
        orders([1, 2], order_date="03/01/2026", refund_amount=""),
    )
    write_export(bucket / "orders-create/2026-03-02.csv", orders([3]))
    write_export(
        bucket / "leads/2026-03-02.csv",
        [{"Who": 'a "b"\nc', "Amount ($)": "1"}],
        header=["Who", "Amount ($)"],
    )
    load("s3_exports")
    for _ in range(2):
        run_alone(
            tmp_path,
            s3_exports(bucket_url=bucket.as_uri(), prefixes=PREFIXES, timezone="America/New_York"),
        )
    for table in ("orders_create", "leads"):
        columns = _columns_of(table)
        assert rows_alone(tmp_path, "s3_exports", table, columns) == rows_of_the_load(
            "s3_exports", table, columns
        )
    assert len(rows_alone(tmp_path, "s3_exports", "orders_create", ["_file_name", "_row_id"])) == 3


def test_a_file_that_was_written_anew_takes_its_own_place(project: Project, tmp_path: Path) -> None:
    bucket = project.add_client("713", prefixes=PREFIXES)
    for amounts in ([1, 2, 3], [1]):
        write_export(bucket / "orders-create/2026-03-01.csv", orders(amounts))
        run_alone(tmp_path, s3_exports(bucket_url=bucket.as_uri(), prefixes=["orders-create"]))
    assert rows_alone(tmp_path, "s3_exports", "orders_create", ["_row_id"]) == [(1,)]


def _columns_of(table: str) -> list[str]:
    rows = ask(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 's3_exports' AND"
        " table_name = %s AND column_name NOT IN ('_client_id', '_loaded_at') ORDER BY 1",
        table,
    )
    return [name for (name,) in rows]
