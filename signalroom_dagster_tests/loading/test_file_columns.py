"""Which column of the shared table each column of a file reaches, in both warehouses: by its
header's text, and never so many that another client has no room.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.loading import file_checks
from signalroom_dagster.loading.pipelines import create_tables, run_load
from signalroom_dagster.registry import accounts
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.projects import HEADER, Project, orders, write_export
from signalroom_dagster_tests.sources.s3_exports.bytes_of_files import csv_bytes

ORDERS = "orders-create/2026-03-01.csv"
CARD = "4111111111111111"
MAIL = "bob@example.com"


@pytest.fixture
def leads(any_warehouse: Project) -> Path:
    """A client's folder of a prefix without a known layout."""
    bucket = any_warehouse.add_client("713", prefixes=["leads"])
    (bucket / "leads").mkdir()
    return bucket / "leads"


@pytest.fixture
def local_leads(project: Project) -> Path:
    """The same in DuckDB alone: for what happens before the warehouse."""
    bucket = project.add_client("713", prefixes=["leads"])
    (bucket / "leads").mkdir()
    return bucket / "leads"


def load(client_id: str = "713", run_id: str = "run") -> None:
    run_load("s3_exports", get_client(client_id), run_id)


def ask(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with access.exclusive(), access.connected() as query:
        return [tuple(row) for row in query(sql, *parameters)]


def rows_of(table: str = "leads", client_id: str = "713") -> list[dict[str, Any]]:
    """The rows with what is in them, tags aside, in the order of files and rows."""
    names = columns_of(table)
    listed = ", ".join(f'"{name}"' for name in names)
    sql = (
        f"SELECT {listed} FROM s3_exports.{table} WHERE _client_id = %s ORDER BY _file_name,"
        " _row_id"
    )
    rows = [dict(zip(names, row, strict=True)) for row in ask(sql, client_id)]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def columns_of(table: str = "leads") -> list[str]:
    sql = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 's3_exports' AND"
        " table_name = %s"
    )
    tags = {"_client_id", "_file_name", "_row_id", "_file_date", "_loaded_at"}
    return sorted(name for (name,) in ask(sql, table) if name not in tags)


def others_of(row: Mapping[str, Any]) -> Any:
    found = row["_other_columns"]
    return json.loads(found) if isinstance(found, str) else found


def ledger() -> list[tuple[Any, ...]]:
    return ask(
        "SELECT status, rows_in_file, rows_loaded, rows_rejected FROM s3_exports.files ORDER BY"
        " _file_name"
    )


def check(table: str = "leads", client_id: str = "713", run_id: str = "run") -> file_checks.Finding:
    with access.exclusive(), access.connected() as query:
        assert file_checks.row_balance(query, "s3_exports", table, client_id, run_id).passed
        return file_checks.all_rows_read(query, "s3_exports", table, client_id, run_id)


def write(folder: Path, *files: Sequence[Sequence[str]]) -> None:
    for number, rows in enumerate(files, start=1):
        (folder / f"2026-03-{number:02}.csv").write_bytes(csv_bytes(rows))


def test_the_check_says_why_rows_of_a_file_were_rejected(leads: Path) -> None:
    write(leads, [["id", "name"], ["1", MAIL, "y"], ["2", "x", "y"], ["3"], ["4", "x"]])
    load()
    told = (
        "leads/2026-03-01.csv: loaded, 3 rows rejected: has 3 fields, the header has 2, has 1"
        " fields, the header has 2"
    )
    assert check().said.startswith(told) and MAIL not in check().said


def test_swapped_columns_whose_headers_differ_in_a_sign_stay_apart(leads: Path) -> None:
    write(leads, [["id", "Discount ($)", "Discount (%)"], ["1", "5.00", "10"]])
    load()
    write(
        leads,
        [["id"]],
        [["id", "Discount (%)", "Discount ($)"], ["2", "20", "7.00"]],
        [["Discount (%)"], ["30"]],
    )
    load(run_id="second")
    write(leads, [["id", "Discount ($)", "Discount (%)"], ["1", "5.00", "10"]])
    load(run_id="third")
    found: dict[str, list[str]] = {}
    for row in rows_of():
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    dollars, percents = sorted(name for name in found if name.startswith("discount_"))[::-1]
    assert found == {"id": ["1", "2"], dollars: ["5.00", "7.00"], percents: ["10", "20", "30"]}


def test_a_header_with_a_sign_never_takes_the_place_of_a_known_column(
    any_warehouse: Project,
) -> None:
    bucket = any_warehouse.add_client("713")
    header = [*HEADER[:5], "Refund Amount %", *HEADER[5:]]
    write_export(
        bucket / ORDERS,
        orders([1], **{"Refund Amount %": "14.00", "refund_amount": "12.50"}),
        header=header,
    )
    write_export(
        bucket / "orders-create/2026-03-02.csv",
        orders([2], **{"Refund Amount %": "9.00"}),
        header=header,
    )
    load()
    amounts = ask("SELECT orders_id, refund_amount FROM s3_exports.orders_create ORDER BY 1")
    assert amounts == [("1", "12.50"), ("2", None)]
    (own,) = [name for name in columns_of("orders_create") if name.startswith("refund_amount_")]
    assert [row[own] for row in rows_of("orders_create")] == ["14.00", "9.00"]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(["Имя", "Телефон"], id="Cyrillic"),
        pytest.param(["姓名", "电话"], id="Chinese"),
        pytest.param(["اسم", "هاتف"], id="Arabic"),
        pytest.param(["😀", "😎"], id="emoji"),
        pytest.param(["x" * 60 + " one", "x" * 60 + " two"], id="alike for sixty letters"),
        pytest.param(["Größe", "Große"], id="accents"),
        pytest.param(["Order Id", "order-id"], id="case and punctuation"),
        pytest.param(["notes", "notes_2"], id="a number behind"),
    ],
)
def test_a_column_is_found_again_whatever_stands_before_it(
    local_leads: Path, header: Sequence[str]
) -> None:
    write(
        local_leads,
        [["id", *header], ["1", "a", "b"]],
        [[*reversed(header), "id"], ["b", "a", "2"]],
    )
    load()
    first, second = (
        {name: value for name, value in row.items() if name != "id"} for row in rows_of()
    )
    assert first == second
    assert sorted(first.values()) == ["a", "b"]


def test_columns_of_one_header_are_kept_together_and_told(leads: Path) -> None:
    write(
        leads,
        [
            ["id", "notes", "notes_2", "notes"],
            ["1", "a", "b", "c"],
            ["2", "", "", "d"],
            ["3", "", "", ""],
        ],
    )
    load()
    one, two, three = rows_of()
    assert (one["notes_2"], others_of(one), others_of(two)) == (
        "b",
        {"notes": ["a", "c"]},
        {"notes": [None, "d"]},
    )
    assert three == {"id": "3"}
    finding = check()
    assert not finding.passed
    assert "leads/2026-03-01.csv" in finding.said and "notes" in finding.said


def test_empty_columns_without_a_name_are_nothing_to_look_at(local_leads: Path) -> None:
    write(local_leads, [["id", "name", "", ""], ["1", "a", "", ""]])
    load()
    assert rows_of() == [{"id": "1", "name": "a"}]
    assert check().passed


def test_a_column_that_an_earlier_version_called_otherwise_goes_on_under_its_new_name_and_is_told(
    leads: Path,
) -> None:
    create_tables("s3_exports")
    ask("ALTER TABLE s3_exports.leads ADD COLUMN discount VARCHAR")
    write(leads, [["id", "Discount (%)"], ["1", "10"]])
    load()
    (row,) = rows_of()
    assert "discount" not in row and "10" in row.values()
    assert "(before: discount)" in check().said


def test_a_client_gives_a_column_the_name_it_wants(local_leads: Path, project: Project) -> None:
    project.configure(
        "713", FORMATS='{"leads": {"names": {"Discount (%)": "discount", "Имя": "first_name"}}}'
    )
    write(local_leads, [["id", "Discount (%)", "Имя"], ["1", "10", "Bob"]])
    load()
    assert rows_of() == [{"id": "1", "discount": "10", "first_name": "Bob"}]


def test_one_clients_odd_columns_leave_room_for_the_next_clients(any_warehouse: Project) -> None:
    for client_id in ("713", "cti"):
        any_warehouse.add_client(client_id)
    odd = [f"odd {number}" for number in range(1_370)]
    bucket = any_warehouse.root / "buckets"
    write_export(
        bucket / "713" / ORDERS, orders([1], **{name: "x" for name in odd}), header=[*HEADER, *odd]
    )
    load("713")
    more = [f"more {number}" for number in range(300)]
    write_export(
        bucket / "713/orders-create/b.csv",
        orders([2], **{name: "y" for name in more}),
        header=[*HEADER, *more],
    )
    load("713", "again")
    own = [f"own {number}" for number in range(60)]
    write_export(
        bucket / "cti" / ORDERS, orders([3], **{name: "z" for name in own}), header=[*HEADER, *own]
    )
    load("cti", "cti")
    one, two = rows_of("orders_create")
    (three,) = rows_of("orders_create", "cti")
    brought = {name for name in one if name.startswith("odd_")}
    assert {name for name in others_of(one) if name.startswith("odd_")} | brought == {
        f"odd_{n}" for n in range(1_370)
    }
    assert len(brought) + len([name for name in two if name.startswith("more_")]) == 200
    assert {name: three.get(name) for name in ("own_0", "own_59")} == {"own_0": "z", "own_59": "z"}
    assert "_other_columns" not in three
    assert ORDERS in check("orders_create").said
    assert not check("orders_create", run_id="again").passed
    assert check("orders_create", "cti", "cti").passed


def test_a_table_that_is_nearly_full_takes_every_file_all_the_same(
    postgres_url: str, project: Project
) -> None:
    project.use_postgres(postgres_url)
    bucket = project.add_client("713", prefixes=["leads"])
    create_tables("s3_exports")
    for verb in ("ADD COLUMN {} text", "DROP COLUMN {}"):
        ask(
            "ALTER TABLE s3_exports.leads "
            + ", ".join(verb.format(f"gone_{number}") for number in range(1_490))
        )
    (bucket / "leads").mkdir()
    write(bucket / "leads", [[f"c{number}" for number in range(100)], ["x"] * 100])
    load()
    (row,) = rows_of()
    assert len([name for name in row if name.startswith("c")]) == 5
    assert len(others_of(row)) == 95


def test_the_widest_row_that_a_file_may_bring_fits_a_page_of_postgres(
    postgres_url: str, project: Project
) -> None:
    project.use_postgres(postgres_url)
    bucket = project.add_client("713", prefixes=["leads"])
    project.configure("713", NEW_COLUMNS="1000")
    (bucket / "leads").mkdir()
    rows = [["x" * 23] * 1_000, [f"{number:023d}" * 40 for number in range(1_000)]]
    write(bucket / "leads", [[f"c{number}" for number in range(1_000)], *rows])
    load()
    assert [len(row) for row in rows_of()] == [301, 301]


def test_a_policy_counts_for_the_columns_that_have_none_of_their_own_too(
    any_warehouse: Project,
) -> None:
    bucket = any_warehouse.add_client("713", prefixes=["leads"])
    any_warehouse.configure(
        "713", NEW_COLUMNS="1", HASH_KEY="k", COLUMNS='{"card": "drop", "mail": "hash"}'
    )
    (bucket / "leads").mkdir()
    write(bucket / "leads", [["id", "card", "mail", "mail", "note"], ["1", CARD, MAIL, MAIL, "x"]])
    load()
    (row,) = rows_of()
    others = others_of(row)
    assert (row["id"], others["note"], others.keys()) == ("1", "x", {"mail", "note"})
    assert [len(value) for value in others["mail"]] == [64, 64]
    assert CARD not in str(row) and MAIL not in str(row)


PEOPLE = [["email", "card", "city"], [MAIL, CARD, "Berlin"], ["ann@example.com", CARD, "Rom"]]


def separated(rows: Sequence[Sequence[str]], delimiter: str) -> bytes:
    return "".join(delimiter.join(row) + "\r\n" for row in rows).encode()


@pytest.mark.parametrize(
    ("content", "why", "rejected"),
    [
        pytest.param(separated(PEOPLE, ";"), "semicolons", 2, id="semicolons"),
        pytest.param(separated(PEOPLE, "\t"), "tabs", 2, id="tabs"),
        pytest.param(separated(PEOPLE, "|"), "vertical bars", 2, id="bars"),
        pytest.param(
            b'"email";"card, masked"\r\n"a@b.co";"4111111111111111"\r\n',
            "semicolons",
            1,
            id="in quotes",
        ),
        pytest.param(
            b"email;card;amount, net\n" + f"{MAIL};{CARD};5,00\n".encode(),
            "semicolons",
            1,
            id="and a comma",
        ),
        pytest.param(separated(PEOPLE[1:], ","), "no header", 2, id="no header"),
        pytest.param(separated([["Bob", "2026-03-01"]], ","), "no header", 1, id="a date"),
        pytest.param(
            separated([["Bob", "411111******1111"]], ","), "no header", 1, id="a masked card"
        ),
        pytest.param(
            separated([["Bob", "+1 (555) 010-9999"]], ","), "no header", 1, id="a phone number"
        ),
        pytest.param(separated([["Bob", "12.50"]], ","), "no header", 1, id="a number"),
        pytest.param(
            separated([["Bob", "", "", ""], ["Ann", "", "", "x"]], ","), "no header", 2, id="blanks"
        ),
        pytest.param(
            separated(PEOPLE, ",").decode().encode("utf-16"), "not a UTF-8", 3, id="UTF-16"
        ),
    ],
)
def test_a_file_whose_header_is_not_understood_is_set_aside_and_shows_nothing(
    local_leads: Path, content: bytes, why: str, rejected: int
) -> None:
    (local_leads / "2026-03-01.csv").write_bytes(content)
    load()
    status, _, loaded, refused = ledger()[0]
    assert (status, loaded, refused) == ("quarantined", 0, rejected)
    assert columns_of() == []
    assert ask("SELECT raw FROM s3_exports.rejected_rows") == [(None,)] * rejected
    finding = check()
    assert (finding.passed, why in finding.said) == (False, True)
    assert MAIL not in finding.said and CARD not in finding.said


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("by", ["setting", "first line"])
def test_a_client_whose_exports_are_parted_otherwise_says_so(
    local_leads: Path, project: Project, delimiter: str, by: str
) -> None:
    rows = [["id", "name, full", "note"], ["1", "Doe, J.", '"a ""b"" ; | x,y"'], ["2", "", "z"]]
    content = separated(rows, delimiter)
    if by == "setting":
        project.configure(
            "713", FORMATS=json.dumps({"leads": {"delimiter": delimiter}}), COLUMNS='{"id": "keep"}'
        )
    else:
        content = f"sep={delimiter}\r\n".encode() + content
    (local_leads / "2026-03-01.csv").write_bytes(content + delimiter.encode() * 3 + b"\r\n")
    load()
    assert rows_of() == [
        {"id": "1", "name_full": "Doe, J.", "note": 'a "b" ; | x,y'},
        {"id": "2", "note": "z"},
    ]
    assert ledger() == [("loaded", 3, 2, 1)]
    (line,) = ask("SELECT line FROM s3_exports.rejected_rows")
    assert line == (5 if by == "first line" else 4,)


def test_the_line_that_says_sep_is_no_header(local_leads: Path) -> None:
    (local_leads / "2026-03-01.csv").write_bytes(b"\xef\xbb\xbfsep=,\r\nid,name\r\n1,a\r\n")
    load()
    assert rows_of() == [{"id": "1", "name": "a"}]
    assert ledger() == [("loaded", 1, 1, 0)]


@pytest.mark.parametrize(
    ("header", "columns"),
    [('["email", "card", "city"]', ["city", "email"]), ("false", ["column_1", "column_3"])],
)
def test_the_columns_of_exports_without_a_header_are_named_by_the_client(
    local_leads: Path, project: Project, header: str, columns: list[str]
) -> None:
    project.configure(
        "713",
        FORMATS=(
            f'{{"leads": {{"header": {header}, "columns": {{"card": "drop", "column_2":'
            ' "drop"}}}'
        ),
    )
    (local_leads / "2026-03-01.csv").write_bytes(separated(PEOPLE[1:], ","))
    load()
    assert columns_of() == columns
    assert [sorted(row.values()) for row in rows_of()] == [
        ["Berlin", MAIL],
        ["Rom", "ann@example.com"],
    ]
    assert ledger() == [("loaded", 2, 2, 0)]


def test_a_header_that_comes_all_the_same_is_not_a_row(local_leads: Path, project: Project) -> None:
    project.configure("713", FORMATS='{"leads": {"header": ["E-Mail", "Card", "City"]}}')
    (local_leads / "2026-03-01.csv").write_bytes(
        separated([["E-Mail", "Card", "City"], *PEOPLE[1:]], ",")
    )
    load()
    assert ledger() == [("loaded", 2, 2, 0)]


def test_years_may_be_columns_where_a_client_says_that_there_is_a_header(
    local_leads: Path, project: Project
) -> None:
    write(local_leads, [["name", "2024", "2025"], ["a", "1", "2"]])
    load()
    assert ledger()[0][0] == "quarantined"
    project.configure("713", FORMATS='{"leads": {"header": true}}')
    ask("DELETE FROM s3_exports.files")
    load()
    assert rows_of() == [{"name": "a", "_2024": "1", "_2025": "2"}]
    project.configure("713", FORMATS="{}")
    write(local_leads, [["2025", "name"], ["2", "b"]])
    load(run_id="known by now")
    assert rows_of() == [{"name": "b", "_2025": "2"}]


def test_a_row_of_words_does_not_become_columns_once_the_header_is_known(local_leads: Path) -> None:
    write(local_leads, [["first", "last", "city"], ["Bob", "Doe", "Berlin"]])
    load()
    write(
        local_leads,
        [["first", "last", "city"], ["Bob", "Doe", "Berlin"]],
        [["Ann", "Roe", "Rom"], ["Eve", "Poe", "Ulm"]],
    )
    load(run_id="second")
    assert columns_of() == ["city", "first", "last"]
    assert [row[0] for row in ledger()] == ["loaded", "quarantined"]
    assert "shares no column" in check(run_id="second").said


def test_a_policy_that_meets_no_column_is_told(local_leads: Path, project: Project) -> None:
    project.configure("713", COLUMNS='{"crad": "drop", "city": "drop"}')
    write(local_leads, [["id", "card", "city"], ["1", CARD, "Berlin"]])
    load()
    finding = check()
    assert not finding.passed
    assert (
        "policy for crad meets no column" in finding.said
        and "city" not in finding.said.partition("policy")[2]
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(
            separated([["id", "card"], ["1", CARD]], ","),
            "policy for crad meets no column of the newest",
            id="misspelled",
        ),
        pytest.param(separated([["id", "crad"], ["1", CARD]], ";"), "semicolons", id="semicolons"),
        pytest.param(separated([["1", CARD]], ","), "no header", id="no header"),
    ],
)
def test_doctor_tells_what_it_sees_of_the_newest_file(
    local_leads: Path, project: Project, content: bytes, why: str
) -> None:
    project.configure("713", COLUMNS='{"crad": "drop"}')
    (local_leads / "2026-03-01.csv").write_bytes(content)
    with pytest.raises(ConfigurationError, match=why) as caught:
        accounts.probe("s3_exports", get_client("713"))
    assert "client 713" in str(caught.value) and CARD not in str(caught.value)
    (local_leads / "2026-03-01.csv").write_bytes(separated([["id", "crad"], ["1", CARD]], ","))
    assert accounts.probe("s3_exports", get_client("713")) == "leads (files: 1)"


def test_a_policy_may_be_meant_for_a_prefix_without_a_layout_once_it_has_files(
    project: Project,
) -> None:
    bucket = project.add_client("713", prefixes=["orders-create", "leads"])
    project.configure("713", COLUMNS='{"card": "drop"}')
    write_export(bucket / ORDERS, orders([1]))
    load()
    assert "policy for card meets no column" in check("orders_create").said
    with pytest.raises(ConfigurationError, match="policy for card meets no column"):
        accounts.probe("s3_exports", get_client("713"))
    (bucket / "leads").mkdir()
    write(bucket / "leads", [["id", "card"], ["1", CARD]])
    load(run_id="second")
    write_export(bucket / "orders-create/b.csv", orders([2]))
    load(run_id="third")
    assert check(run_id="second").passed and check("orders_create", run_id="third").passed
    assert "leads (files: 1)" in accounts.probe("s3_exports", get_client("713"))


def test_one_cut_character_leaves_the_rest_of_its_record_and_cell_alone(local_leads: Path) -> None:
    content = (
        "id,name,city,old\n1,Zoë 中文,Zürich ?,caf#\n".encode()
        .replace(b"?", b"\xe4\xb8")
        .replace(b"#", b"\xe9")
    )
    (local_leads / "2026-03-01.csv").write_bytes(content)
    load()
    assert rows_of() == [{"id": "1", "name": "Zoë 中文", "city": "Zürich �", "old": "café"}]


def test_two_clients_that_load_into_one_table_each_have_their_own_room(
    postgres_url: str, project: Project
) -> None:
    project.use_postgres(postgres_url)
    for client_id in ("713", "cti"):
        bucket = project.add_client(client_id, prefixes=["leads"])
        (bucket / "leads").mkdir()
        write(
            bucket / "leads",
            [["id", *(f"{client_id} no {number}" for number in range(250))], ["1"] * 251],
        )
        load(client_id)
    assert len(columns_of()) == 401
    assert len(others_of(rows_of(client_id="cti")[0])) == 50
