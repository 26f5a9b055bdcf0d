"""Cells: what each kind makes of a vendor's values, and what it refuses."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from signalroom_dagster.json_text import Cleaned
from signalroom_dagster.kinds import CONVERTERS
from signalroom_dagster.sources.tables import Table, cells_of, columns_of, read_tables


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("text", "Northwind Media ", "Northwind Media "),
        ("text", "", None),
        ("text", None, None),
        ("text", 0, "0"),
        ("text", Decimal("1.50"), "1.50"),
        ("text", ["a", {"b": 1}], '["a",{"b":1}]'),
        ("bigint", 0, 0),
        ("bigint", "", None),
        ("bigint", " 41 ", 41),
        ("bigint", Decimal("41.0"), 41),
        ("bigint", True, 1),
        ("bigint", 2**63 - 1, 2**63 - 1),
        ("decimal", 0, 0),
        ("decimal", "", None),
        ("decimal", "12.5", Decimal("12.5")),
        ("decimal", Decimal("0.00005"), Decimal("0.0001")),
        ("decimal", Decimal("0.00004999"), Decimal("0.0000")),
        ("decimal", Decimal("-0.00005"), Decimal("-0.0001")),
        ("decimal", Decimal("2.00015"), Decimal("2.0002")),
        ("decimal", Decimal("2.00025"), Decimal("2.0003")),
        ("decimal", 16.66665, Decimal("16.6667")),
        ("decimal", Decimal("1E+3"), Decimal("1000")),
        ("decimal", "99999999999999.9999", Decimal("99999999999999.9999")),
        ("bool", 1, True),
        ("bool", 0, False),
        ("bool", "FALSE", False),
        ("bool", True, True),
        ("bool", "", None),
        ("date", "2026-03-02T23:59:59Z", "2026-03-02"),
        ("date", date(2026, 3, 2), "2026-03-02"),
        ("date", datetime(2026, 3, 2, 5, tzinfo=UTC), "2026-03-02"),
        ("date", "", None),
        ("timestamp", "2026-03-02 10:00:00", "2026-03-02T10:00:00+00:00"),
        ("timestamp", "2026-03-02T10:00:00-05:00", "2026-03-02T15:00:00+00:00"),
        (
            "timestamp",
            datetime(2026, 3, 2, 10, tzinfo=ZoneInfo("America/New_York")),
            "2026-03-02T15:00:00+00:00",
        ),
        ("timestamp", None, None),
        ("epoch", 1772385301, "2026-03-01T17:15:01+00:00"),
        ("epoch", "1772385301", "2026-03-01T17:15:01+00:00"),
        ("epoch", 0, None),
        ("epoch", "", None),
        ("json", {"paid": Decimal("12.50"), "tags": []}, '{"paid":12.50,"tags":[]}'),
        ("json", None, None),
        ("json", {}, "{}"),
        ("jsontext", "", None),
        ("jsontext", '{"a": 1.10}', '{"a": 1.10}'),
    ],
)
def test_a_value_becomes_a_cell(kind: str, value: Any, cell: Any) -> None:
    assert CONVERTERS[kind](value) == cell


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bigint", "forty"),
        ("decimal", True),
        ("decimal", "1_000"),
        ("decimal", "1,234.50"),
        ("decimal", "1.234,56"),
        ("decimal", "$ 89.90"),
        ("decimal", "(12.50)"),
        ("decimal", "89.90-"),
        ("decimal", "\uff11\uff10"),
        ("decimal", "\u221e"),
        ("bigint", Decimal("1.5")),
        ("bigint", 2**63),
        ("bigint", Decimal("1E+400000000")),
        ("bigint", float("inf")),
        ("decimal", "NaN"),
        ("decimal", float("nan")),
        ("decimal", "Infinity"),
        ("decimal", "12,50"),
        ("decimal", Decimal("1E+14")),
        ("decimal", "123456789012345678901234567890.123456"),
        ("bool", "perhaps"),
        ("bool", 2),
        ("date", "03/02/2026"),
        ("date", 1772385301),
        ("timestamp", "yesterday"),
        ("timestamp", "0001-01-01T00:00:00+14:00"),
        ("epoch", 1_772_385_301_000_000),
        ("epoch", 9_000_000_000_000_000_000),
        ("jsontext", '{"a": NaN'),
    ],
)
def test_what_a_kind_cannot_hold_is_a_value_error_without_the_value(kind: str, value: Any) -> None:
    with pytest.raises(ValueError) as refused:
        CONVERTERS[kind](value)
    assert str(value) not in str(refused.value)


def test_json_loses_only_what_postgres_cannot_store() -> None:
    kept = CONVERTERS["jsontext"](
        '{"nul\\u0000": "a\\u0000b", "half": "x\\ud83d", "whole": "\\ud83d\\ude00", "n": NaN}'
    )
    assert json.loads(kept) == {"nul": "ab", "half": "x\ufffd", "whole": "😀", "n": None}
    assert kept.encode("utf-8")
    assert json.loads(CONVERTERS["json"]({"a": "x\0y", "b": ["\0"]})) == {"a": "xy", "b": [""]}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            '{"nul": "\\u0000", "cost": 0.10000000000000000001}',
            '{"nul":"","cost":0.10000000000000000001}',
        ),
        ('{"half": "\\ud83d", "told": "\\\\ud83d"}', '{"half":"\ufffd","told":"\\\\ud83d"}'),
        (
            '{"lows": "\\ude00\\ude00", "pair": "\\ud83d\\ude00"}',
            '{"lows":"\ufffd\ufffd","pair":"😀"}',
        ),
        ('{"big": 1e400, "small": 1.5e-7}', '{"big":null,"small":1.5E-7}'),
        (
            '{"big": -1e99999999999999999999, "id": 12345678901234567890123}',
            '{"big":null,"id":12345678901234567890123}',
        ),
        ('{"none": NaN, "text": "NaN"}', '{"none":null,"text":"NaN"}'),
    ],
)
def test_what_is_broken_in_json_is_repaired_and_nothing_beside_it(text: str, kept: str) -> None:
    cell = CONVERTERS["jsontext"](text)
    assert (cell, type(cell)) == (kept, Cleaned)


@pytest.mark.parametrize(
    "text",
    [
        '{"told": "\\\\u0000 \\\\ud83d", "n": 1.10, "e": 1E5}',
        '"NaN"',
        '{"a":  "Infinity"}',
        '["\\ud83d\\ude00"]',
    ],
)
def test_json_that_can_be_stored_stays_as_it_is_to_the_letter(text: str) -> None:
    cell = CONVERTERS["jsontext"](text)
    assert (cell, type(cell)) == (text, str)


@pytest.mark.parametrize("levels", [3_000, 200_000])
def test_json_of_too_many_levels_loses_those_alone(levels: int) -> None:
    deep = f'{{"deep": {"[" * levels}{"]" * levels}, "beside": 1.10}}'
    assert CONVERTERS["jsontext"](deep).endswith(',"beside":1.10}')
    nested: Any = []
    for _ in range(levels):
        nested = [nested]
    for kind in ("json", "text"):
        assert CONVERTERS[kind]({"deep": nested, "beside": 1}).endswith(',"beside":1}')


@pytest.mark.parametrize("kind", sorted(CONVERTERS))
@pytest.mark.parametrize(
    "value",
    [
        "-0001-11-30T00:00:00+00:00",
        "0000-00-00",
        "10000-01-01",
        Decimal("NaN"),
        Decimal("1E+400"),
        float("inf"),
        pytest.param(10**5_000, id="5,001 digits"),
        2**63,
        Decimal("1E+14"),
        "a\0b",
        "a\ud83d",
        {"a": [[[]]]},
        [],
        "{'a': 1}",
        "²",
        b"bytes",
    ],
)
def test_every_kind_reads_or_refuses_every_value_and_the_cells_beside_it_are_read(
    kind: str, value: Any
) -> None:
    cells = cells_of(columns_of({"odd": kind, "id": "bigint"}))
    odd: list[tuple[str, str]] = []
    cell, beside = cells({"odd": value, "id": 7}, odd)
    assert beside == 7
    assert cell is not None or odd or value == []
    assert "\0" not in str(cell)
    assert str(cell).encode()


def test_a_column_finds_its_value_by_path_and_nothing_on_the_way_is_null() -> None:
    plain, deep = columns_of({"id": "bigint", "affiliate": "text relationship.affiliate.name"})
    row = {"id": "7", "relationship": {"affiliate": {"name": "Northwind"}}}
    assert (plain.value(row), deep.value(row)) == (7, "Northwind")
    assert deep.value({"relationship": {"affiliate": None}}) is None
    assert deep.value({"relationship": []}) is None
    assert deep.value({}) is None
    with pytest.raises(ValueError, match="another shape"):
        deep.value({"relationship": "Northwind"})


def test_a_table_says_in_dlts_words_what_its_columns_are() -> None:
    columns = columns_of(
        {"day": "date", "cost": "decimal | what it cost", "at": "epoch seen", "props": "jsontext"}
    )
    table = Table(name="spend", about="Spend.", key=("day",), columns=columns)
    assert table.hints["_client_id"] == {
        "name": "_client_id",
        "data_type": "text",
        "nullable": False,
        "description": "the client whose row it is",
    }
    assert table.hints["day"]["nullable"] is False
    assert table.hints["cost"] == {
        "name": "cost",
        "data_type": "decimal",
        "nullable": True,
        "precision": 18,
        "scale": 4,
        "description": "what it cost",
    }
    assert (table.hints["at"]["data_type"], table.hints["props"]["data_type"]) == (
        "timestamp",
        "json",
    )


@pytest.mark.parametrize("source", ["everflow", "redtrack", "posthog", "mautic"])
def test_every_counted_column_of_a_table_by_day_restates_it(source: str) -> None:
    for table in read_tables(f"signalroom_dagster.sources.{source}").values():
        counted = {column.name for column in table.columns if column.kind in ("bigint", "decimal")}
        others = {name for name in counted if name.endswith("_id")} | {"error_code"} | {*table.key}
        assert {*table.figures} == (
            counted - others if table.day and table.name != "clicks" else set()
        ), table.name


def test_every_table_of_everflow_has_its_key_day_and_figures_among_its_columns() -> None:
    for table in read_tables("signalroom_dagster.sources.everflow").values():
        names = {column.name for column in table.columns}
        total = () if table.total == "rows" else (table.total,)
        assert names >= {*table.key, *table.figures, *total, *filter(None, [table.day])}, table.name
        assert all(column.kind in CONVERTERS for column in table.columns), table.name
