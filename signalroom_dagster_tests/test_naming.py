"""Names that two parts of the system must agree on."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalroom_dagster.files import REJECT_COLUMNS, TAGS
from signalroom_dagster.naming import CLIENT_ID, column_names, pipeline_name, snake_case

POSTGRES_LONGEST = 63


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Click ID", "click_id"),
        ("orders_id", "orders_id"),
        ("orders-create", "orders_create"),
        ("  Hold Type ID ", "hold_type_id"),
        ("ClickID", "click_id"),
        ("clickId", "click_id"),
        ("HTTPStatus", "httpstatus"),
        ("c1", "c1"),
        ("a__b--c", "a_b_c"),
        ("_private_", "private"),
        ("% of total (USD)", "of_total_usd"),
        ("2nd try", "_2nd_try"),
        ("Prénom", "pr_nom"),
        ('a"; DROP TABLE x; --', "a_drop_table_x"),
        ("line\nbreak\ttab\0nul", "line_break_tab_nul"),
        ("\ufefforders_id", "orders_id"),
        ("", ""),
        ("---", ""),
        ("\u4e2d\u6587", ""),
    ],
)
def test_a_name_becomes_lower_case_words_with_underscores(name: str, expected: str) -> None:
    assert snake_case(name) == expected


@given(st.text(max_size=70))
@settings(max_examples=100, deadline=None)
def test_a_snake_case_name_is_safe_in_sql_and_stays_as_it_is(name: str) -> None:
    found = snake_case(name)
    assert re.fullmatch(r"(_?[a-z0-9]+(_[a-z0-9]+)*)?", found)
    assert len(found) <= POSTGRES_LONGEST
    assert snake_case(found).lstrip("_") == found.lstrip("_")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["A", "a", "a "], ["a", "a_2", "a_3"]),
        (["a", "a", "a_2"], ["a", "a_2", "a_2_2"]),
        (["a_2", "a", "a"], ["a_2", "a", "a_3"]),
        (["", " ", "--"], ["column_1", "column_2", "column_3"]),
        (["column_2", ""], ["column_2", "column_2_2"]),
    ],
)
def test_repeated_and_blank_header_cells_get_names_of_their_own(header: Sequence[str], expected: list[str]) -> None:
    assert column_names(header) == expected


def test_reserved_names_are_not_given_away() -> None:
    assert column_names(["id", "x"], reserved=["id"]) == ["id_2", "x"]


@pytest.mark.parametrize("tag", [*TAGS, *(f" {name.upper()} " for name in TAGS)])
def test_no_column_of_a_file_can_pass_for_one_of_our_tags(tag: str) -> None:
    assert not {*column_names([tag, tag])} & {*TAGS, *(name for name in REJECT_COLUMNS if name.startswith("_"))}


HEADER_CELLS = st.one_of(
    st.sampled_from(["", "a", "A", "a_2", "a 2", "column_1", "x" * 70, "x" * 60]), st.text(max_size=8)
)


@given(st.lists(HEADER_CELLS, max_size=30))
@settings(max_examples=100, deadline=None)
def test_column_names_are_distinct_and_never_empty(header: list[str]) -> None:
    names = column_names(header)
    assert len(names) == len(set(names)) == len(header)
    assert all(names)
    assert all(len(name) <= POSTGRES_LONGEST for name in names)


def test_long_names_stay_apart_where_postgres_cuts_them() -> None:
    names = column_names(["x" * 80] * 1_200)
    assert len({name[:POSTGRES_LONGEST] for name in names}) == 1_200


@pytest.mark.parametrize("client_id", ["713", "cti", "a_b", "0", "client_2_b"])
def test_a_client_id_is_lower_case_letters_digits_and_single_underscores(client_id: str) -> None:
    assert CLIENT_ID.match(client_id)


@pytest.mark.parametrize(
    "client_id", ["", "A", "_a", "a__b", "a-b", "a b", "a.b", "a/b", "../a", "a\n", "é", "a'", "a;", "\u0663"]
)
def test_nothing_else_is_a_client_id(client_id: str) -> None:
    assert not CLIENT_ID.match(client_id)


def test_every_source_and_client_has_a_pipeline_of_its_own() -> None:
    assert pipeline_name("s3_exports", "713") == "s3_exports__713"
