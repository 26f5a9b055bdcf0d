"""Orders as they stand, on both engines: which export is the newest, what it does not say, products
and amounts.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from signalroom_dagster.loading import pipelines
from signalroom_dagster.modeling.checks import checks_of, run_checks
from signalroom_dagster.modeling.runs import create_models, run_model
from signalroom_dagster.modeling.sql import models
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.finding import Finding
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import HEADER, Project, orders, write_export

ORDERS, PRODUCTS = ("public", "orders"), ("public", "order_products")
NOON = datetime(2026, 3, 6, 12, tzinfo=UTC)
MADE = {
    "order_date": "03/01/2026",
    "order_status": "NEW",
    "total_amount": "89.90",
    "is_test_cc": "NO",
}


@pytest.fixture
def bucket(any_warehouse: Project) -> Path:
    return any_warehouse.add_client("713", prefixes=("orders-create", "orders-update"))


def load(*names: tuple[str, str]) -> None:
    """Load the exports, and make the models of them."""
    pipelines.run_load("s3_exports", get_client("713"), f"run-{datetime.now(UTC)}")
    with access.exclusive():
        for name in names or (ORDERS,):
            run_model(name, get_client("713"))


def check(name: str) -> Finding:
    with access.exclusive():
        return run_checks(ORDERS, "713", [name])[name]


def test_of_one_days_exports_the_one_that_was_written_last_is_the_newest(bucket: Path) -> None:
    refunded = {**MADE, "refund_flag": "YES", "refund_amount": "12.50"}
    folder = bucket / "orders-update"
    older_and_newer = [
        ("2026-03-02.csv", "2026-03-02 (1).csv"),
        ("2026-03-03_a.csv", "2026-03-03_B.csv"),
        ("2026-03-04-10.csv", "2026-03-04-9.csv"),
        ("2026-03-05-9.csv", "2026-03-05-10.csv"),
        ("zz 2026-03-06.csv", "2026-03-07.csv"),
    ]
    for order, (older, newer) in enumerate(older_and_newer):
        later = NOON + timedelta(hours=1)
        write_export(folder / newer, orders([order], **refunded), modified=later)
        write_export(folder / older, orders([order], **MADE), modified=NOON)
    load()
    assert ask("SELECT refund_amount, _file_name FROM public.orders ORDER BY orders_id") == [
        (Decimal("12.5"), f"orders-update/{newer}") for _, newer in older_and_newer
    ]


def test_of_exports_written_in_one_moment_the_newest_is_the_same_on_both_engines(
    bucket: Path,
) -> None:
    names = [
        "2026-03-06_B.csv",
        "2026-03-06_a.csv",
        "2026-03-06-9.csv",
        "2026-03-06-10.csv",
        "2026-03-06_é.csv",
    ]
    for name in names:
        write_export(bucket / "orders-update" / name, orders([1], **MADE), modified=NOON)
    load()
    assert ask("SELECT _file_name FROM public.orders") == [("orders-update/2026-03-06_é.csv",)]


def test_no_model_or_check_leaves_the_order_of_text_to_the_engine() -> None:
    for model in models().values():
        text = model.select("postgres").replace('COLLATE "C"', "")
        assert "_file_name DESC" not in text, model.name
        assert "MAX(advertiser_label)" not in text, model.name


def test_a_column_that_a_newer_export_lacks_keeps_its_value_and_the_check_says_so(
    bucket: Path,
) -> None:
    columns = ["total_amount", "order_date", "order_status", "product_category", "billing_state"]
    read = f"SELECT orders_id, is_sale, {', '.join(columns)} FROM public.orders ORDER BY 1"
    made = {**MADE, "billing_state": "NY", "product_category": "CCW"}
    write_export(
        bucket / "orders-create/2026-03-01.csv",
        [*orders(range(6), **made), *orders([6], **{**made, "total_amount": "239.90"})],
    )
    load()
    before = ask(read)
    for order, column in enumerate(columns):
        rows = orders([order], **made)
        for row in rows:
            row.pop(column)
        header = [name for name in HEADER if name != column]
        write_export(bucket / f"orders-update/2026-03-02 {column}.csv", rows, header=header)
    load()
    assert ask(read) == before
    assert ask("SELECT SUM(total_amount) FROM public.orders") == [(Decimal("779.3"),)]
    finding = check("every_cell_is_read")
    assert not finding.passed
    for column in columns[:-1]:
        file = f"orders-update/2026-03-02 {column}.csv"
        assert f"older_columns {column}, _file_name {file}" in finding.said


def test_an_empty_amount_keeps_the_older_one_and_zero_is_an_amount(bucket: Path) -> None:
    cells = ["", " ", "N/A", "0"]
    write_export(bucket / "orders-create/2026-03-01.csv", orders(range(4), **MADE))
    rows = [
        row
        for order, cell in enumerate(cells)
        for row in orders([order], **{**MADE, "total_amount": cell})
    ]
    write_export(bucket / "orders-update/2026-03-02.csv", rows)
    load()
    assert ask("SELECT orders_id, total_amount, older_columns FROM public.orders ORDER BY 1") == [
        *((order, Decimal("89.9"), "total_amount") for order in range(3)),
        (3, Decimal(0), None),
    ]
    finding = check("every_cell_is_read")
    assert all(f"orders_id {order}" in finding.said for order in range(3))


def test_an_order_that_is_not_declined_any_more_has_no_reason_for_it(bucket: Path) -> None:
    declined = {**MADE, "order_status": "DECLINED", "decline_reason": "Do Not Honor REFID:1"}
    write_export(bucket / "orders-create/2026-03-01.csv", orders([1, 2], **declined))
    write_export(
        bucket / "orders-update/2026-03-02.csv",
        [*orders([1], **MADE), *orders([2], **{**declined, "decline_reason": ""})],
    )
    load()
    assert ask(
        "SELECT order_status, decline_reason, older_columns FROM public.orders ORDER BY orders_id"
    ) == [("NEW", None, None), ("DECLINED", "Do Not Honor", None)]


def test_an_order_with_a_row_for_each_product_counts_once_and_has_its_products_beside_it(
    bucket: Path,
) -> None:
    lines = [("10", "Serum", "49.90", "1"), ("20", "Cream", "40", "2")]
    rows = [
        row
        for number, name, price, pieces in lines
        for row in orders(
            [1],
            **MADE,
            products_id=number,
            product_name=name,
            product_price=price,
            products_quantity=pieces,
        )
    ]
    write_export(bucket / "orders-create/2026-03-01.csv", rows)
    write_export(
        bucket / "orders-update/2026-03-02.csv",
        [{**rows[0], "refund_flag": "YES", "refund_amount": "49.90", "product_price": ""}],
    )
    load(ORDERS, PRODUCTS, ("public", "orders_by_campaign"))
    assert ask("SELECT orders_id, total_amount, refund_amount FROM public.orders") == [
        (1, Decimal("89.9"), Decimal("49.9"))
    ]
    assert ask("SELECT sales, revenue FROM public.orders_by_campaign") == [(1, Decimal("89.9"))]
    assert ask(
        "SELECT orders_id, products_id, product_name, product_price, quantity, is_current FROM"
        " public.order_products ORDER BY 2"
    ) == [(1, 10, "Serum", Decimal("49.9"), 1, True), (1, 20, "Cream", Decimal(40), 2, False)]
    with access.exclusive():
        names = ["key_unique", "every_product_has_its_order", "each_product_once"]
        assert all(found.passed for found in run_checks(PRODUCTS, "713", names).values())


def test_every_amount_of_every_model_is_numeric_18_4_on_both_engines(
    any_warehouse: Project,
) -> None:
    any_warehouse.add_client("713", prefixes=("orders-create", "orders-update"))
    for source in ("everflow", "redtrack", "affiliate_mapping"):
        any_warehouse.add_api_client("713", source)
    any_warehouse.register(
        "713", sources=["s3_exports", "everflow", "redtrack", "affiliate_mapping"]
    )
    with access.exclusive():
        create_models()
    found = ask(
        "SELECT table_name, column_name, numeric_precision, numeric_scale FROM"
        " information_schema.columns WHERE table_schema = 'public' AND lower(data_type) SIMILAR TO"
        " '(numeric|decimal).*'"
    )
    assert {table for table, *_ in found} == {name for _, name in models()}
    assert [row for row in found if row[2:] != (18, 4)] == []


def test_an_amount_that_is_too_large_is_told_and_stops_nothing(bucket: Path) -> None:
    most = {**MADE, "total_amount": "99999999999999.9999"}
    write_export(
        bucket / "orders-create/2026-03-01.csv",
        [*orders([1, 2], **most), *orders([3], **{**MADE, "total_amount": "100000000000000"})],
    )
    load(ORDERS, ("public", "orders_by_campaign"))
    assert ask("SELECT orders_id, total_amount, unread_cells FROM public.orders ORDER BY 1") == [
        (1, Decimal("99999999999999.9999"), 0),
        (2, Decimal("99999999999999.9999"), 0),
        (3, None, 1),
    ]
    assert ask("SELECT sales, revenue FROM public.orders_by_campaign") == [(3, None)]
    assert "orders_id 3" in check("every_cell_is_read").said


def test_an_amount_that_is_no_number_is_no_amount_and_the_check_fails(bucket: Path) -> None:
    texts = [
        "1.234,56",
        "1,234.50",
        "$ 89.90",
        "(12.50)",
        "89.90-",
        "1e3",
        "NaN",
        "\u221e",
        "89,90",
        "\uff18\uff19",
        "89.90 USD",
    ]
    rows = orders([1000], **MADE)
    for order, text in enumerate(texts):
        refund = {"refund_flag": "YES", "refund_amount": text, "void_amount": "N/A"}
        rows += orders([order], **{**MADE, "total_amount": text})
        rows += orders([100 + order], **MADE, **refund)
    write_export(bucket / "orders-create/2026-03-01.csv", rows)
    load()
    assert ask(
        "SELECT orders_id, total_amount, refund_amount, void_amount FROM public.orders ORDER BY 1"
    ) == [
        *((order, None, 0, 0) for order in range(len(texts))),
        *((100 + order, Decimal("89.9"), None, 0) for order in range(len(texts))),
        (1000, Decimal("89.9"), 0, 0),
    ]
    found = check("every_amount_is_read")
    assert not found.passed and found.figures == {"offending_rows": 2 * len(texts)}
    assert checks_of(ORDERS)["every_amount_is_read"].severity == "fail"


def test_a_thousand_written_with_a_point_is_told(bucket: Path) -> None:
    rows = [
        *orders([1], **{**MADE, "total_amount": "1.234"}),
        *orders([2], **{**MADE, "total_amount": "89.900"}),
    ]
    write_export(bucket / "orders-create/2026-03-01.csv", rows)
    load()
    assert check("every_amount_is_read").passed
    found = check("no_amount_is_finer_than_a_cent")
    assert "orders_id 1, total_amount 1.2340" in found.said and found.figures == {
        "offending_rows": 1
    }


def test_a_price_that_is_no_number_is_told(bucket: Path) -> None:
    write_export(
        bucket / "orders-create/2026-03-01.csv",
        [
            *orders([1], **MADE, products_id="10", product_price="49,90"),
            *orders([2], **MADE, products_id="10", product_price="N/A"),
        ],
    )
    load(ORDERS, PRODUCTS)
    with access.exclusive():
        found = run_checks(PRODUCTS, "713", ["every_price_is_read"])["every_price_is_read"]
    assert found.said == "_file_name orders-create/2026-03-01.csv, rows 1"


def test_amounts_of_an_earlier_release_get_their_places_and_keep_their_rows(
    project: Project, postgres_url: str
) -> None:
    project.use_postgres(postgres_url)
    bucket = project.add_client("713", prefixes=("orders-create", "orders-update"))
    write_export(bucket / "orders-create/2026-03-01.csv", orders([1], **MADE))
    load()
    with access.transaction("test") as query:
        for column in ("total_amount", "refund_amount", "tax_amount"):
            query(f"ALTER TABLE public.orders ALTER COLUMN {column} TYPE numeric")
        query("COMMENT ON TABLE public.orders IS 'as an earlier release had it'")
        query("UPDATE public.orders SET tax_amount = 1e20")
        query(
            "INSERT INTO public.orders (_client_id, orders_id, total_amount) VALUES ('cti', 7,"
            " 5.12345)"
        )
        query("CREATE VIEW public.of_users AS SELECT orders_id, refund_amount FROM public.orders")
    load()
    types = dict(
        ask(
            "SELECT column_name, coalesce(numeric_precision, 0) FROM information_schema.columns "
            "WHERE table_name = 'orders' AND column_name LIKE '%%_amount'"
        )
    )
    assert types == {"total_amount": 18, "tax_amount": 18, "refund_amount": 0, "void_amount": 18}
    assert ask("SELECT _client_id, total_amount FROM public.orders ORDER BY 1") == [
        ("713", Decimal("89.9")),
        ("cti", Decimal("5.1235")),
    ]
    assert ask("SELECT orders_id FROM public.of_users ORDER BY 1") == [(1,), (7,)]
