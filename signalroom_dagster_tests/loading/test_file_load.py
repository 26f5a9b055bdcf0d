"""Files into both warehouses, as a client's bucket changes over time: each version of each file,
once and whole.
"""

import gzip
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.loading import file_checks
from signalroom_dagster.loading.pipelines import create_tables, preview_load, run_load
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.sources.s3_exports import settings
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.projects import HEADER, Project, export_bytes, orders, write_export

DAY_1 = "orders-create/report_2026-03-01T1849_a.csv"
DAY_2 = "orders-create/report_2026-03-02T1849_b.csv"


def load(client_id: str = "713", run_id: str = "run") -> None:
    run_load("s3_exports", get_client(client_id), run_id)


def ask(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with access.exclusive(), access.connected() as query:
        return [tuple(row) for row in query(sql, *parameters)]


def ids_by_file(table: str = "orders_create", client_id: str = "713") -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    sql = (
        f"SELECT _file_name, orders_id FROM s3_exports.{table} WHERE _client_id = %s ORDER BY"
        " _file_name, _row_id"
    )
    for name, order in ask(sql, client_id):
        found.setdefault(name, []).append(order)
    return found


def ledger(client_id: str = "713") -> Mapping[str, tuple[Any, ...]]:
    rows = ask(
        "SELECT _file_name, status, rows_in_file, rows_loaded, rows_rejected, reason FROM"
        " s3_exports.files WHERE _client_id = %s",
        client_id,
    )
    return {row[0]: row[1:] for row in rows}


@pytest.fixture
def bucket(any_warehouse: Project) -> Path:
    return any_warehouse.add_client("713")


def test_rows_carry_their_tags_and_come_as_text(bucket: Path) -> None:
    write_export(bucket / DAY_1, orders([7, 8], billing_postcode="01234", total_amount="95"))
    load()
    assert ask(
        "SELECT _client_id, _file_name, _row_id, CAST(_file_date AS varchar), orders_id,"
        " billing_postcode, total_amount, click_id, _loaded_at IS NOT NULL FROM"
        " s3_exports.orders_create ORDER BY _row_id"
    ) == [
        ("713", DAY_1, 1, "2026-03-01", "7", "01234", "95", None, True),
        ("713", DAY_1, 2, "2026-03-01", "8", "01234", "95", None, True),
    ]
    assert ledger() == {DAY_1: ("loaded", 2, 2, 0, None)}


def test_a_file_is_loaded_once_however_often_the_load_runs(bucket: Path) -> None:
    write_export(bucket / DAY_1, orders([1, 2]))
    for _ in range(3):
        load()
    assert ids_by_file() == {DAY_1: ["1", "2"]}


def test_the_ledger_says_when_the_version_that_is_loaded_was_written(bucket: Path) -> None:
    for hour in (9, 18):
        written = datetime(2026, 3, 6, hour, 30, tzinfo=UTC)
        write_export(bucket / DAY_1, orders([hour]), modified=written)
        load()
        ((orders_id, last_modified),) = ask(
            "SELECT o.orders_id, f.last_modified FROM s3_exports.orders_create o "
            "JOIN s3_exports.files f ON f._client_id = o._client_id AND f._file_name = o._file_name"
        )
        assert (orders_id, last_modified) == (f"{hour}", written)


def test_late_and_out_of_order_files_are_loaded(bucket: Path) -> None:
    write_export(bucket / DAY_2, orders([20]), modified=datetime(2026, 3, 2, 19, tzinfo=UTC))
    load()
    same_second = datetime(2026, 3, 2, 19, tzinfo=UTC)
    write_export(bucket / DAY_1, orders([10]), modified=same_second)
    write_export(
        bucket / "orders-create/report_2026-03-02T1849_c.csv", orders([21]), modified=same_second
    )
    load()
    assert sorted(sum(ids_by_file().values(), [])) == ["10", "20", "21"]


@pytest.mark.parametrize(
    "ids", [[5, 6, 7, 8], [1], []], ids=["other content", "fewer rows", "none"]
)
def test_an_overwritten_file_is_replaced_whole(bucket: Path, ids: list[int]) -> None:
    write_export(bucket / DAY_1, orders([1, 2, 3]))
    write_export(bucket / DAY_2, orders([9]))
    load()
    write_export(bucket / DAY_1, orders(ids), modified=datetime(2026, 4, 1, tzinfo=UTC))
    load()
    assert ids_by_file().get(DAY_1, []) == [str(number) for number in ids]
    assert ids_by_file()[DAY_2] == ["9"]
    assert ledger()[DAY_1][:3] == ("loaded" if ids else "empty", len(ids), len(ids))


def test_a_deleted_file_keeps_its_rows_and_the_ledger_says_so(bucket: Path) -> None:
    path = write_export(bucket / DAY_1, orders([1]), modified=datetime(2026, 3, 2, tzinfo=UTC))
    load()
    content = path.read_bytes()
    path.unlink()
    load()
    assert ids_by_file() == {DAY_1: ["1"]}
    assert ledger()[DAY_1][0] == "deleted"
    path.write_bytes(content)
    write_export(path, orders([1]), modified=datetime(2026, 3, 2, tzinfo=UTC))
    load()
    assert ids_by_file() == {DAY_1: ["1"]}
    assert ledger()[DAY_1][0] == "loaded"


def test_a_file_whose_ledger_row_was_deleted_is_replaced(bucket: Path) -> None:
    write_export(bucket / DAY_1, orders([1, 2]))
    (bucket / DAY_2).write_bytes(export_bytes(orders([3])) + b"ragged\r\n")
    load()
    ask("DELETE FROM s3_exports.files WHERE _client_id = %s", "713")
    load()
    assert ids_by_file() == {DAY_1: ["1", "2"], DAY_2: ["3"]}
    assert ask("SELECT _file_name, _row_id FROM s3_exports.rejected_rows") == [(DAY_2, 2)]


def test_new_missing_and_reordered_columns_are_loaded_and_reported(bucket: Path) -> None:
    write_export(bucket / DAY_1, orders([1], order_status="NEW"))
    other = ["Loyalty Tier", *reversed([name for name in HEADER if name != "notes"])]
    write_export(bucket / DAY_2, orders([2], **{"Loyalty Tier": "gold"}), header=other)
    load()
    assert ask(
        "SELECT orders_id, order_status, loyalty_tier FROM s3_exports.orders_create ORDER BY 1"
    ) == [("1", "NEW", None), ("2", "NEW", "gold")]
    assert ledger()[DAY_1][4] is None
    assert ledger()[DAY_2] == (
        "loaded",
        1,
        1,
        0,
        "new columns: loyalty_tier; missing columns: notes",
    )


def test_a_column_with_a_name_that_postgres_keeps_for_itself_is_loaded_under_another(
    bucket: Path,
) -> None:
    write_export(bucket / DAY_1, orders([1], CTID="x"), header=[*HEADER, "CTID"])
    load()
    assert ask("SELECT orders_id, ctid_2 FROM s3_exports.orders_create") == [("1", "x")]


def test_a_record_that_grows_to_three_times_its_length_is_loaded(bucket: Path) -> None:
    (bucket / "orders-create").mkdir(exist_ok=True)
    (bucket / DAY_1).write_bytes(
        export_bytes(orders([1], notes="\u20ac" * 1_000_000)).decode().encode("cp1252")
    )
    load()
    assert ask("SELECT length(notes) FROM s3_exports.orders_create") == [(1_000_000,)]


def test_only_a_file_without_the_key_column_is_quarantined(bucket: Path) -> None:
    write_export(
        bucket / DAY_1, [{"customer": "1"}, {"customer": "2"}], header=["customer", "amount"]
    )
    write_export(bucket / DAY_2, orders([2]))
    load()
    assert ids_by_file() == {DAY_2: ["2"]}
    assert ledger()[DAY_1] == (
        "quarantined",
        2,
        0,
        2,
        "no key column orders_id: its header has 2 columns",
    )
    assert ask("SELECT count(*) FROM s3_exports.rejected_rows WHERE _file_name = %s", DAY_1) == [
        (2,)
    ]
    assert ask("SELECT 1 FROM information_schema.columns WHERE column_name = 'customer'") == []


def test_an_empty_prefix_gets_an_empty_table(any_warehouse: Project) -> None:
    any_warehouse.add_client("713", prefixes=["orders-create", "prospects-create"])
    load()
    assert ask("SELECT count(*) FROM s3_exports.prospects_create") == [(0,)]
    assert ask("SELECT count(*) FROM s3_exports.orders_create WHERE click_id IS NULL") == [(0,)]


def test_every_declared_table_can_be_created_ahead_of_any_load(any_warehouse: Project) -> None:
    bucket = any_warehouse.add_client("713", prefixes=["orders-create", "prospects-create"])
    create_tables("s3_exports")
    create_tables("s3_exports")
    for table in ("orders_create", "prospects_create", "files", "rejected_rows"):
        assert ask(f"SELECT count(*) FROM s3_exports.{table}") == [(0,)]
    write_export(bucket / DAY_1, orders([1]))
    load()
    assert ids_by_file() == {DAY_1: ["1"]}


def test_bad_rows_are_kept_apart_and_the_good_ones_of_the_file_load(bucket: Path) -> None:
    good = export_bytes(orders([1, 2], notes='said "hi", twice\nand left', billing_fname="Müller"))
    bad = (
        b"3,too,few\r\n" + b"4\0" + b"," * 128 + b"\r\n" + b'5,"never closed' + b"," * 127 + b"\r\n"
    )
    (bucket / "orders-create").mkdir()
    (bucket / DAY_1).write_bytes(good + bad + export_bytes(orders([6])).split(b"\r\n", 1)[1])
    load()
    assert ids_by_file() == {DAY_1: ["1", "2", "6"]}
    assert ask(
        "SELECT notes, billing_fname FROM s3_exports.orders_create WHERE orders_id = '1'"
    ) == [('said "hi", twice\nand left', "Müller")]
    assert ask("SELECT _row_id, line, reason, raw FROM s3_exports.rejected_rows ORDER BY 1") == [
        (3, 6, "has 3 fields, the header has 129", None),
        (4, 7, "holds a NUL byte", None),
        (5, 8, "opens a quote that is never closed", None),
    ]


def test_raw_text_is_stored_masked_where_no_column_is_hidden(any_warehouse: Project) -> None:
    bucket = any_warehouse.add_client("713")
    any_warehouse.configure("713", COLUMNS='{"cc_num_masked": "keep", "cc_expires": "keep"}')
    (bucket / "orders-create").mkdir()
    (bucket / DAY_1).write_bytes(export_bytes([]) + b"1,4111111111111111,x\r\n")
    load()
    assert ask("SELECT raw FROM s3_exports.rejected_rows") == [("1,****************,x",)]


def test_card_columns_never_reach_the_warehouse_and_hashed_ones_only_as_a_hash(
    any_warehouse: Project,
) -> None:
    bucket = any_warehouse.add_client("713")
    any_warehouse.configure("713", COLUMNS='{"billing_email": "hash"}', HASH_KEY="k" * 32)
    person = {
        "cc_num_masked": "411111******1111",
        "cc_expires": "0329",
        "billing_email": "a@example.com",
    }
    write_export(bucket / DAY_1, orders([1, 2], **person))
    load()
    columns = {
        row[0]
        for row in ask(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'orders_create'"
        )
    }
    assert not columns & {"cc_num_masked", "cc_expires"}
    hashed = ask("SELECT DISTINCT billing_email FROM s3_exports.orders_create")
    assert len(hashed) == 1 and len(hashed[0][0]) == 64 and "example" not in hashed[0][0]


def test_a_new_policy_reaches_what_was_loaded_before_once_its_ledger_rows_are_deleted(
    any_warehouse: Project,
) -> None:
    bucket = any_warehouse.add_client("713")
    write_export(bucket / DAY_1, orders([1], billing_email="a@example.com", notes="x"))
    load()
    any_warehouse.configure("713", COLUMNS='{"billing_email": "drop"}')
    load()
    assert ask("SELECT billing_email, notes FROM s3_exports.orders_create") == [
        ("a@example.com", "x")
    ]
    ask("DELETE FROM s3_exports.files WHERE _client_id = %s", "713")
    load()
    assert ask("SELECT billing_email, notes FROM s3_exports.orders_create") == [(None, "x")]


def test_a_cut_off_gzip_loads_what_it_holds_and_says_what_is_missing(bucket: Path) -> None:
    whole = gzip.compress(export_bytes(orders(range(2000))), 1, mtime=0)
    path = bucket / "orders-create/report_2026-03-01T1849_a.csv.gz"
    path.parent.mkdir()
    path.write_bytes(whole[: len(whole) // 2])
    load()
    status, in_file, loaded, rejected, reason = ledger()[
        "orders-create/report_2026-03-01T1849_a.csv.gz"
    ]
    assert (status, rejected, in_file) == ("loaded", 1, loaded + 1)
    assert 100 < loaded < 2000
    assert "gzip stream ends early" in reason


def test_a_gzip_that_unpacks_too_far_is_quarantined_and_leaves_nothing_behind(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = project.add_client("713")
    (bucket / "orders-create").mkdir()
    (bucket / f"{DAY_1}.gz").write_bytes(
        gzip.compress(export_bytes(orders([1])) + b"2\r\n" * 200_000)
    )
    (bucket / f"{DAY_2}.gz").write_bytes(gzip.compress(export_bytes(orders(range(2_000)))))
    write_export(bucket / DAY_1, orders(range(2_000)))
    monkeypatch.setattr(settings, "LITTLE_UNPACKED_BYTES", 100_000)
    load()
    status, in_file, loaded, rejected, reason = ledger()[f"{DAY_1}.gz"]
    assert (status, in_file, loaded, rejected) == ("quarantined", 0, 0, 0)
    assert reason.startswith("its gzip unpacks to more than") and "max_unpacked_ratio" in reason
    assert ask("SELECT count(*) FROM s3_exports.rejected_rows") == [(0,)]
    assert [row[:3] for name, row in ledger().items() if name != f"{DAY_1}.gz"] == [
        ("loaded", 2_000, 2_000)
    ] * 2
    project.configure("713", MAX_UNPACKED_BYTES="1000")
    ask("DELETE FROM s3_exports.files WHERE _client_id = %s", "713")
    load()
    assert {name: row[0] for name, row in ledger().items()} == {
        f"{DAY_1}.gz": "quarantined",
        f"{DAY_2}.gz": "quarantined",
        DAY_1: "loaded",
    }
    assert [path for path in (project.root / "work").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("content", "status", "rows"),
    [
        (b"", "empty", 0),
        (export_bytes([]), "empty", 0),
        (b"\xef\xbb\xbf" + export_bytes([]), "empty", 0),
        (b"\xef\xbb\xbf" + export_bytes(orders([1])), "loaded", 1),
        (export_bytes(orders([1], notes="café")).decode().encode("cp1252"), "loaded", 1),
        (export_bytes(orders([1])).replace(b"\r\n", b"\n"), "loaded", 1),
    ],
    ids=[
        "no bytes",
        "header only",
        "byte order mark and header",
        "byte order mark",
        "cp1252",
        "LF",
    ],
)
def test_odd_files_are_read_for_what_they_are(
    bucket: Path, content: bytes, status: str, rows: int
) -> None:
    (bucket / "orders-create").mkdir()
    (bucket / DAY_1).write_bytes(content)
    load()
    assert ledger()[DAY_1][:4] == (status, rows, rows, 0)
    assert ask("SELECT DISTINCT notes FROM s3_exports.orders_create WHERE notes IS NOT NULL") in (
        [],
        [("café",)],
    )


def test_clients_that_share_a_prefix_each_get_their_own_rows(any_warehouse: Project) -> None:
    shared = any_warehouse.add_client("713")
    any_warehouse.add_client("cti")
    any_warehouse.configure("cti", BUCKET_URL=f"file://{shared}")
    for client_id, category in (("713", "CCW"), ("cti", "CLAY")):
        any_warehouse.configure(
            client_id, ROW_FILTER=f'{{"column": "product_category", "values": ["{category}"]}}'
        )
    rows = [*orders([1, 2], product_category="CCW"), *orders([3], product_category="CLAY")]
    write_export(shared / DAY_1, rows)
    load("713")
    load("cti")
    assert ids_by_file(client_id="713") == {DAY_1: ["1", "2"]}
    assert ids_by_file(client_id="cti") == {DAY_1: ["3"]}
    for client_id in ("713", "cti"):
        with access.exclusive(), access.connected() as query:
            assert file_checks.row_balance(
                query, "s3_exports", "orders_create", client_id, "run"
            ).passed


def test_the_same_file_name_of_two_clients_is_two_files(any_warehouse: Project) -> None:
    for client_id, ids in (("713", [1, 2]), ("cti", [3])):
        write_export(any_warehouse.add_client(client_id) / DAY_1, orders(ids))
        load(client_id)
    write_export(
        any_warehouse.root / "buckets/713" / DAY_1,
        orders([4]),
        modified=datetime(2026, 5, 1, tzinfo=UTC),
    )
    load("713")
    assert ids_by_file(client_id="713") == {DAY_1: ["4"]}
    assert ids_by_file(client_id="cti") == {DAY_1: ["3"]}


def test_a_preview_says_what_and_why_and_loads_nothing(bucket: Path) -> None:
    write_export(bucket / DAY_1, orders([1]))
    assert [(item.what, item.why) for item in preview_load("s3_exports", get_client("713"))] == [
        (DAY_1, "new")
    ]
    load()
    assert preview_load("s3_exports", get_client("713")) == []
    write_export(bucket / DAY_1, orders([1, 2]))
    assert [item.why for item in preview_load("s3_exports", get_client("713"))] == [
        "changed since it was loaded"
    ]
    (bucket / DAY_1).unlink()
    assert "rows stay" in preview_load("s3_exports", get_client("713"))[0].why
    assert ids_by_file() == {DAY_1: ["1"]}


def test_nothing_is_left_in_the_work_folder(bucket: Path, any_warehouse: Project) -> None:
    write_export(bucket / DAY_1, orders([1]))
    load()
    assert [path for path in (any_warehouse.root / "work").rglob("*") if path.is_file()] == []
