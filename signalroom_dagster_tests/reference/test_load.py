"""Reference files into the warehouse: the client's rows become those of the file, and nothing else
is touched.
"""

import csv
import multiprocessing
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.reference.checks import key_unique, single_values
from signalroom_dagster.reference.load import create_reference_tables, load_reference
from signalroom_dagster.reference.tables import stored_columns
from signalroom_dagster.reference_data import Difference, difference_lines
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.sources.affiliate_mapping import tables_of
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.errors import LoadError
from signalroom_dagster_tests.loading.processes import finish
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.affiliate_mapping.reference_files import (
    GOOGLE,
    META,
    UNMAPPED,
    mapping_folder,
    write_mapping,
    write_prices,
)

SOURCE = "affiliate_mapping"
LABELS = (
    "SELECT client_id, redtrack_source_id, everflow_affiliate_label FROM public.affiliate_mapping"
    " ORDER BY 1, 2"
)
REPLACED = """
    CREATE TABLE public.affiliate_mapping (
        id {serial} PRIMARY KEY, client_id TEXT NOT NULL, redtrack_source TEXT, redtrack_source_id
          TEXT NOT NULL,
        everflow_affiliate_id INTEGER, everflow_affiliate_label TEXT, everflow_advertiser_id
          INTEGER,
        everflow_advertiser_label TEXT, created_at TIMESTAMPTZ DEFAULT NOW(), updated_at
          TIMESTAMPTZ DEFAULT NOW(),
        UNIQUE (client_id, redtrack_source_id))
"""


@pytest.fixture
def files(any_warehouse: Project) -> Project:
    """Two clients with a mapping each, on either engine."""
    return with_mappings(any_warehouse)


@pytest.fixture
def duckdb_files(project: Project) -> Project:
    """The same where the engine does not matter."""
    return with_mappings(project)


def with_mappings(project: Project) -> Project:
    for client_id in ("713", "cti"):
        project.add_api_client(client_id, SOURCE)
        write_mapping(project.root, META, GOOGLE, UNMAPPED, client_id=client_id)
    return project


def load(client_id: str = "713", *, dry_run: bool = False) -> list[Difference]:
    with access.exclusive():
        return load_reference(SOURCE, get_client(client_id), dry_run)


def counts(difference: Difference) -> tuple[int, int, int]:
    return len(difference.added), len(difference.changed), len(difference.removed)


def stamps() -> Mapping[str, tuple[Any, ...]]:
    return {
        source: tuple(rest)
        for source, *rest in ask(
            "SELECT redtrack_source_id, id, created_at, updated_at FROM public.affiliate_mapping "
            "WHERE client_id = '713'"
        )
    }


def test_a_first_load_makes_the_table_and_the_documented_queries_run(files: Project) -> None:
    assert counts(load()[0]) == (3, 0, 0)
    load("cti")
    rows = ask("SELECT * FROM public.affiliate_mapping WHERE client_id = '713'")
    assert len(rows) == 3
    with access.exclusive(), access.connected() as query:
        columns = stored_columns(query, "affiliate_mapping")
    assert list(columns) == [
        "id",
        "client_id",
        "_client_id",
        "redtrack_source",
        "redtrack_source_alias",
        "redtrack_source_id",
        "everflow_affiliate_id",
        "everflow_affiliate_label",
        "everflow_advertiser_id",
        "everflow_advertiser_label",
        "created_at",
        "updated_at",
    ]
    assert [columns[name].type for name in ("id", "everflow_affiliate_id", "created_at")] == [
        "integer",
        "integer",
        "timestamp with time zone",
    ]
    assert ask(
        "SELECT count(*), count(DISTINCT id) FROM public.affiliate_mapping WHERE _client_id ="
        " client_id"
    ) == [(6, 6)]
    ask("CREATE SCHEMA everflow")
    ask("CREATE TABLE everflow.daily_stats (_client_id text, affiliate_id integer, payout integer)")
    ask("INSERT INTO everflow.daily_stats VALUES ('713', 1, 75), ('cti', 1, 20)")
    joined = ask(
        "SELECT e.*, m.everflow_affiliate_label FROM everflow.daily_stats e JOIN"
        " public.affiliate_mapping m ON e.affiliate_id = m.everflow_affiliate_id AND e._client_id ="
        " m.client_id WHERE e._client_id = '713' ORDER BY m.everflow_affiliate_label"
    )
    assert joined == [
        ("713", 1, 75, "G2 - Google"),
        ("713", 1, 75, "G2 - Meta"),
    ]  # one id, two labels: it fans out


def test_nothing_but_the_tables_stands_in_the_schema(files: Project) -> None:
    load()
    found = ask("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    assert found == [("affiliate_mapping",)]


def test_a_second_load_changes_nothing(files: Project) -> None:
    load()
    before = stamps()
    time.sleep(0.02)
    assert counts(load()[0]) == (0, 0, 0)
    assert stamps() == before


def test_spaces_around_a_label_are_no_change(duckdb_files: Project) -> None:
    load()
    write_mapping(
        duckdb_files.root, META.replace("G2 - Meta ", "G2 - Meta"), GOOGLE + " ", UNMAPPED
    )
    assert counts(load()[0]) == (0, 0, 0)


def test_only_the_row_that_changed_is_written_and_it_keeps_its_id_and_its_birthday(
    files: Project,
) -> None:
    load()
    before = stamps()
    time.sleep(0.02)
    write_mapping(
        files.root,
        META,
        GOOGLE.replace("G2 - Google", "n/a"),
        UNMAPPED,
        "New,x,src-9,1,G2 - New,2,BETA",
    )
    found = load()[0]
    assert counts(found) == (1, 1, 0)
    assert [
        found.changed[0].before["everflow_affiliate_label"],
        found.changed[0].after["everflow_affiliate_label"],
    ] == ["G2 - Google", None]
    after = stamps()
    assert after["src-1"] == before["src-1"] and after["src-3"] == before["src-3"]
    assert after["src-2"][:2] == before["src-2"][:2]
    assert after["src-2"][2] > before["src-2"][2]
    assert len(after) == 4


def test_a_row_that_is_gone_from_the_file_is_deleted_for_that_client_only(files: Project) -> None:
    load()
    load("cti")
    write_mapping(files.root, GOOGLE)
    assert counts(load()[0]) == (0, 0, 2)
    assert ask(LABELS) == [
        ("713", "src-2", "G2 - Google"),
        ("cti", "src-1", "G2 - Meta"),
        ("cti", "src-2", "G2 - Google"),
        ("cti", "src-3", None),
    ]


def test_a_file_without_rows_deletes_all_rows_only_when_told_so(files: Project) -> None:
    load()
    load("cti")
    write_mapping(files.root)
    for dry_run in (True, False):
        with pytest.raises(
            ConfigurationError,
            match=r"client 713 has 3 rows in public.affiliate_mapping.*allow_empty",
        ):
            load(dry_run=dry_run)
    assert len(ask(LABELS)) == 6
    files.configure("713", SOURCE, allow_empty="true")
    assert counts(load()[0]) == (0, 0, 3)
    assert {client for client, *_ in ask(LABELS)} == {"cti"}


def test_a_client_may_start_with_a_file_without_rows(duckdb_files: Project) -> None:
    write_mapping(duckdb_files.root)
    assert counts(load()[0]) == (0, 0, 0)
    assert ask(LABELS) == []


def test_a_dry_run_tells_everything_and_writes_nothing(files: Project) -> None:
    assert counts(load(dry_run=True)[0]) == (3, 0, 0)
    assert ask("SELECT 1 FROM information_schema.tables WHERE table_schema = 'public'") == []
    load()
    before = stamps()
    write_mapping(
        files.root,
        META.replace("G2 - Meta ", "G2 - Native"),
        "New,x,src-9,1,G2 - New,2,BETA",
        UNMAPPED,
    )
    assert list(difference_lines("713", load(dry_run=True))) == [
        "client 713, public.affiliate_mapping: 1 added, 1 changed, 1 removed, 1 as they were",
        (
            "  + src-9: redtrack_source 'New', redtrack_source_alias 'x', everflow_affiliate_id 1,"
            " everflow_affiliate_label 'G2 - New', everflow_advertiser_id 2,"
            " everflow_advertiser_label 'BETA'"
        ),
        "  ~ src-1: everflow_affiliate_label 'G2 - Meta' → 'G2 - Native'",
        (
            "  - src-2: redtrack_source 'Test Google', redtrack_source_alias 'google',"
            " everflow_affiliate_id 1, everflow_affiliate_label 'G2 - Google',"
            " everflow_advertiser_id 1, everflow_advertiser_label 'ACME'"
        ),
    ]
    assert stamps() == before


def test_the_replaced_systems_table_is_taken_over_with_its_rows(files: Project) -> None:
    make_replaced()
    then = "'2025-01-01 00:00:00+00'"
    ask(
        "INSERT INTO public.affiliate_mapping (id, client_id, redtrack_source, redtrack_source_id,"
        " everflow_affiliate_id, everflow_affiliate_label, everflow_advertiser_id,"
        " everflow_advertiser_label, created_at, updated_at) VALUES (901, '713', 'Test Google',"
        f" 'src-2', 1, 'G2 - Google', 1, 'ACME', {then}, {then}), (902, 'old', 'Other', 'src-7', 1,"
        f" 'G2', 1, 'ACME', {then}, {then})"
    )
    before = stamps()
    assert counts(load(dry_run=True)[0]) == (2, 1, 0)
    assert counts(load()[0]) == (2, 1, 0)
    assert stamps()["src-2"][:2] == before["src-2"][:2]
    others = (
        "SELECT id, client_id, _client_id, redtrack_source_alias, updated_at FROM"
        " public.affiliate_mapping WHERE client_id = 'old'"
    )
    assert ask(others) == [(902, "old", "old", None, before["src-2"][2])]
    assert ask("SELECT count(*) FROM public.affiliate_mapping WHERE _client_id = '713'") == [(3,)]
    assert counts(load()[0]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "everflow_affiliate_id INTEGER|everflow_affiliate_id TEXT",
            "everflow_affiliate_id is (text|varchar)",
        ),
        ("client_id TEXT NOT NULL|tenant TEXT", "lacks client_id"),
        ("redtrack_source TEXT|redtrack_source TEXT, note TEXT NOT NULL", "note needs a value"),
    ],
)
def test_a_table_of_another_kind_is_refused_untouched(
    files: Project, change: str, said: str
) -> None:
    make_replaced(*change.split("|"), keyed=False)
    shape = (
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema ="
        " 'public' ORDER BY 1"
    )
    before = ask(shape)
    for dry_run in (True, False):
        with pytest.raises(
            ConfigurationError, match=f"public.affiliate_mapping is there, but is not .*{said}"
        ):
            load(dry_run=dry_run)
    assert ask(shape) == before
    assert ask("SELECT count(*) FROM public.affiliate_mapping") == [(0,)]


def test_a_table_that_lost_its_key_is_cleared_of_rows_that_repeat_one(files: Project) -> None:
    make_replaced(keyed=False)
    for _ in range(2):
        ask(
            "INSERT INTO public.affiliate_mapping (client_id, redtrack_source_id) VALUES ('713',"
            " 'src-1')"
        )
    with access.exclusive(), access.connected() as query:
        query("ALTER TABLE public.affiliate_mapping ADD COLUMN _client_id text DEFAULT 'nobody'")
        schema = tables_of([], files.root)[SOURCE]
        assert not key_unique(query, schema, "713").passed
    assert counts(load()[0]) == (2, 1, 0)
    assert ask(LABELS) == [
        ("713", "src-1", "G2 - Meta"),
        ("713", "src-2", "G2 - Google"),
        ("713", "src-3", None),
    ]
    with access.exclusive(), access.connected() as query:
        assert key_unique(query, schema, "713").passed


def test_an_error_in_the_middle_leaves_the_table_as_it_was_and_quotes_no_row(
    files: Project,
) -> None:
    load()
    limit = (
        "CREATE UNIQUE INDEX one_alias ON public.affiliate_mapping (client_id,"
        " redtrack_source_alias)"
    )
    ask(limit)
    before = stamps()
    write_mapping(
        files.root,
        GOOGLE.replace("ACME", "BETA"),
        "Quiet,email,src-8,1,G2 - Quiet,1,ACME",
        UNMAPPED,
    )
    with pytest.raises(LoadError, match="client 713, table public.affiliate_mapping") as refused:
        load()
    assert "Quiet" not in str(refused.value)
    assert stamps() == before


def test_other_tables_need_only_a_schema_file_and_every_client_has_its_part(files: Project) -> None:
    write_prices(files.root, "home,95.5,40,yes,2026-03-01,first", "clay,49,n/a,no,,")
    assert [counts(item) for item in load()] == [(3, 0, 0), (2, 0, 0)]
    assert [counts(item) for item in load()] == [(0, 0, 0), (0, 0, 0)]
    assert [counts(item) for item in load("cti")] == [(3, 0, 0), (0, 0, 0)]
    found = ask(
        'SELECT _client_id, sku, unit_price, seats, on_sale, "order" FROM public.price_list ORDER'
        " BY sku"
    )
    assert [(row[0], row[1], str(row[2]), *row[3:]) for row in found] == [
        ("713", "clay", "49.0000", None, False, None),
        ("713", "home", "95.5000", 40, True, "first"),
    ]


def test_a_file_that_vanished_does_not_take_the_clients_rows_along(duckdb_files: Project) -> None:
    for client_id in ("713", "cti"):
        write_prices(duckdb_files.root, "home,95.5,40,yes,2026-03-01,first", client_id=client_id)
        load(client_id)
    for path in mapping_folder(duckdb_files.root).glob("prices.*"):
        path.unlink()
    with pytest.raises(
        ConfigurationError, match="client 713 has 1 rows in public.price_list, but no file for it"
    ):
        load()
    assert [counts(item) for item in load("cti")] == [(0, 0, 0), (0, 0, 0)]
    assert ask("SELECT count(*) FROM public.price_list") == [(2,)]


def test_thousands_of_rows_are_loaded_whole(duckdb_files: Project) -> None:
    write_mapping(duckdb_files.root, *(f"S,,src-{number},1,L,1,ACME" for number in range(1_234)))
    assert counts(load()[0]) == (1_234, 0, 0)
    write_mapping(duckdb_files.root, *(f"S,,src-{number},1,L,1,ACME" for number in range(3)))
    assert counts(load()[0]) == (0, 0, 1_231)
    assert len(ask(LABELS)) == 3


def test_tables_can_be_made_before_there_is_anything_to_load(files: Project) -> None:
    write_prices(files.root)
    for _ in range(2):
        create_reference_tables(SOURCE)
    assert ask(LABELS) == ask("SELECT * FROM public.price_list") == []
    assert counts(load()[0]) == (3, 0, 0)


def test_a_label_under_two_advertisers_is_noticed(duckdb_files: Project) -> None:
    load()
    schema = tables_of([], duckdb_files.root)[SOURCE]
    with access.exclusive(), access.connected() as query:
        assert (
            key_unique(query, schema, "713").passed and single_values(query, schema, "713").passed
        )
    write_mapping(duckdb_files.root, META, GOOGLE, "Meta B,facebook,src-4,1,G2 - Meta,2,BETA")
    load()
    with access.exclusive(), access.connected() as query:
        found = single_values(query, schema, "713")
        assert single_values(query, schema, "cti").passed
    assert not found.passed
    assert "G2 - Meta stands under several values of everflow_advertiser_id" in found.said


@pytest.mark.slow
def test_two_clients_and_each_of_them_twice_at_once_neither_mix_nor_double_rows(
    files: Project,
) -> None:
    rows = [f"S,,src-{number},1,L,1,ACME" for number in range(300)]
    write_mapping(files.root, *rows)
    write_mapping(files.root, *rows[:200], client_id="cti")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    running = [
        context.Process(target=_load_apart, args=(files.environment, client_id))
        for client_id in ("713", "cti", "713", "cti")
    ]
    for process in running:
        process.start()
    assert [finish(process) for process in running] == [0, 0, 0, 0]
    counted = ask(
        "SELECT client_id, count(*), count(DISTINCT redtrack_source_id), count(_client_id) "
        "FROM public.affiliate_mapping GROUP BY 1 ORDER BY 1"
    )
    assert counted == [("713", 300, 300, 300), ("cti", 200, 200, 200)]


def test_a_load_waits_for_another_of_the_same_client_and_then_finds_its_rows(
    project: Project, postgres_url: str
) -> None:
    project.use_postgres(postgres_url)
    with_mappings(project)
    create_reference_tables(SOURCE)
    found: list[Difference] = []
    waiting = threading.Thread(target=lambda: found.extend(load()))
    with access.transaction("another load") as query:
        access.lock(query, "public|affiliate_mapping|713")
        query(
            "INSERT INTO public.affiliate_mapping (client_id, redtrack_source_id) VALUES ('713',"
            " 'src-1')"
        )
        waiting.start()
        assert counts(load("cti")[0]) == (3, 0, 0)
        while not ask("SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert waiting.is_alive()
            time.sleep(0.01)
    waiting.join(30)
    assert [counts(item) for item in found] == [(2, 1, 0)]
    assert len(ask("SELECT 1 FROM public.affiliate_mapping WHERE client_id = '713'")) == 3


def make_replaced(old: str = "", new: str = "", *, keyed: bool = True) -> None:
    """The replaced system's table, as it made it or with something else in it."""
    sql, serial = REPLACED.replace(old, new) if old else REPLACED, "serial"
    if os.environ["SIGNALROOM_DESTINATION"] == "duckdb":
        ask("CREATE SCHEMA IF NOT EXISTS public")
        ask("CREATE SEQUENCE public.old_id")
        serial = "INTEGER DEFAULT nextval('public.old_id')"
    if not keyed:
        sql = sql.replace(",\n        UNIQUE (client_id, redtrack_source_id)", "")
    ask(sql.format(serial=serial))


def _load_apart(environment: Mapping[str, str], client_id: str) -> None:
    os.environ.update(environment)
    load(client_id)


@pytest.mark.parametrize("how", ["emptied", "left out"])
def test_a_column_that_lost_all_its_cells_is_refused_until_the_settings_say_that_it_may(
    files: Project, how: str
) -> None:
    load()
    path = mapping_folder(files.root, "713") / "internal-affiliates.csv"
    rows = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    at = rows[0].index("redtrack.source_alias")
    changed = [
        [
            cell if place != at or (how == "emptied" and number == 0) else ""
            for place, cell in enumerate(cells)
        ]
        for number, cells in enumerate(rows)
    ]
    if how == "left out":
        changed = [[cell for place, cell in enumerate(cells) if place != at] for cells in changed]
    path.write_text("\n".join(",".join(f'"{cell}"' for cell in cells) for cells in changed))
    before = ask(
        "SELECT redtrack_source_id, redtrack_source_alias FROM public.affiliate_mapping ORDER BY 1"
    )
    with pytest.raises(
        ConfigurationError, match="none in the columns redtrack_source_alias: nothing was loaded"
    ):
        load()
    assert (
        ask(
            "SELECT redtrack_source_id, redtrack_source_alias FROM public.affiliate_mapping ORDER"
            " BY 1"
        )
        == before
    )
    files.configure("713", SOURCE, allow_empty="true")
    assert counts(load()[0]) == (0, sum(alias is not None for _, alias in before), 0)
