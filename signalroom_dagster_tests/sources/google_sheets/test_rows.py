"""Cells, headers and the guard, one by one: what Google sends, and what it is taken for."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from signalroom_dagster.sources.google_sheets.cells import ERRORS, converter
from signalroom_dagster.sources.google_sheets.guard import SheetChangedError, check_rows
from signalroom_dagster.sources.google_sheets.header import HeaderError, find_columns
from signalroom_dagster.sources.google_sheets.rows import read_rows
from signalroom_dagster.sources.google_sheets.settings import Guard

ZONE = ZoneInfo("America/New_York")
GUARD = Guard(min_rows=1, keep_share=0.5, misfit_share=0.1, may_shrink=False)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("text", "facebook ", "facebook "),
        ("text", 12, "12"),
        ("text", Decimal("12.0"), "12"),
        ("text", Decimal("1.50"), "1.5"),
        ("text", Decimal("2.1255501234E+10"), "21255501234"),
        ("text", True, "TRUE"),
        ("integer", 12, 12),
        ("integer", Decimal("12.0"), 12),
        ("integer", "1,234", 1234),
        ("decimal", Decimal("0.30000000000000004"), Decimal("0.30000000000000004")),
        ("decimal", 0, Decimal(0)),
        ("decimal", "1,234.50", Decimal("1234.50")),
        ("decimal", " $1,234.50 ", Decimal("1234.50")),
        ("decimal", "-$ 5", Decimal(-5)),
        ("decimal", "$-5.", Decimal(-5)),
        ("decimal", "(12.50)", Decimal("-12.50")),
        ("decimal", ".5", Decimal("0.5")),
        ("bool", True, True),
        ("bool", False, False),
        ("bool", "Yes", True),
        ("bool", "no", False),
        ("bool", 1, True),
        ("bool", Decimal("0.0"), False),
        ("date", 46083, date(2026, 3, 2)),
        ("date", Decimal("46083.75"), date(2026, 3, 2)),
        ("date", Decimal("46083.9999999"), date(2026, 3, 3)),
        ("date", 1, date(1899, 12, 31)),
        ("date", "2026-03-02", date(2026, 3, 2)),
        ("date", "2026-03-02 10:30", date(2026, 3, 2)),
        ("date", "3/2/2026", date(2026, 3, 2)),
        ("date", "03/02/2026  11:15:00 pm", date(2026, 3, 2)),
        ("datetime", Decimal("46083.5"), datetime(2026, 3, 2, 17, tzinfo=UTC)),
        ("datetime", Decimal("46083.33333333334"), datetime(2026, 3, 2, 13, tzinfo=UTC)),
        ("datetime", Decimal("46089.25"), datetime(2026, 3, 8, 10, tzinfo=UTC)),
        ("datetime", "2026-03-02T12:00:00Z", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("datetime", "03/02/2026", datetime(2026, 3, 2, 5, tzinfo=UTC)),
    ],
)
def test_a_cell_is_taken_for_what_was_meant(kind: str, cell: Any, value: Any) -> None:
    found = converter(kind, ZONE)(cell)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("de_DE", "1.234", Decimal(1234)),
        ("de", "12,345", Decimal("12.345")),
        ("pt_BR", "R 1", None),
        ("fr_FR", "€ 1.234,56", Decimal("1234.56")),
        ("it_IT", "(89,90)", Decimal("-89.90")),
        ("de_DE", "1,234.50", None),
        ("de_DE", "1234.5", None),
        ("en_US", "1.234,56", None),
        ("en_US", "1,234", Decimal(1234)),
        ("en_GB", "1.234", Decimal("1.234")),
        ("de_CH", "1.234", Decimal("1.234")),
        ("es_MX", "1,234", Decimal(1234)),
        ("en_US", "89,90", None),
        ("en_US", "89.90-", None),
        ("en_US", "1e3", None),
        ("en_US", "NaN", None),
        ("en_US", "\u221e", None),
        ("en_US", "\uff18\uff19", None),
    ],
)
def test_a_number_typed_as_text_is_read_as_its_spreadsheets_locale_has_it(
    locale: str, text: str, value: Decimal | None
) -> None:
    read = read_rows([["a"], [text]], {"a": "decimal"}, ZONE, locale=locale)
    assert [row["a"] for row in read.rows] == [value]
    assert bool(read.notes().get("cells")) == (value is None)


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("en_US", "03/04/2026", date(2026, 3, 4)),
        ("en_GB", "03/04/2026", date(2026, 4, 3)),
        ("de_DE", "03.04.2026 10:30", date(2026, 4, 3)),
        ("de_DE", "03/13/2026", None),
        ("en_US", "13/03/2026", None),
    ],
)
def test_a_day_typed_as_text_is_read_as_its_spreadsheets_locale_has_it(
    locale: str, text: str, value: date | None
) -> None:
    assert [
        row["a"] for row in read_rows([["a"], [text]], {"a": "date"}, ZONE, locale=locale).rows
    ] == [value]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("integer", Decimal("12.5")),
        ("integer", "twelve"),
        ("integer", True),
        ("integer", 2**63),
        ("decimal", "12,5"),
        ("decimal", "1.234,50"),
        ("decimal", "1,23.4"),
        ("decimal", "12%"),
        ("decimal", False),
        ("decimal", 10**14),
        ("decimal", "NaN"),
        ("decimal", "1e5"),
        ("decimal", "$"),
        ("decimal", "٣"),
        ("bool", "maybe"),
        ("bool", 2),
        ("date", 0),
        ("date", -3),
        ("date", Decimal("0.75")),
        ("date", 3_000_000),
        ("date", True),
        ("date", "13/25/2026"),
        ("date", "3/2/26"),
        ("date", "20260302"),
        ("date", "2026-W10-1"),
        ("date", "tomorrow"),
        ("datetime", "9999-12-31 23:00"),
        ("datetime", "2026-03-02 25:00"),
    ],
)
def test_a_cell_that_may_mean_anything_is_not_guessed(kind: str, cell: Any) -> None:
    with pytest.raises(ValueError):
        converter(kind, ZONE)(cell)


@pytest.mark.parametrize("error", sorted(ERRORS))
@pytest.mark.parametrize("kind", ["text", "decimal", "date"])
def test_the_error_of_a_formula_is_no_value_of_any_kind(error: str, kind: str) -> None:
    found = read_rows([["a", "b"], [error, 1]], {"a": kind, "b": "integer"}, ZONE)
    assert found.rows == [{"_row_id": 1, "a": None, "b": 1}]
    assert "error of a formula, loaded as NULL (row 1)" in found.notes()["cells"]


def test_columns_are_found_wherever_they_moved_and_however_they_are_written() -> None:
    header = ["", "  COST\n ($) ", "Note", 2026, "Date\u00a0 paid"]
    assert find_columns(header, ["Cost ($)", "date paid", "2026"]) == {
        "Cost ($)": 1,
        "date paid": 4,
        "2026": 3,
    }


def test_a_header_that_is_there_twice_is_refused_and_one_that_only_looks_alike_is_not() -> None:
    with pytest.raises(HeaderError, match="more than one column Cost"):
        find_columns(["Cost", "Date", "cost "], ["Cost", "Date"])
    assert find_columns(["Cost", "Cost ($)", "Cost ($)"], ["Cost"]) == {"Cost": 0}


def test_a_row_of_data_in_the_place_of_a_removed_header_is_not_shown() -> None:
    with pytest.raises(
        HeaderError, match="none of the columns date, name stands in the first row"
    ) as raised:
        find_columns([46083, "Jane Placeholder"], ["date", "name"])
    assert "Jane" not in str(raised.value)


def test_rows_keep_their_number_below_the_header_and_blank_ones_leave_a_gap() -> None:
    values = [
        [],
        ["", "a", "b"],
        ["x", 1],
        [],
        ["", "  ", ""],
        ["only beside"],
        ["", "", 2, "far right"],
    ]
    found = read_rows(values, {"a": "integer", "b": "integer"}, ZONE)
    assert found.rows == [{"_row_id": 1, "a": 1, "b": None}, {"_row_id": 5, "a": None, "b": 2}]
    assert found.notes() == {
        "columns_without_header": "3 rows with data in a column without a header",
        "blank_rows": "3",
    }


def test_merged_cells_have_a_value_in_the_first_one_only() -> None:
    found = read_rows([["a", "b"], ["merged", 1], ["", 2]], {"a": "text", "b": "integer"}, ZONE)
    assert [row["a"] for row in found.rows] == ["merged", None]


def read(cells: list[Any], kind: str = "decimal") -> Any:
    return read_rows([["a", "b"], *([cell, "x"] for cell in cells)], {"a": kind, "b": "text"}, ZONE)


def test_a_few_cells_that_do_not_fit_are_borne_and_more_are_not() -> None:
    check_rows(read([1, "tbd"]), GUARD, 0)
    check_rows(read([*range(1, 19), "tbd", "n/a"]), GUARD, 0)
    with pytest.raises(
        SheetChangedError,
        match=r"10% .* of 19, a: 2 cells not a decimal, loaded as NULL \(row 18, 19",
    ):
        check_rows(read([*range(1, 18), "secret", "n/a"]), GUARD, 0)
    check_rows(read(["tbd", "n/a"]), GUARD._replace(misfit_share=1.0), 0)


def test_a_column_of_broken_formulas_is_not_loaded_and_some_broken_ones_are() -> None:
    check_rows(read(["#REF!", 1]), GUARD, 0)
    check_rows(read(["#REF!", "#N/A", 1, 2]), GUARD, 0)
    with pytest.raises(SheetChangedError, match="a formula is broken: of 3, a: 2 cells"):
        check_rows(read(["#REF!", "#REF!", 1]), GUARD, 0)
    check_rows(read(["#REF!", "#REF!", 1]), GUARD._replace(may_shrink=True), 0)


def test_fewer_rows_than_expected_are_not_believed() -> None:
    check_rows(read([1, 2]), GUARD, 4)
    with pytest.raises(SheetChangedError, match="rows of data: 2, loaded before: 5"):
        check_rows(read([1, 2]), GUARD, 5)
    with pytest.raises(SheetChangedError, match="rows of data: 2, expected at least 3"):
        check_rows(read([1, 2]), GUARD._replace(min_rows=3), 0)
    check_rows(read([]), GUARD._replace(may_shrink=True), 5)


def test_a_note_names_columns_and_rows_and_never_what_stands_there() -> None:
    notes = read(["secret", *range(1, 10), *["#N/A"] * 7]).notes()
    assert notes["cells"] == (
        "a: 7 cells with the error of a formula, loaded as NULL (row 11, 12, 13, 14, 15, ...); "
        "a: 1 cell not a decimal, loaded as NULL (row 1)"
    )


def test_a_total_without_a_word_is_seen_by_its_sum() -> None:
    kinds = {"day": "date", "cost": "decimal"}
    above = [[46083, 1], [46084, Decimal("2.5")], [46085, 4]]
    assert read_rows([["day", "cost"], *above, ["", Decimal("7.5")]], kinds, ZONE).totals == [4]
    assert read_rows([["day", "cost"], *above, ["", 7]], kinds, ZONE).totals == []
    assert read_rows([["day", "cost"], *above, [46086, Decimal("7.5")]], kinds, ZONE).totals == []


@pytest.mark.parametrize(
    "text", ["Total", "TOTAL:", "Grand total", "Sub-total", "totals", "Total spend 2026", "Sum"]
)
def test_a_row_that_says_that_it_is_a_total_is_one(text: str) -> None:
    assert read_rows([["a", "b"], [text, 1]], {"a": "text", "b": "integer"}, ZONE).totals == [1]


@pytest.mark.parametrize("text", ["Total Wine", "totally", "Summer sale", "my total"])
def test_a_name_that_only_begins_like_one_is_none(text: str) -> None:
    assert read_rows([["a", "b"], [text, 1]], {"a": "text", "b": "integer"}, ZONE).totals == []


def test_texts_of_a_row_that_moved_meanwhile_are_not_taken() -> None:
    values: list[list[Any]] = [["a", "b"], ["x", 7], ["y", 8]]
    texts = [["a", "b"], ["y", "008"], ["y", "008"]]
    found = read_rows(values, {"a": "text", "b": "text"}, ZONE, texts)
    assert [row["b"] for row in found.rows] == ["7", "008"]


def test_a_column_that_lost_what_was_in_it_is_not_believed() -> None:
    kinds, rows = {"cost": "decimal", "note": "text"}, [[1, "x"], [2, "y"], [3, ""], [4, ""]]
    whole = read_rows([["cost", "note"], *rows], kinds, ZONE)
    check_rows(whole, GUARD, 4, {"cost": 4, "note": 2})
    check_rows(whole, GUARD, 4, {"cost": 4, "note": 4})  # people may strike notes
    emptied = read_rows([["cost", "note"], *([cost, ""] for cost, _ in rows)], kinds, ZONE)
    check_rows(emptied, GUARD, 4, {"cost": 4, "note": 1})
    with pytest.raises(
        SheetChangedError, match="column note: cells with something in them: 0, loaded before: 2"
    ):
        check_rows(emptied, GUARD, 4, {"cost": 4, "note": 2})
    thinned = read_rows([["cost", "note"], [1, "x"], ["", "y"], ["", "z"], ["", "z"]], kinds, ZONE)
    with pytest.raises(
        SheetChangedError, match="column cost: cells with something in them: 1, loaded before: 4"
    ):
        check_rows(thinned, GUARD, 4, {"cost": 4, "note": 4})
    check_rows(
        read_rows([["cost", "note"], ["", "x"]], kinds, ZONE), GUARD, 2, {"cost": 0, "note": 2}
    )
