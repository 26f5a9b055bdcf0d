"""The SQL models on both engines: the cost rule on figures added up by hand, orders as they stand,
and the graph.
"""

import dataclasses
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from signalroom_dagster.config import ConfigurationError, destination_name
from signalroom_dagster.doctor.inspection import inspect
from signalroom_dagster.loading import pipelines
from signalroom_dagster.modeling import runs
from signalroom_dagster.modeling.checks import checks_of, run_checks
from signalroom_dagster.modeling.runs import (
    create_models,
    left_out_models,
    run_model,
    run_models_of,
)
from signalroom_dagster.modeling.sql import Model, models
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.retries import decide
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project, orders, write_export

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)
PERFORMANCE, ORDERS = ("public", "daily_performance"), ("public", "orders")


def insert(table: str, *rows: dict[str, Any]) -> None:
    with access.exclusive(), access.transaction("test") as query:
        for row in rows:
            places = ", ".join(["%s"] * len(row))
            query(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


def run(name: tuple[str, str], client_id: str = "713") -> int:
    with access.exclusive():
        return run_model(name, get_client(client_id)).rows


def earned(
    day: date, affiliate: int, label: str, cv: int, revenue: str, payout: str, **more: Any
) -> dict[str, Any]:
    return {
        "_client_id": "713",
        "_loaded_at": "2026-03-04T00:00:00Z",
        "date": day,
        "affiliate_id": affiliate,
        "affiliate_label": label,
        "advertiser_id": 1,
        "advertiser_label": "ACME",
        "clicks": 100,
        "conversions": cv,
        "revenue": revenue,
        "payout": payout,
        **more,
    }


def spent(day: date, source: str, clicks: int, cost: str, client: str = "713") -> dict[str, Any]:
    return {
        "_client_id": client,
        "_loaded_at": "2026-03-04T00:00:00Z",
        "date": day,
        "source_id": source,
        "source_name": source,
        "clicks": clicks,
        "cost": cost,
    }


def mapped(
    source: str, label: str | None, advertiser: int | None, client: str = "713"
) -> dict[str, Any]:
    return {
        "client_id": client,
        "redtrack_source_id": source,
        "everflow_affiliate_label": label,
        "everflow_advertiser_id": advertiser,
        "everflow_affiliate_id": 1,
    }


@pytest.fixture
def tables(any_warehouse: Project) -> None:
    for client_id in ("713", "cti"):
        any_warehouse.add_client(client_id)
        for source in ("everflow", "redtrack", "affiliate_mapping"):
            any_warehouse.add_api_client(client_id, source)
    for source in ("everflow", "redtrack", "affiliate_mapping"):
        pipelines.create_tables(source)


def map_sources(*rows: dict[str, Any]) -> None:
    """Into the mapping as its load writes it: on DuckDB the client's tag is a column of its own."""
    tagged = (
        ask(
            "SELECT is_generated FROM information_schema.columns WHERE column_name = '_client_id' "
            "AND table_name = 'affiliate_mapping'"
        )[0][0]
        != "ALWAYS"
    )
    insert(
        "public.affiliate_mapping",
        *({**row, "_client_id": row["client_id"]} if tagged else row for row in rows),
    )


@pytest.mark.usefixtures("tables")
def test_the_cost_rule() -> None:
    insert(
        "everflow.daily_stats",
        earned(
            DAY, 41, "G2 - Meta ", 8, "800", "10"
        ),  # internal, with a trailing space, as Everflow sends it
        earned(
            DAY, 42, "\t G2 - Meta\u00a0\r\n", 2, "200", "0"
        ),  # the same label under a second id, and other spaces
        earned(DAY, 7, "Northwind ", 4, "400.10", "300.01"),  # external
        earned(DAY, 9, "Idle", 0, "0", "0"),
    )
    map_sources(
        mapped("meta-a", "G2 - Meta", 1),
        mapped("meta-b", "G2 - Meta", 1),  # two sources, one affiliate
        mapped("google", "G2 - Google", 1),
        mapped("push", None, 1),  # n/a, with an advertiser
        mapped("organic", None, None),
        mapped("meta-a", "Elsewhere", 1, client="cti"),
    )
    insert(
        "redtrack.daily_spend",
        spent(DAY, "meta-a", 60, "500.00"),
        spent(DAY, "meta-b", 40, "250.10"),
        spent(DAY, "push", 5, "10"),
        spent(DAY, "organic", 1, "2.50"),
        spent(DAY, "never heard of", 2, "3.25"),
        spent(NEXT, "google", 7, "70"),  # spend on a day without Everflow rows
        spent(DAY, "meta-a", 1, "999", client="cti"),
    )
    assert run(PERFORMANCE) == 6
    rows = ask(
        "SELECT date, advertiser_id, affiliate_label, is_internal, clicks, conversions,"
        " everflow_revenue, everflow_payout, redtrack_clicks, redtrack_cost, cost, profit, cpa,"
        " roas FROM public.daily_performance WHERE _client_id = '713' ORDER BY date, advertiser_id,"
        " affiliate_label"
    )
    # 750.10 = 500.00 + 250.10; cpa 75.0100 = 750.10 / 10; roas 1.3332 = 1000 / 750.10; profit
    # 249.90 = 1000 - 750.10
    # Northwind: cpa 75.0025 = 300.01 / 4; roas 1.3336 = 400.10 / 300.01; profit 100.09
    # (unmapped): 5.75 = 2.50 + 3.25 without an advertiser; 10 with one
    zero, none = Decimal(0), "(unmapped)"
    assert rows == [
        (
            DAY,
            0,
            none,
            True,
            0,
            0,
            zero,
            zero,
            3,
            Decimal("5.75"),
            Decimal("5.75"),
            Decimal("-5.75"),
            None,
            zero,
        ),
        (
            DAY,
            1,
            none,
            True,
            0,
            0,
            zero,
            zero,
            5,
            Decimal("10"),
            Decimal("10"),
            Decimal("-10"),
            None,
            zero,
        ),
        (
            DAY,
            1,
            "G2 - Meta",
            True,
            200,
            10,
            Decimal("1000"),
            Decimal("10"),
            100,
            Decimal("750.10"),
            Decimal("750.10"),
            Decimal("249.90"),
            Decimal("75.01"),
            Decimal("1.3332"),
        ),
        (DAY, 1, "Idle", False, 100, 0, zero, zero, 0, zero, zero, zero, None, None),
        (
            DAY,
            1,
            "Northwind",
            False,
            100,
            4,
            Decimal("400.10"),
            Decimal("300.01"),
            0,
            zero,
            Decimal("300.01"),
            Decimal("100.09"),
            Decimal("75.0025"),
            Decimal("1.3336"),
        ),
        (
            NEXT,
            1,
            "G2 - Google",
            True,
            0,
            0,
            zero,
            zero,
            7,
            Decimal("70"),
            Decimal("70"),
            Decimal("-70"),
            None,
            zero,
        ),
    ]
    per_day = ask(
        "SELECT date, SUM(redtrack_cost) FROM public.daily_performance WHERE _client_id = '713'"
        " GROUP BY 1 ORDER BY 1"
    )
    assert per_day == ask(
        "SELECT date, SUM(cost) FROM redtrack.daily_spend WHERE _client_id = '713' GROUP BY 1 ORDER"
        " BY 1"
    )


@pytest.mark.usefixtures("tables")
def test_a_model_replaces_its_clients_rows_and_no_others() -> None:
    insert("redtrack.daily_spend", spent(DAY, "a", 1, "1"), spent(DAY, "b", 1, "2", client="cti"))
    assert (run(PERFORMANCE), run(PERFORMANCE, "cti")) == (1, 1)
    insert("redtrack.daily_spend", spent(NEXT, "a", 1, "5"))
    assert (run(PERFORMANCE), run(PERFORMANCE)) == (2, 2)
    assert ask(
        "SELECT _client_id, SUM(cost) FROM public.daily_performance GROUP BY 1 ORDER BY 1"
    ) == [("713", Decimal(6)), ("cti", Decimal(2))]


def test_a_client_without_one_of_the_sources_gets_what_the_others_give(
    any_warehouse: Project,
) -> None:
    any_warehouse.add_client("713")
    assert run(PERFORMANCE) == 0
    assert ask("SELECT count(*) FROM public.daily_performance") == [(0,)]


def test_money_is_numeric_and_days_are_dates(any_warehouse: Project) -> None:
    any_warehouse.add_client("713", prefixes=("orders-create", "orders-update"))
    create_models()
    found = dict(
        ask(
            "SELECT column_name, data_type || coalesce('/' || numeric_scale, '') FROM"
            " information_schema.columns WHERE table_schema = 'public' AND table_name ="
            " 'daily_performance'"
        )
    )
    money = {
        "everflow_revenue",
        "everflow_payout",
        "redtrack_cost",
        "cost",
        "profit",
        "cpa",
        "roas",
    }
    assert {found[name].lower() for name in money} <= {"numeric/4", "decimal(18,4)/4"}
    assert found["date"].lower() == "date"


def test_an_order_is_what_the_newest_export_says_of_it(any_warehouse: Project) -> None:
    bucket = any_warehouse.add_client("713", prefixes=("orders-create", "orders-update"))
    made = {
        "order_date": "03/01/2026",
        "order_status": "NEW",
        "total_amount": "95",
        "is_test_cc": "NO",
    }
    write_export(
        bucket / "orders-create/report_2026-03-01.csv",
        [
            *orders([1, 2], **made),
            *orders([3], **{**made, "is_test_cc": "YES"}),
            *orders(
                [4],
                **{
                    **made,
                    "order_status": "DECLINED",
                    "total_amount": "a lot",
                    "order_date": "02/30/2026",
                },
            ),
            *orders(["05"], **made),
            *orders(
                [5],
                **{
                    **made,
                    "order_status": "",
                    "refund_flag": "Y",
                    "affid": "x",
                    "void_date": "01/01/0000",
                },
            ),
        ],
    )
    changed = {**made, "order_status": "VOID/REFUNDED", "refund_flag": "YES", "refund_amount": "95"}
    write_export(bucket / "orders-update/report_2026-03-01.csv", orders([1], **made))
    write_export(bucket / "orders-update/report_2026-03-02.csv", orders([1], **changed))
    pipelines.run_load("s3_exports", get_client("713"), "run")
    assert run(ORDERS) == 5
    assert ask(
        "SELECT orders_id, order_status, order_date, total_amount, is_refunded, refund_amount,"
        " is_test, is_sale, unread_cells FROM public.orders ORDER BY 1"
    ) == [
        (1, "VOID/REFUNDED", date(2026, 3, 1), Decimal(95), True, Decimal(95), False, True, 0),
        (2, "NEW", date(2026, 3, 1), Decimal(95), False, Decimal(0), False, True, 0),
        (3, "NEW", date(2026, 3, 1), Decimal(95), False, Decimal(0), True, False, 0),
        (4, "DECLINED", None, None, False, Decimal(0), False, False, 2),
        (5, None, date(2026, 3, 1), Decimal(95), False, Decimal(0), False, False, 3),
    ]
    assert run(("public", "orders_by_campaign")) == 1
    assert ask(
        "SELECT attempts, sales, revenue, refunds, approval_rate FROM public.orders_by_campaign"
    ) == [(3, 2, Decimal(190), 1, Decimal("0.6667"))]


def test_a_model_that_gets_and_loses_a_column_keeps_every_clients_rows_and_the_views_on_it(
    any_warehouse: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = any_warehouse.add_client("713", prefixes=("orders-create", "orders-update"))
    write_export(
        bucket / "orders-create/report_2026-03-01.csv", orders([1], order_date="03/01/2026")
    )
    pipelines.run_load("s3_exports", get_client("713"), "run")
    run(ORDERS)
    known = models()
    changed = known[ORDERS].sql.replace(
        "FROM newest", ", CAST(1 AS NUMERIC(18, 4)) AS made_later FROM newest"
    )
    changed = re.sub(r"  order_time,  .*\n", "", changed)
    columns = {
        **{name: "" for name in known[ORDERS].columns if name != "order_time"},
        "made_later": "",
    }
    later = dataclasses.replace(known[ORDERS], sql=changed, columns=columns)
    monkeypatch.setattr("signalroom_dagster.modeling.runs.models", lambda: {**known, ORDERS: later})
    any_warehouse.add_client("cti")
    with access.exclusive(), access.transaction("test") as query:
        query("CREATE VIEW public.of_users AS SELECT orders_id, total_amount FROM public.orders")
    run(ORDERS, "cti")
    assert ask("SELECT orders_id, made_later FROM public.orders") == [(1, None)]
    run(ORDERS)
    assert ask("SELECT orders_id, made_later FROM public.orders") == [(1, 1)]
    assert ask("SELECT orders_id FROM public.of_users") == [(1,)]
    types = ask(
        "SELECT data_type || coalesce('/' || numeric_scale, '') FROM information_schema.columns "
        "WHERE table_name = 'orders' AND column_name IN ('made_later', 'order_time')"
    )
    assert [kind.lower() for (kind,) in types] in (["numeric/4"], ["decimal(18,4)/4"])


def test_a_model_whose_column_gets_another_type_has_it_after_each_clients_next_run(
    any_warehouse: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in ("713", "cti"):
        bucket = any_warehouse.add_client(client, prefixes=("orders-create", "orders-update"))
        write_export(
            bucket / "orders-create/report_2026-03-01.csv", orders([1], order_date="03/01/2026")
        )
        pipelines.run_load("s3_exports", get_client(client), "run")
        run(ORDERS, client)
    known = models()
    sql = known[ORDERS].sql.replace(
        "as_integer(gateway_id) AS gateway_id", "CAST(7.5 AS NUMERIC(18, 4)) AS gateway_id"
    )
    changed = dataclasses.replace(known[ORDERS], sql=sql)
    monkeypatch.setattr(
        "signalroom_dagster.modeling.runs.models", lambda: {**known, ORDERS: changed}
    )
    run(ORDERS)
    assert ask("SELECT _client_id, orders_id, gateway_id FROM public.orders ORDER BY 1") == [
        ("713", 1, Decimal("7.5")),
        ("cti", 1, None),
    ]


def test_the_warehouse_says_itself_what_a_models_table_and_columns_mean(
    any_warehouse: Project,
) -> None:
    any_warehouse.add_client("713", prefixes=("orders-create", "orders-update"))
    run(ORDERS)
    with access.exclusive(), access.connected() as query:
        assert (access.comment_of(query, "public.orders") or "").startswith(models()[ORDERS].about)
        about = (
            "SELECT col_description('public.orders'::regclass, ordinal_position::int) FROM"
            " information_schema.columns WHERE table_schema = 'public' AND table_name = 'orders'"
            " AND column_name = '_loaded_at'"
            if destination_name() == "postgres"
            else (
                "SELECT comment FROM duckdb_columns() WHERE table_name = 'orders' AND column_name ="
                " '_loaded_at'"
            )
        )
        assert query(about) == [(models()[ORDERS].columns["_loaded_at"],)]


def test_what_a_model_reads_and_gives_is_read_from_its_sql() -> None:
    model = models()[PERFORMANCE]
    assert set(model.reads) == {
        ("everflow", "daily_stats"),
        ("redtrack", "daily_spend"),
        ("public", "affiliate_mapping"),
    }
    assert list(models()).index(ORDERS) < list(models()).index(("public", "refund_risk"))
    for found in models().values():
        assert found.about.count("Grain: client") == 1
        assert all(found.columns.values()), f"{found.name}: a column without a description"


BROKEN = {
    "spend_in_is_spend_out": (
        "UPDATE public.daily_performance SET redtrack_cost = redtrack_cost + 1"
    ),
    "payout_in_is_payout_out": "DELETE FROM everflow.daily_stats WHERE affiliate_id = 7",
    "key_unique": (
        "INSERT INTO public.daily_performance SELECT * FROM public.daily_performance WHERE cost"
        " = 70"
    ),
    "no_negative_cost": "UPDATE public.daily_performance SET cost = -1",
    "cpa_is_cost_by_conversions": (
        "UPDATE public.daily_performance SET cpa = 9 WHERE conversions > 0"
    ),
    "spend_without_conversions": "UPDATE public.daily_performance SET conversions = 0",
    "unmapped_spend": "UPDATE public.daily_performance SET affiliate_label = '(unmapped)'",
    "volume_as_usual": (
        "UPDATE public.daily_performance SET clicks = 9000 WHERE date = "
        "(SELECT MAX(date) - 1 FROM public.daily_performance)"
    ),
}


@pytest.mark.usefixtures("tables")
def test_each_check_finds_what_it_looks_for_and_nothing_else() -> None:
    weeks = [date(2026, 2, 3) + timedelta(days=7 * number) for number in range(5)]
    insert("everflow.daily_stats", *(earned(day, 7, "Northwind", 4, "400", "300") for day in weeks))
    insert("everflow.daily_stats", earned(weeks[-1], 41, "G2 - Meta", 2, "100", "0", clicks=0))
    insert(
        "everflow.daily_stats",
        earned(weeks[-1] + timedelta(days=1), 7, "Northwind", 1, "9", "3", clicks=1),
    )
    map_sources(mapped("meta", "G2 - Meta", 1))
    insert("redtrack.daily_spend", spent(weeks[-1], "meta", 60, "70"))
    run(PERFORMANCE)
    names = list(checks_of(PERFORMANCE))
    assert set(names) == set(BROKEN)
    for name, breaking in BROKEN.items():
        with access.exclusive():
            assert all(found.passed for found in run_checks(PERFORMANCE, "713", names).values())
            with access.transaction("test") as query:
                query("CREATE TABLE public.kept AS SELECT * FROM public.daily_performance")
                query("CREATE TABLE public.kept_stats AS SELECT * FROM everflow.daily_stats")
                query(breaking)
            assert not run_checks(PERFORMANCE, "713", [name])[name].passed, name
            assert run_checks(PERFORMANCE, "cti", [name])[name].passed, name
            with access.transaction("test") as query:
                for table, kept in (
                    ("public.daily_performance", "kept"),
                    ("everflow.daily_stats", "kept_stats"),
                ):
                    query(f"DELETE FROM {table}")
                    query(f"INSERT INTO {table} SELECT * FROM public.{kept}")
                    query(f"DROP TABLE public.{kept}")


def test_orders_are_checked_against_the_exports(any_warehouse: Project) -> None:
    bucket = any_warehouse.add_client("713", prefixes=("orders-create", "orders-update"))
    write_export(
        bucket / "orders-create/report_2026-03-01.csv", orders([1, 2], order_date="03/01/2026")
    )
    pipelines.run_load("s3_exports", get_client("713"), "run")
    run(ORDERS)
    with access.exclusive():
        names = list(checks_of(ORDERS))
        assert all(found.passed for found in run_checks(ORDERS, "713", names).values())
        with access.transaction("test") as query:
            query("DELETE FROM public.orders WHERE orders_id = 2")
            query(
                "UPDATE public.orders SET unread_cells = 1, total_amount = 1.234, void_amount ="
                " NULL"
            )
            query("UPDATE s3_exports.orders_create SET orders_id = 'none' WHERE orders_id = '1'")
            query("INSERT INTO public.orders SELECT * FROM public.orders")
        found = run_checks(ORDERS, "713", names)
    assert {name for name, finding in found.items() if not finding.passed} == set(names)
    assert found["every_order_is_there"].said == "orders_id 2"


@pytest.mark.parametrize(
    ("sql", "place", "words"),
    [
        (
            "-- nme\nSELECT _client_id,\n  nme AS x\nFROM everflow.daily_stats",
            "line 3, column 3: ",
            "nme",
        ),
        (
            "SELECT _client_id,\n  s.nme AS x\nFROM everflow.daily_stats AS s",
            "line 2, column ",
            "nme",
        ),
        (
            "SELECT _client_id,\n  no_such(date) AS x\nFROM everflow.daily_stats",
            "line 2, column 3: ",
            "no_such",
        ),
        (
            "SELECT _client_id, SUM(clicks) AS x\nFROM everflow.daily_stats",
            "line 1, column 8: ",
            "GROUP BY",
        ),
    ],
)
def test_what_the_planner_refuses_is_told_with_its_place_and_not_tried_again(
    any_warehouse: Project, monkeypatch: pytest.MonkeyPatch, sql: str, place: str, words: str
) -> None:
    any_warehouse.add_api_client("713", "everflow")
    model = Model(
        ("public", "broken"), sql, "", [("everflow", "daily_stats")], {"_client_id": "", "x": ""}
    )
    monkeypatch.setattr("signalroom_dagster.modeling.runs.models", lambda: {model.name: model})
    with pytest.raises(ConfigurationError) as caught:
        run(model.name)
    assert str(caught.value).startswith(f"models/public/broken.sql, {place}") and words in str(
        caught.value
    )
    assert decide(caught.value, 1).wait is None


def test_orders_are_made_also_for_a_client_with_one_kind_of_export(any_warehouse: Project) -> None:
    bucket = any_warehouse.add_client("713", prefixes=["orders-create"])
    write_export(bucket / "orders-create" / "2026-03-01.csv", orders([1, 2], total_amount="10.00"))
    pipelines.run_load("s3_exports", get_client("713"), "run-1")
    assert ORDERS in run_models_of(["s3_exports"], get_client("713"))
    assert ask("SELECT count(*) FROM public.orders WHERE _client_id = '713'") == [(2,)]
    assert ask("SELECT count(*) FROM s3_exports.orders_update") == [(0,)]


def test_a_model_that_nobody_can_have_is_named_with_what_it_lacks(
    any_warehouse: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_warehouse.add_client("713")
    lacking = dataclasses.replace(
        models()[ORDERS], name=("public", "odd"), reads=[("shop", "orders")]
    )
    monkeypatch.setattr(runs, "models", lambda: {**models(), lacking.name: lacking})
    sentence = (
        "model public.odd is left out for every client: it reads shop.orders, which no client's"
        " sources bring"
    )
    assert left_out_models()[lacking.name] == sentence
    with access.exclusive(), access.connected() as query:
        assert sentence in [item.problem for item in inspect(query)]
