"""Whether a first line is a header, and what parts its fields."""

from collections.abc import Sequence

import pytest

from signalroom_dagster.sources.s3_exports.headers import looks_like_data, other_delimiter


@pytest.mark.parametrize(
    "cell",
    [
        "bob@example.com",
        "2026-03-01",
        "3/1/2026",
        "2026-03-01T10:00:00Z",
        "3 Mar 2026",
        "10:30",
        "4111111111111111",
        "4111 1111 1111 1111",
        "411111******1111",
        "XXXX-XXXX-XXXX-1234",
        "+1 (555) 010-9999",
        "12",
        "-3.50",
        "$5.00",
        "1.234,50 €",
        "50%",
        "1e5",
        ".5",
        "(12.00)",
        "192.168.1.1",
        "550e8400-e29b-41d4-a716-446655440000",
        "https://example.com/a",
        "TRUE",
        "x" * 301,
    ],
)
def test_a_value_is_no_name(cell: str) -> None:
    assert looks_like_data(["name", f" {cell} "], ())


@pytest.mark.parametrize(
    "cells",
    [
        ["id"],
        ["orders_id", "Click ID"],
        ["c1", "2nd try", "Q1 2026", "2025-2026", "2026-03", "Mar-26"],
        ["Order #", "Sale %"],
        ["", "a", "b"],
        ["id", "name", "", ""],
        ["notes", "notes"],
        ["Name", "電話", "Имя"],
        ["T&C", "$ amount", "N/A"],
        ["deadbeef", "e-mail", "www", "Is true"],
    ],
)
def test_names_are_names(cells: Sequence[str]) -> None:
    assert looks_like_data(cells, ()) is None


def test_a_number_that_is_a_column_already_is_a_name_and_a_person_never() -> None:
    assert looks_like_data(["name", "2024"], {"name", "_2024"}) is None
    assert looks_like_data(["name", "bob@example.com"], {"name", "bob_example_com"})


@pytest.mark.parametrize(
    ("raw", "expected", "is_sure", "other"),
    [
        (b"a;b", ",", False, ";"),
        (b"a;b,c;d", ",", False, ";"),
        (b"a\tb", ",", False, "\t"),
        (b"a,b;c", ",", False, None),
        (b'"a;b;c",d', ",", False, None),
        (b'"a,b,c";d', ",", False, ";"),
        (b"a", ",", False, None),
        (b"a,b", ";", True, ","),
        (b"a,b,c;d", ";", True, None),
    ],
)
def test_what_parts_the_fields_of_a_header(
    raw: bytes, expected: str, is_sure: bool, other: str | None
) -> None:
    assert other_delimiter(raw, expected, is_sure=is_sure) == other
