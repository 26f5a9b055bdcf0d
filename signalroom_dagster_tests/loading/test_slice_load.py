"""One slice in the place of what was there: whole or not at all, and never over what somebody read
later.
"""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.loading.slice_load import (
    NewerReadError,
    RepeatedKeyError,
    VanishedFiguresError,
)
from signalroom_dagster.retries import decide, root_error
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.tables import Table, columns_of, read_tables
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.errors import LoadError
from signalroom_dagster.warehouse.windows import days_of_run
from signalroom_dagster_tests.loading.slices import (
    COLUMNS,
    LISTS,
    SALES,
    SPEND,
    another_run_reads,
    put,
    row,
)
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.contexts import march

MON, TUE, WED, THU = march([2, 3, 4, 5])
SPENT = "SELECT day, id, cost FROM shop.spend WHERE _client_id = '713' ORDER BY 1, 2"
pytestmark = pytest.mark.usefixtures("any_warehouse")


def test_days_are_replaced_whole_and_other_days_and_clients_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, SPEND, [MON, TUE, WED], [row(MON, "a", 1), row(TUE, "a", 2), row(WED, "a", 3)])
    put(tmp_path, SPEND, [TUE], [row(TUE, "a", 9)], client_id="cti")
    put(tmp_path, SPEND, [MON, TUE], [row(TUE, "b", "2.50005")], totals={TUE: 1})
    assert ask(SPENT) == [(TUE, "b", Decimal("2.5001")), (WED, "a", 3)]
    put(tmp_path, SPEND, [MON, TUE, WED], [])
    assert ask("SELECT _client_id, day, id FROM shop.spend") == [("cti", TUE, "a")]
    assert ask(
        "SELECT day, rows, vendor_total FROM shop.windows WHERE _client_id = '713' ORDER BY 1"
    ) == [(MON, 0, None), (TUE, 0, None), (WED, 0, None)]


@pytest.mark.parametrize(
    "cost",
    [
        None,
        "1,5",
        *(pytest.param(cost, marks=pytest.mark.slow) for cost in ("$ 2", "NaN", {"amount": 2})),
    ],
)
def test_a_needed_figure_that_no_row_has_any_more_replaces_nothing(
    tmp_path: Path, cost: Any
) -> None:
    table = replace(SPEND, needed=("cost",))
    put(tmp_path, table, [MON, TUE], [row(MON, "a", 1), row(TUE, "a", 0)])
    with pytest.raises(
        VanishedFiguresError, match="client 713: spend of 2026-03-02 .*no row .* has cost any more"
    ):
        put(tmp_path, table, [MON, TUE], [row(MON, "a", cost), row(TUE, "b", cost)])
    assert ask(SPENT) == [(MON, "a", 1), (TUE, "a", 0)]
    put(tmp_path, table, [MON, TUE], [row(MON, "a", cost), row(TUE, "a", 3)])
    assert ask(SPENT) == [(MON, "a", None), (TUE, "a", 3)]
    put(tmp_path, table, [MON, TUE], [row(MON, "a", cost)])
    put(tmp_path, table, [MON, TUE], [])
    assert ask(SPENT) == []


def test_a_later_reading_stands_and_its_windows_too(tmp_path: Path) -> None:
    put(tmp_path, SPEND, [MON, TUE], [row(MON, "new"), row(TUE, "new")])
    put(
        tmp_path,
        SPEND,
        [MON, TUE],
        [row(MON, "old")],
        meanwhile=lambda: another_run_reads("spend", MON, TUE),
    )
    assert [number for _, number, _ in ask(SPENT)] == ["new", "new"]
    assert ask("SELECT DISTINCT run_id FROM shop.windows") == [("other",)]


def test_when_only_some_days_were_read_later_the_slice_is_read_again(tmp_path: Path) -> None:
    put(tmp_path, SPEND, [MON, TUE], [row(MON, "new"), row(TUE, "new")])
    with pytest.raises(
        Exception, match="client 713: spend of 2026-03-02 to 2026-03-03: another run"
    ) as failed:
        put(
            tmp_path,
            SPEND,
            [MON, TUE],
            [row(MON, "old")],
            meanwhile=lambda: another_run_reads("spend", TUE),
        )
    assert isinstance(root_error(failed.value), NewerReadError)
    assert decide(failed.value, 1).wait == 1
    assert [number for _, number, _ in ask(SPENT)] == ["new", "new"]
    put(tmp_path, SPEND, [WED], [row(WED, "other day")])
    assert len(ask(SPENT)) == 3


def test_a_whole_list_that_was_read_later_stands_also_after_midnight(tmp_path: Path) -> None:
    put(tmp_path, LISTS, [MON], [row(MON, "new")], replaces="client")
    put(
        tmp_path,
        LISTS,
        [MON],
        [row(MON, "old")],
        replaces="client",
        meanwhile=lambda: another_run_reads("lists", MON, moved=timedelta(days=1)),
    )
    assert ask("SELECT id FROM shop.lists") == [("new",)]


def test_a_whole_list_empties_only_its_own_clients_rows_and_notes_the_sweep(tmp_path: Path) -> None:
    put(tmp_path, LISTS, [MON], [row(MON, "a"), row(MON, "b")], replaces="client", cursor="c1")
    put(tmp_path, LISTS, [MON], [row(MON, "a")], replaces="client", client_id="cti")
    swept = ask(
        "SELECT swept_at = loaded_at, read_cursor FROM shop.windows WHERE _client_id = '713'"
    )
    assert swept == [(True, "c1")]
    put(tmp_path, LISTS, [MON], [row(MON, "c")], replaces="keys")
    kept = ask(
        "SELECT swept_at < loaded_at, read_cursor FROM shop.windows WHERE _client_id = '713'"
    )
    assert kept == [(True, "c1")]
    put(tmp_path, LISTS, [MON], [], replaces="client")
    assert ask("SELECT _client_id, id FROM shop.lists") == [("cti", "a")]


def test_rows_are_merged_by_key_and_the_last_of_two_stands(tmp_path: Path) -> None:
    put(tmp_path, SALES, [MON], [row(MON, "kept", 1), row(MON, "same", 1)], replaces="keys")
    put(tmp_path, SALES, [MON], [row(MON, "same", 5)], replaces="keys", client_id="cti")
    again = [row(TUE, "same", 2), row(TUE, "twice", 1), row(TUE, "twice", 3), row(WED, "same", 4)]
    put(tmp_path, SALES, [TUE], again, replaces="keys")
    assert ask("SELECT _client_id, id, day, cost FROM shop.sales ORDER BY 1, 2") == [
        ("713", "kept", MON, 1),
        ("713", "same", WED, 4),
        ("713", "twice", TUE, 3),
        ("cti", "same", MON, 5),
    ]
    put(tmp_path, SALES, [TUE], [], replaces="keys")
    assert ask("SELECT count(*) FROM shop.sales") == [(4,)]


def test_a_row_that_moved_to_another_day_is_there_once(tmp_path: Path) -> None:
    put(tmp_path, SALES, [MON, TUE], [row(MON, "a", 1), row(TUE, "b", 2)])
    put(tmp_path, SALES, [MON], [row(MON, "a", 9)], client_id="cti")
    put(tmp_path, SALES, [TUE, WED], [row(WED, "a", 1), row(TUE, "b", 2)])
    assert ask("SELECT _client_id, day, id FROM shop.sales ORDER BY 1, 2") == [
        ("713", TUE, "b"),
        ("713", WED, "a"),
        ("cti", MON, "a"),
    ]


@pytest.mark.parametrize("table", [SPEND, SALES, LISTS], ids=lambda table: table.name)
def test_two_rows_with_one_key_are_refused_and_nothing_changes(tmp_path: Path, table: Any) -> None:
    how: Any = "client" if table is LISTS else "days"
    put(tmp_path, table, [MON], [row(MON, "before")], replaces=how)
    with pytest.raises(Exception, match=f"client 713: {table.name} of 2026-03-02") as failed:
        put(tmp_path, table, [MON], [row(MON, "secret", 1), row(MON, "secret", 2)], replaces=how)
    assert isinstance(root_error(failed.value), RepeatedKeyError | LoadError)
    assert "secret" not in str(root_error(failed.value))
    assert ask(f"SELECT id FROM shop.{table.name}") == [("before",)]


def test_only_changes_to_days_that_were_over_are_restatements(tmp_path: Path) -> None:
    put(tmp_path, SPEND, [MON, TUE, WED], [row(day, "a", 1, note="x") for day in (MON, TUE, WED)])
    with access.exclusive(), access.connected() as query:  # Tuesday was read while it lasted
        query("UPDATE shop.windows SET loaded_at = '2026-03-03 20:00:00+00' WHERE day = %s", TUE)
    run = put(
        tmp_path,
        SPEND,
        [MON, TUE, WED, THU],
        [row(MON, "a", "1.5", note="y"), row(TUE, "a", 7), row(WED, "b", 2), row(THU, "a", 8)],
    )
    noted = ask(
        "SELECT resource, day, key, before, after, run_id FROM shop.restatements ORDER BY day, key"
    )
    assert [(*line[:3], _json(line[3]), _json(line[4]), line[5]) for line in noted] == [
        ("spend", MON, "id=a", {"cost": "1.0000"}, {"cost": "1.5000"}, run),
        ("spend", WED, "id=a", {"cost": "1.0000"}, None, run),
        ("spend", WED, "id=b", None, {"cost": "2.0000"}, run),
    ]
    put(tmp_path, SPEND, [MON], [row(MON, "a", "1.5", note="only the note changes")])
    assert ask("SELECT count(*) FROM shop.restatements") == [(3,)]


def test_a_cursor_stays_until_there_is_another(tmp_path: Path) -> None:
    put(tmp_path, SALES, [MON], [], replaces="keys", cursor="c1")
    put(tmp_path, SALES, [MON], [], replaces="keys")
    assert ask("SELECT read_cursor FROM shop.windows") == [("c1",)]
    put(tmp_path, SALES, [MON], [], replaces="keys", cursor="c2")
    assert ask("SELECT read_cursor FROM shop.windows") == [("c2",)]


@pytest.mark.parametrize("replaces", ["days", "keys"])
def test_every_text_arrives_as_it_was(tmp_path: Path, replaces: Any) -> None:
    texts = [
        " both ends ",
        "a,b",
        'say "x"',
        "two\nlines",
        "old\rmac",
        "a\r\nb",
        "\\N",
        "\\.",
        "x\n\\.\ny",
        "NULL",
        "''",
        "\t",
        "ü 😀",
        "%s",
        "{}",
        "$1",
        "a\\",
    ]
    rows = [
        row(MON, f"{number:02}", "1E+3", note=text, tags={"t": [text]})
        for number, text in enumerate(texts)
    ]
    put(tmp_path, SALES, [MON], [*rows, row(MON, "99", note="", cost=None)], replaces=replaces)
    found = ask("SELECT note, tags, cost FROM shop.sales ORDER BY id")
    assert [note for note, _, _ in found] == [*texts, None]
    assert [_json(tags)["t"] for _, tags, _ in found[:-1]] == [[text] for text in texts]
    assert [cost for _, _, cost in found] == [1000] * len(texts) + [None]


UNREADABLE: dict[str, Any] = {
    "a date before Christ": {"seen_at": "-0001-11-30T00:00:00+00:00"},
    "no date": {"seen_at": "0000-00-00 00:00:00"},
    "a year too late": {"seen_at": "10000-01-01T00:00:00Z"},
    "a number without an end": {"cost": Decimal("1E+400"), "tags": {"n": Decimal("1E+400")}},
    "no number": {"cost": "NaN", "tags": {"n": float("nan")}, "clicks": "Infinity"},
    "numbers too large": {"clicks": 2**63, "cost": "99999999999999.99995"},
    "NUL": {"note": "a\0b", "tags": {"a\0": "\0"}, "properties": '{"a": "\\u0000"}'},
    "half a character": {"note": "a\ud83d", "tags": ["\ud83d"], "properties": '{"a": "\\ud83d"}'},
    "3,000 levels": {
        "properties": "[" * 3_000 + "]" * 3_000,
        "tags": json.loads("[" * 900 + "]" * 900),
    },
    "no JSON": {"properties": "{'a': 1}"},
    "huge": {"properties": json.dumps({"a": "x" * 5_000_000}), "note": '"' * 2_000_000},
}


@pytest.mark.parametrize("odd", UNREADABLE.values(), ids=UNREADABLE)
def test_a_cell_that_cannot_be_read_costs_itself_alone_and_is_told(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    kinds = {**COLUMNS, "seen_at": "timestamp", "clicks": "bigint", "properties": "jsontext"}
    events = Table(
        name="events", about="Odd ones.", key=("day", "id"), day="day", columns=columns_of(kinds)
    )
    whole = {
        "note": "as it was",
        "clicks": 7,
        "cost": 1,
        "seen_at": "2026-03-02",
        "tags": [],
        "properties": "{}",
    }
    run = put(
        tmp_path,
        events,
        [MON],
        [row(MON, "a", **whole), {**row(MON, "b", **whole), **odd}, row(MON, "c", 2)],
    )
    assert ask("SELECT id FROM shop.events ORDER BY 1") == [("a",), ("b",), ("c",)]
    beside = [name for name in whole if name not in odd]
    found = ask(f"SELECT {', '.join(beside)} FROM shop.events WHERE id IN ('a', 'b')")
    assert found[0] == found[1]
    with access.exclusive(), access.connected() as query:
        (day,) = days_of_run(query, "shop", "events", "713", run)
    told = {entry["column"]: entry["keys"] for entry in day.set_aside}
    assert told and {*told} <= {*odd}
    assert all(keys == ["day=2026-03-02, id=b"] for keys in told.values())


def test_what_a_vendor_cut_short_replaces_nothing_and_is_tried_again(tmp_path: Path) -> None:
    days = [MON, TUE, WED]
    put(
        tmp_path,
        SPEND,
        days,
        [row(day, number) for day in days for number in "abcd"],
        totals=dict.fromkeys(days, 4),
    )
    with pytest.raises(
        VendorDataError,
        match="client 713, source shop, spend: the vendor's own total of 2026-03-03 is 4",
    ) as failed:
        put(
            tmp_path,
            SPEND,
            days,
            [row(MON, number) for number in "abcd"],
            totals=dict.fromkeys(days, 4),
        )
    assert decide(failed.value, 1).wait == 1
    assert ask("SELECT count(*), count(DISTINCT day) FROM shop.spend") == [(12, 3)]


def test_any_counted_column_that_changes_alone_is_a_restatement(tmp_path: Path) -> None:
    spend = read_tables("signalroom_dagster.sources.redtrack")["daily_spend"]
    counted = [column.name for column in spend.columns if column.kind in ("bigint", "decimal")]
    paths = {column.name: column.path[0] for column in spend.columns if column.name in counted}
    same = {"date": MON, **dict.fromkeys(paths.values(), 10)}
    put(tmp_path, spend, [MON], [{**same, "source_id": name} for name in counted])
    put(tmp_path, spend, [MON], [{**same, "source_id": name, paths[name]: 11} for name in counted])
    noted = ask("SELECT key, before FROM shop.restatements")
    changed = {str(key).rpartition("source_id=")[2]: [*_json(before)] for key, before in noted}
    assert changed == {name: [name] for name in counted}


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def test_two_loads_of_the_same_equal_one(tmp_path: Path, any_warehouse: Project) -> None:
    days: list[date] = [MON, TUE]
    for table, how in ((SALES, "days"), (LISTS, "client")):
        replaces: Any = how
        for _ in range(2):
            put(tmp_path, table, days, [row(MON, "a"), row(TUE, "b")], replaces=replaces)
        assert ask(f"SELECT id FROM shop.{table.name} ORDER BY 1") == [("a",), ("b",)]
    assert ask("SELECT count(*) FROM shop.restatements") == [(0,)]


def test_what_is_merged_by_key_does_not_undo_what_another_run_read_later(tmp_path: Path) -> None:
    put(tmp_path, SALES, [MON], [row(MON, "a", 9)], replaces="client")
    older = [row(MON, "a", 1), row(MON, "b", 1)]
    with pytest.raises(NewerReadError):
        put(
            tmp_path,
            SALES,
            [MON],
            older,
            replaces="keys",
            meanwhile=lambda: another_run_reads("sales", MON),
        )
    assert ask("SELECT id, cost FROM shop.sales") == [("a", 9)]
