"""Reading a slice: rows become a file that both databases read alike, or an error that names the
column.
"""

import csv
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.json_text import UNSTORABLE
from signalroom_dagster.loading.plan import planned
from signalroom_dagster.loading.slice_read import ReadSlice, read_slice
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.tables import Row, Table, columns_of
from signalroom_dagster_tests.sources.contexts import NOON, context, march, read_at, slice_of

TABLE = Table(
    name="spend",
    about="Spend.",
    key=("date", "id"),
    day="date",
    figures=("cost",),
    columns=columns_of({"date": "date", "id": "text", "cost": "decimal", "note": "text"}),
)
DAYS = tuple(march([2, 3]))


def read(tmp_path: Path, *rows: Row, **how: Any) -> ReadSlice:
    piece = slice_of(TABLE, lambda: Answer(rows), DAYS, **how)
    return read_slice(
        TABLE, piece, context(tmp_path, windows={"spend": read_at(NOON, *march([2]))})
    )


def cells(piece: ReadSlice) -> list[list[str]]:
    with Path(piece.body).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def row(day: str = "2026-03-02", number: str | None = "a", **values: Any) -> Row:
    return {"date": day, "id": number, **values}


def test_rows_are_tagged_counted_by_day_and_written_in_the_tables_order(tmp_path: Path) -> None:
    piece = read(tmp_path, row(cost=1.5), row(number="b"), row("2026-03-03", cost=2, note="x"))
    at = "2026-03-10 16:00:00Z"
    assert cells(piece) == [
        ["713", at, "2026-03-02", "a", "1.5", ""],
        ["713", at, "2026-03-02", "b", "", ""],
        ["713", at, "2026-03-03", "a", "2", "x"],
    ]
    assert list(piece.kinds.items()) == [
        ("_client_id", "text"),
        ("_loaded_at", "timestamp"),
        ("date", "date"),
        ("id", "text"),
        ("cost", "decimal"),
        ("note", "text"),
    ]
    assert (piece.rows, dict(piece.rows_by_day)) == (3, {DAYS[0]: 2, DAYS[1]: 1})
    assert piece.finished_days == frozenset([DAYS[0]])


def test_rows_that_replace_by_key_are_numbered_and_may_be_of_any_day(tmp_path: Path) -> None:
    piece = read(tmp_path, row(), row("2026-02-01"), replaces="keys")
    assert [line[-1] for line in cells(piece)] == ["0", "1"]


def set_aside(piece: ReadSlice) -> dict[str, list[dict[str, Any]]]:
    return {str(day): json.loads(entries) for day, entries in piece.set_aside.items()}


def test_nul_characters_are_left_out_and_counted(tmp_path: Path) -> None:
    piece = read(tmp_path, row(note="a\0b"))
    assert cells(piece)[0][-1] == "ab"
    assert set_aside(piece) == {
        "2026-03-02": [
            {"column": "note", "reason": UNSTORABLE, "count": 1, "keys": ["date=2026-03-02, id=a"]}
        ]
    }


def test_a_cell_that_cannot_be_read_is_null_and_counted_by_day_column_and_key_without_its_value(
    tmp_path: Path,
) -> None:
    rows = [row("2026-03-03", str(number), cost="secret words") for number in range(7)]
    piece = read(tmp_path, row(cost=1), *rows)
    assert [line[4] for line in cells(piece)] == ["1", *[""] * 7]
    (entry,) = set_aside(piece)["2026-03-03"]
    assert (entry["column"], entry["count"], entry["reason"]) == (
        "cost",
        7,
        "not a number, which became NULL",
    )
    assert entry["keys"] == [f"date=2026-03-03, id={number}" for number in range(5)]
    assert "secret" not in str(piece.set_aside)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(number=""), "without its key (date, id)"),
        (row(number="x" * 501), "with a key of more than 500 characters"),
        (row("soon"), "without its key (date, id); date is not a date"),
        (row("-0001-11-30T00:00:00+00:00"), "without its key (date, id); date is not a date"),
        ({}, "without its key (date, id)"),
    ],
)
def test_a_row_that_cannot_be_told_from_others_is_left_out_and_counted(
    tmp_path: Path, bad: Row, reason: str
) -> None:
    piece = read(tmp_path, row(), bad)
    assert piece.rows == 1
    (entry,) = [entry for entries in set_aside(piece).values() for entry in entries]
    assert (entry["column"], entry["reason"], entry["count"]) == ("", reason, 1)


def test_when_most_rows_have_no_key_it_is_not_the_rows_that_are_odd(tmp_path: Path) -> None:
    with pytest.raises(
        VendorDataError,
        match="^client 713, source shop, spend: only 1 of 3 rows can be read: 2 rows left out",
    ):
        read(tmp_path, row(), row(number=None), row(number=""))


def test_a_row_of_100_megabytes_gives_up_its_longest_texts_and_keeps_the_rest(
    tmp_path: Path,
) -> None:
    columns = columns_of(
        {"id": "text", "properties": "jsontext", "note": "text", "cost": "decimal"}
    )
    table = Table(name="events", about="Events.", key=("id",), columns=columns)
    huge = {
        "id": "a",
        "properties": json.dumps({"huge": "x" * 100_000_000, "plan": 1}),
        "note": "y" * 2_000_000,
    }
    answer = Answer([{"id": "b", "cost": 1}, {**huge, "cost": 2}])
    piece = read_slice(
        table, slice_of(table, lambda: answer, DAYS[:1], "client"), context(tmp_path)
    )
    assert [line[2:] for line in cells(piece)] == [
        ["b", "", "", "1"],
        ["a", '{"huge":null,"plan":1}', "", "2"],
    ]
    assert {entry["column"] for entry in set_aside(piece)["2026-03-02"]} == {"properties", "note"}


@pytest.mark.parametrize(
    ("total", "loads"),
    [
        (Decimal("12.50"), True),
        (Decimal("12.507"), True),
        (Decimal("12.53"), False),
        (Decimal("112.50"), False),
    ],
)
def test_a_day_that_was_over_loads_only_when_it_adds_up_to_the_vendors_total(
    tmp_path: Path, total: Decimal, loads: bool
) -> None:
    table = replace(TABLE, total="cost")
    reads: list[int] = []

    def answer() -> Answer:
        reads.append(1)
        return Answer(
            [row(cost=Decimal("12.25")), row(number="b", cost=Decimal("0.25"))],
            totals={DAYS[0]: total},
        )

    piece = slice_of(TABLE, answer, DAYS)
    if loads:
        assert read_slice(table, piece, context(tmp_path)).rows == 2
    else:
        with pytest.raises(
            VendorDataError, match=rf"total of 2026-03-02 is {total} \(cost\), .* adds up to 12.50"
        ):
            read_slice(table, piece, context(tmp_path))
    assert len(reads) == (1 if loads else 2)
    assert len(list(tmp_path.glob("*.rows.csv"))) == loads


def test_what_came_late_is_there_when_the_slice_is_read_once_more(tmp_path: Path) -> None:
    answers = iter(
        [
            Answer([row()], totals={DAYS[0]: 2}),
            Answer([row(), row(number="b")], totals={DAYS[0]: 2}),
        ]
    )
    assert (
        read_slice(TABLE, slice_of(TABLE, lambda: next(answers), DAYS), context(tmp_path)).rows == 2
    )


def test_a_day_that_still_goes_on_is_loaded_as_it_was_read(tmp_path: Path) -> None:
    today = context(tmp_path).today
    answer = Answer([row(str(today))], totals={today: 5})
    assert read_slice(TABLE, slice_of(TABLE, lambda: answer, (today,)), context(tmp_path)).rows == 1


@pytest.mark.parametrize(("total", "loads"), [(1, True), (2, True), (3, False)])
def test_a_whole_list_may_have_grown_and_may_not_have_shrunk(
    tmp_path: Path, total: int, loads: bool
) -> None:
    table = Table(name="lists", about="Whole.", key=("id",), columns=columns_of({"id": "text"}))
    answer = Answer([{"id": "a"}, {"id": "b"}], counted=total)
    piece = slice_of(table, lambda: answer, DAYS[:1], "client")
    with nullcontext() if loads else pytest.raises(VendorDataError, match="stays"):
        assert read_slice(table, piece, context(tmp_path)).rows == 2


def test_what_could_not_be_read_explains_a_total_that_is_higher(tmp_path: Path) -> None:
    answer = Answer([row(), row(number=None), row("2026-03-03")], totals={DAYS[0]: 2, DAYS[1]: 1})
    assert read_slice(TABLE, slice_of(TABLE, lambda: answer, DAYS), context(tmp_path)).rows == 2
    money = Answer([row(cost=1), row(number="b", cost="?")], totals={DAYS[0]: 9})
    assert (
        read_slice(
            replace(TABLE, total="cost"), slice_of(TABLE, lambda: money, DAYS), context(tmp_path)
        ).rows
        == 2
    )


def test_a_row_of_a_day_that_was_not_asked_for_fails_the_slice(tmp_path: Path) -> None:
    with pytest.raises(
        VendorDataError,
        match="^client 713, source shop, spend: a row of 2026-03-04 among those of 2026-03-02 to",
    ):
        read(tmp_path, row(), row("2026-03-04"))


def test_totals_and_cursor_may_be_filled_while_rows_are_consumed(tmp_path: Path) -> None:
    answer = Answer(())

    def rows() -> Iterator[Row]:
        yield row(cost=3)
        answer.totals[DAYS[0]] = 1
        answer.cursor = "c7"

    answer.rows = rows()
    piece = read_slice(TABLE, slice_of(TABLE, lambda: answer, DAYS), context(tmp_path))
    assert (piece.totals, piece.reading.cursor) == ({DAYS[0]: 1}, "c7")


def test_a_slice_of_days_with_a_gap_is_refused_because_all_between_is_replaced() -> None:
    with pytest.raises(ValueError, match="not one stretch"):
        slice_of(TABLE, lambda: Answer(()), (date(2026, 3, 2), date(2026, 3, 4)))


def test_a_preview_tells_the_slices_and_reads_nothing(tmp_path: Path) -> None:
    def explode() -> Answer:
        raise AssertionError("read")

    plan = {"spend": lambda: [slice_of(TABLE, explode, DAYS), slice_of(TABLE, explode, DAYS[:1])]}
    assert [(item.resource, item.what) for item in planned(plan, context(tmp_path))] == [
        ("spend", "2026-03-02 to 2026-03-03"),
        ("spend", "2026-03-02"),
    ]
