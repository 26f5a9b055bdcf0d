"""Who may read what on Postgres: a client's reader sees its own rows, whatever loaded them and
whenever it did.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors
from typer.testing import CliRunner

from signalroom_dagster.cli import app
from signalroom_dagster.doctor.inspection import inspect
from signalroom_dagster.events.stores.postgres import PostgresStore
from signalroom_dagster.modeling.runs import run_model
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.reports.archive import store
from signalroom_dagster.reports.deliveries import Delivery
from signalroom_dagster.reports.outbox import deliver
from signalroom_dagster.reports.rendering import Rendered
from signalroom_dagster.reports.subscriptions import ReportDay, Subscription
from signalroom_dagster.reports.tables import create_report_tables
from signalroom_dagster.reports.templates import get_template
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.row_security import OPEN_VIEWS, UNSECURED, roles_sql
from signalroom_dagster_tests.loading.slices import LISTS, SALES, SPEND, put, row
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.postgres import PASSWORD
from signalroom_dagster_tests.projects import Project, orders, write_export
from signalroom_dagster_tests.sources.contexts import march

CLIENTS = ("713", "cti")
ROLES = roles_sql(
    CLIENTS, ["s3_exports", "public", "reports", "analysis", "events", "google_sheets"]
)
EXPORTS = ("orders-create", "orders-update", "prospects-create")
MON, TUE = march([2, 3])
CATALOG = (
    "SELECT c.oid::regclass::text, c.relowner, c.relacl::text, c.relrowsecurity,"
    " array_agg(p.polname ORDER BY p.polname) FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid ="
    " c.oid WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information)' GROUP BY c.oid ORDER"
    " BY 1"
)
FILLED = {
    *("s3_exports.orders_create", "s3_exports.files", "s3_exports.rejected_rows"),
    *("shop.spend", "shop.sales", "shop.lists", "shop.windows", "shop.restatements"),
    *("public.affiliate_mapping", "public.orders", "reports.reports", "reports.deliveries"),
}
UNPROTECTED = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relrowsecurity "
    "AND relnamespace::regnamespace::text !~ '^(pg_|information)'"
)
TAGGED = (
    "SELECT table_schema || '.' || table_name FROM information_schema.columns "
    "WHERE column_name = '_client_id' ORDER BY 1"
)

Ask = Callable[..., Sequence[tuple[Any, ...]]]


@pytest.fixture
def as_admin(postgres_url: str) -> Iterator[Ask]:
    """Asks as the administrator, or with `SET ROLE` as somebody else."""
    connection = psycopg2.connect(postgres_url)
    connection.autocommit = True

    def ask(sql: str, role: str = "postgres") -> Sequence[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(f"SET ROLE {role}")
            try:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
            finally:
                cursor.execute("RESET ROLE")

    yield ask
    connection.close()


@pytest.fixture
def two_clients(project: Project, postgres_url: str, as_admin: Ask) -> Project:
    """Two clients, loaded by the loader's own role, which is no superuser."""
    as_admin(ROLES)
    as_admin(f"ALTER ROLE signalroom_loader PASSWORD '{PASSWORD}'")
    project.use_postgres(postgres_url.replace("//postgres:", "//signalroom_loader:"))
    for client in CLIENTS:
        bucket = project.add_client(client, prefixes=EXPORTS)
        with write_export(bucket / "orders-create" / "a_20260302.csv", orders(range(3))).open(
            "a"
        ) as export:
            export.write("too,short\r\n")
        project.register(client, sources=("s3_exports", "affiliate_mapping"))
        mapping = (
            project.root / "data" / "clients" / client / "mappings" / "internal-affiliates.csv"
        )
        mapping.parent.mkdir()
        header = (
            "redtrack.source",
            "redtrack.source_id",
            "everflow.affiliate_id",
            "everflow.affiliate_label",
            "everflow.advertiser_id",
        )
        with mapping.open("w", newline="") as file:
            csv.writer(file).writerows([header, ("Meta", "aaa", "1", "Meta", "1")])
    return project


def load_everything(folder: Path, *clients: str) -> None:
    """Every kind of load there is, and what the system writes itself."""
    for client in clients:
        load("s3_exports", client)
        load("affiliate_mapping", client)
        put(folder, SPEND, [MON, TUE], [row(MON, "a", 1), row(TUE, "b", 2)], client_id=client)
        put(
            folder, SPEND, [MON], [row(MON, "a", 9)], client_id=client
        )  # a day that was over: restated
        put(folder, SALES, [MON], [row(MON, "a", 1)], replaces="keys", client_id=client)
        put(folder, LISTS, [MON], [row(MON, "a")], replaces="client", client_id=client)
        run_model(("public", "orders"), get_client(client))
        said = Rendered(subject="s", slack="s", text="t", html=None, sms="s", chart=None, alt="")
        create_report_tables()
        with access.transaction("test") as query:
            daily = Subscription(name="daily", template=get_template("daily_performance"))
            store(query, ReportDay(get_client(client), daily, MON), said, {}, "run-1")
        wanted = Delivery(
            client_id=client, report="daily", day=MON, channel="sms", recipient="+1", version=1
        )
        deliver(wanted, said, "run-1", None)


@pytest.mark.usefixtures("two_clients")
def test_a_reader_sees_its_own_clients_rows_after_every_kind_of_load(
    tmp_path: Path, as_admin: Ask
) -> None:
    load_everything(tmp_path, *CLIENTS)
    as_admin(
        "ALTER TABLE public.orders ADD COLUMN gone text"
    )  # so that the model's table is made anew
    load_everything(tmp_path / "again", "713")
    tables = [name for (name,) in as_admin(TAGGED)]
    filled = [
        name for name in tables if len(as_admin(f"SELECT DISTINCT _client_id FROM {name}")) == 2
    ]
    assert set(filled) >= FILLED
    as_admin(
        "CREATE ROLE both_of_them; GRANT signalroom_client_713, signalroom_client_cti TO"
        " both_of_them; CREATE ROLE anon; GRANT ALL ON ALL TABLES IN SCHEMA public TO anon"
    )
    try:
        for name in tables:
            seen = f"SELECT DISTINCT _client_id FROM {name} ORDER BY 1"
            for client in CLIENTS:
                assert as_admin(seen, f"signalroom_client_{client}") == [(client,)] * (
                    name in filled
                ), name
            for everything in ("signalroom_agency", "both_of_them"):
                assert as_admin(seen, everything) == as_admin(seen), name
            assert as_admin(seen, "signalroom_reader") == [], name
            if name.startswith("public."):
                assert as_admin(seen, "anon") == [], name
    finally:
        as_admin("DROP OWNED BY anon; DROP ROLE anon, both_of_them")
    for name in ("shop._dlt_loads", "shop._dlt_version", "shop._dlt_pipeline_state"):
        with pytest.raises(errors.InsufficientPrivilege):
            as_admin(f"SELECT * FROM {name}", "signalroom_agency")
    assert as_admin(UNPROTECTED) == []
    assert as_admin(UNSECURED) == []
    before = as_admin(CATALOG)
    as_admin(ROLES)
    assert as_admin(CATALOG) == before


@pytest.mark.usefixtures("two_clients")
def test_a_role_of_one_client_cannot_write_rows_of_another(tmp_path: Path, as_admin: Ask) -> None:
    put(tmp_path, LISTS, [MON], [row(MON, "a")], replaces="client", client_id="cti")
    as_admin("GRANT INSERT, UPDATE, DELETE ON shop.lists TO signalroom_client_713")
    insert = "INSERT INTO shop.lists (_client_id, _loaded_at, id) VALUES ('{}', now(), 'b')"
    as_admin(insert.format("713"), "signalroom_client_713")
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        as_admin(insert.format("cti"), "signalroom_client_713")
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        as_admin("UPDATE shop.lists SET _client_id = 'cti'", "signalroom_client_713")
    as_admin("DELETE FROM shop.lists", "signalroom_client_713")
    assert as_admin("SELECT _client_id FROM shop.lists") == [("cti",)]


def test_what_another_login_loaded_before_the_roles_is_handed_over(
    two_clients: Project, tmp_path: Path, postgres_url: str, as_admin: Ask
) -> None:
    as_admin(f"CREATE ROLE before LOGIN PASSWORD '{PASSWORD}'")
    as_admin(f"GRANT CREATE ON DATABASE {postgres_url.rpartition('/')[2]} TO before")
    two_clients.use_postgres(postgres_url.replace("//postgres:", "//before:"))
    put(tmp_path, SPEND, [MON], [row(MON, "a", 1)])
    as_admin(
        "DROP POLICY signalroom_agency ON shop.spend; REVOKE ALL ON shop.spend FROM"
        " signalroom_reader; REVOKE ALL ON SCHEMA shop FROM signalroom_reader"
    )
    as_admin(ROLES)
    assert as_admin("SELECT _client_id FROM shop.spend", "signalroom_agency") == [("713",)]
    put(tmp_path, SPEND, [MON], [row(MON, "a", 2)])
    put(tmp_path, LISTS, [MON], [row(MON, "a")], replaces="client")
    as_admin(ROLES)
    two_clients.use_postgres(postgres_url.replace("//postgres:", "//signalroom_loader:"))
    put(tmp_path, SPEND, [TUE], [row(TUE, "b", 1)])
    assert ask("SELECT count(*) FROM shop.spend") == [(2,)]


def test_roles_are_printed_for_every_client_and_schema_that_there_is(project: Project) -> None:
    project.add_client("acme")
    project.add_api_client("acme", "google_sheets", credentials="{}")
    printed = CliRunner().invoke(app, ["roles", "--sql"]).output
    assert "'client_acme'" in printed
    assert all(
        f"'{schema}'" in printed
        for schema in ("events", "google_sheets", "reports", "analysis", "public")
    )
    assert (
        "signalroom_client_acme: sees the rows of client acme"
        in CliRunner().invoke(app, ["roles"]).output
    )


def test_what_the_events_keep_is_handed_over_too(postgres_url: str, as_admin: Ask) -> None:
    PostgresStore(postgres_url).create()
    as_admin(ROLES)
    as_admin("INSERT INTO events.lease VALUES ('one', 'me', now(), now())", "signalroom_loader")
    as_admin("CREATE TABLE events.more (id integer)", "signalroom_loader")
    with pytest.raises(errors.InsufficientPrivilege):
        as_admin("SELECT * FROM events.lease", "signalroom_agency")


def test_doctor_tries_a_write_in_each_schema_and_leaves_nothing(
    two_clients: Project, tmp_path: Path, as_admin: Ask
) -> None:
    load("s3_exports", "713")
    with access.connected() as query:
        assert not [each for each in inspect(query) if each.subject.startswith("schema ")]
        as_admin("ALTER TABLE s3_exports.files OWNER TO postgres")
        (told,) = (each for each in inspect(query) if each.subject.startswith("schema "))
    assert told.subject == "schema s3_exports" and told.problem and told.blocks
    assert (
        "permission denied for table files" in told.problem
        and "signalroom roles --sql" in told.problem
    )
    assert as_admin("SELECT to_regclass('s3_exports.signalroom_doctor')") == [(None,)]


@pytest.mark.slow
def test_doctor_names_tables_without_it_and_puts_it_on_them_when_asked(
    two_clients: Project, as_admin: Ask
) -> None:
    with access.connected() as query:
        query("CREATE TABLE public.other (_client_id text)")
    create = CliRunner().invoke(app, ["doctor", "--create"], env={"COLUMNS": "1000"})
    assert create.exit_code == 0, create.output
    made = [name for (name,) in as_admin(TAGGED) if name != "public.other"]
    assert "reports.deliveries" in made and "public.orders" in made and "s3_exports.files" in made
    for name in [*made, "s3_exports._dlt_version"]:
        as_admin(
            f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY; DROP POLICY IF EXISTS"
            f" signalroom_client ON {name}; DROP POLICY IF EXISTS signalroom_agency ON {name}"
        )
    told = " ".join(CliRunner().invoke(app, ["doctor"]).output.split())
    assert "row level security: without it: analysis.results, everflow.advertisers, " in told
    assert ", public.other, " in told
    CliRunner().invoke(app, ["doctor", "--create"])
    assert as_admin(UNSECURED) == [("public.other",)]
    assert as_admin(UNPROTECTED) == [("other",)]


@pytest.mark.usefixtures("two_clients")
def test_views_with_their_owners_rights_are_found(tmp_path: Path, as_admin: Ask) -> None:
    put(tmp_path, LISTS, [MON], [row(MON, "a")], replaces="client", client_id="cti")
    as_admin(
        "CREATE VIEW public.open AS SELECT * FROM shop.lists; "
        "CREATE VIEW public.closed WITH (security_invoker = true) AS SELECT * FROM shop.lists; "
        "GRANT SELECT ON public.open, public.closed TO signalroom_reader"
    )
    assert as_admin("SELECT count(*) FROM public.open", "signalroom_client_713") == [(1,)]
    assert as_admin("SELECT count(*) FROM public.closed", "signalroom_client_713") == [(0,)]
    assert as_admin(OPEN_VIEWS) == [("public.open",)]
