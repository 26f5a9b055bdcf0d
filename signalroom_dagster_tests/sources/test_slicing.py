"""Reading a slice: rows become a file that both databases read alike, or an error that names the column."""

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.slices import LoadSlice
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.slicing import Answer, Slice, planned, read_slice
from signalroom_dagster.sources.tables import Row, Table, columns_of
from signalroom_dagster_tests.sources.contexts import NOON, context, march, read_at

TABLE = Table(
    name="spend",
    about="Spend.",
    key=("date", "id"),
    day="date",
    figures=("cost",),
    columns=columns_of({"date": "date", "id": "text", "cost": "decimal", "note": "text"}),
)
DAYS = tuple(march([2, 3]))


def read(tmp_path: Path, *rows: Row, **how: Any) -> LoadSlice:
    piece = Slice(days=DAYS, read=lambda: Answer(rows), **how)
    return read_slice(TABLE, piece, context(tmp_path, windows={"spend": read_at(NOON, *march([2]))}))


def cells(piece: LoadSlice) -> list[list[str]]:
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
    assert piece.columns == ("_client_id", "_loaded_at", "date", "id", "cost", "note")
    assert piece.kinds == ("text", "timestamp", "date", "text", "decimal", "text")
    assert (piece.rows, dict(piece.rows_by_day)) == (3, {DAYS[0]: 2, DAYS[1]: 1})
    assert piece.finished_days == frozenset([DAYS[0]])


def test_rows_that_replace_by_key_are_numbered_and_may_be_of_any_day(tmp_path: Path) -> None:
    piece = read(tmp_path, row(), row("2026-02-01"), replaces="keys")
    assert [line[-1] for line in cells(piece)] == ["0", "1"]


def test_nul_characters_are_left_out(tmp_path: Path) -> None:
    assert cells(read(tmp_path, row(note="a\0b")))[0][-1] == "ab"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (row("2026-03-04"), "a row of 2026-03-04 among those of 2026-03-02 to 2026-03-03"),
        (row(number=""), r"a row without its key \(date, id\)"),
        (row(cost="secret words"), "column cost is decimal, and a row has there what is not a number"),
        (row("soon"), "column date is date, and a row has there what is not a date"),
    ],
)
def test_a_row_that_cannot_be_meant_fails_the_slice_and_is_not_told(tmp_path: Path, bad: Row, said: str) -> None:
    with pytest.raises(VendorDataError, match=f"^client 713, spend: {said}") as refused:
        read(tmp_path, row(), bad)
    assert "secret words" not in str(refused.value)


def test_totals_and_cursor_may_be_filled_while_rows_are_consumed(tmp_path: Path) -> None:
    answer = Answer(())

    def rows() -> Iterator[Row]:
        yield row(cost=3)
        answer.totals[DAYS[0]] = 3
        answer.cursor = "c7"

    answer.rows = rows()
    piece = read_slice(TABLE, Slice(days=DAYS, read=lambda: answer), context(tmp_path))
    assert (piece.totals, piece.cursor) == ({DAYS[0]: 3}, "c7")


def test_a_slice_of_days_with_a_gap_is_refused_because_all_between_is_replaced() -> None:
    with pytest.raises(ValueError, match="not one stretch"):
        Slice(days=(date(2026, 3, 2), date(2026, 3, 4)), read=lambda: Answer(()))


def test_a_preview_tells_the_slices_and_reads_nothing(tmp_path: Path) -> None:
    def explode() -> Answer:
        raise AssertionError("read")

    plan = {"spend": lambda: [Slice(days=DAYS, read=explode), Slice(days=DAYS[:1], read=explode)]}
    assert [(item.resource, item.what) for item in planned(plan, context(tmp_path))] == [
        ("spend", "2026-03-02 to 2026-03-03"),
        ("spend", "2026-03-02"),
    ]
