"""Names that two parts of the system must agree on."""

import itertools
import random
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalroom_dagster.naming import (
    CLIENT_ID,
    column_name,
    column_names,
    distinct_name,
    numbered_names,
    pipeline_name,
    snake_case,
    staging_schema,
)
from signalroom_dagster.sources.files import REJECT_COLUMNS, TAGS

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
        ("Click ID", "click_id"),
        ("Amount (net), total", "amount_net_total"),
        ("\ufeff orders\u00a0 id ", "orders_id"),
        ("", "unnamed"),
        ("CTID", "ctid_2"),
        ("x" * 60, "x" * 60),
    ],
)
def test_a_header_in_plain_words_is_the_column_that_it_always_was(
    header: str, expected: str
) -> None:
    assert column_name(header) == expected


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (("Discount ($)", "Discount (%)", "Discount (\u20ac)"), "discount_[0-9a-f]{8}"),
        (("Pr\u00e9nom", "Pr\u00eanom"), "prenom_[0-9a-f]{8}"),
        (
            ("\u0418\u043c\u044f", "\u4e2d\u6587", "\u0627\u0633\u0645", "\U0001f600", "---"),
            "column_[0-9a-f]{8}",
        ),
        (("x" * 61, "x" * 62), "x{54}_[0-9a-f]{8}"),
    ],
)
def test_headers_that_snake_case_takes_for_one_have_names_of_their_own(
    headers: Sequence[str], name: str
) -> None:
    names = {column_name(header) for header in headers}
    assert len(names) == len(headers)
    assert all(re.fullmatch(name, found) for found in names)


def test_a_name_of_its_own_never_changes() -> None:
    assert column_name("Discount (%)") == "discount_c7d32eb5"
    assert column_name("Pre\u0301nom") == column_name("Pr\u00e9nom") == "prenom_ce5c6d9c"


@pytest.mark.parametrize(
    ("header", "written", "winner"),
    [
        (["Refund Amount", "refund_amount", "refund-amount"], (), "refund_amount"),
        (["Click ID", "click id"], ("Click ID",), "Click ID"),
        (["Click ID", "click id"], (), None),
    ],
)
def test_a_name_that_several_headers_have_belongs_to_the_one_that_is_known_by_it(
    header: Sequence[str], written: Sequence[str], winner: str | None
) -> None:
    for order in itertools.permutations(header):
        names = dict(zip(order, column_names(order, (), written), strict=True))
        assert len({*names.values()}) == len(header)
        assert [text for text, name in names.items() if name == snake_case(text)] == (
            [winner] if winner else []
        )


def test_a_header_that_once_got_a_name_of_its_own_keeps_it() -> None:
    own = distinct_name("Click ID")
    assert column_names(["Click ID"], known=[own, "click_id"]) == [own]


def test_headers_of_one_text_have_one_name() -> None:
    assert column_names(["notes", " notes", "notes_2"]) == ["notes", "notes", "notes_2"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ([], []),
        (["A", "a", "a "], ["a", "a_2", "a_3"]),
        (["a", "a", "a_2"], ["a", "a_2", "a_2_2"]),
        (["", " ", "--"], ["column_1", "column_2", "column_3"]),
        (["ctid"], ["ctid_2"]),
    ],
)
def test_the_names_that_earlier_versions_gave_are_known(
    header: Sequence[str], expected: list[str]
) -> None:
    assert numbered_names(header) == expected


@pytest.mark.parametrize("tag", [*TAGS, *(f" {name.upper()} " for name in TAGS)])
def test_no_column_of_a_file_can_pass_for_one_of_our_tags(tag: str) -> None:
    assert not {*column_names([tag, tag])} & {
        *TAGS,
        *(name for name in REJECT_COLUMNS if name.startswith("_")),
    }


HEADER_CELLS = st.one_of(
    st.sampled_from(["", "a", "A", "a_2", "a 2", "column_1", "x" * 70, "x" * 60]),
    st.text(st.characters(exclude_categories=["Cf", "Cs"]), max_size=8),
)


@given(st.lists(HEADER_CELLS, max_size=30), st.randoms())
@settings(max_examples=100, deadline=None)
def test_a_columns_name_is_the_same_in_any_order_and_no_other_texts(
    header: list[str], chance: random.Random
) -> None:
    names = dict(zip(header, column_names(header), strict=True))
    shuffled = chance.sample(header, len(header))
    assert column_names(shuffled) == [names[text] for text in shuffled]
    assert len({*names.values()}) == len({" ".join(text.split()) for text in header})
    assert all(0 < len(name) <= POSTGRES_LONGEST for name in names.values())


@pytest.mark.parametrize("client_id", ["713", "cti", "a_b", "0", "client_2_b"])
def test_a_client_id_is_lower_case_letters_digits_and_single_underscores(client_id: str) -> None:
    assert CLIENT_ID.match(client_id)


@pytest.mark.parametrize(
    "client_id",
    ["", "A", "_a", "a__b", "a-b", "a b", "a.b", "a/b", "../a", "a\n", "é", "a'", "a;", "\u0663"],
)
def test_nothing_else_is_a_client_id(client_id: str) -> None:
    assert not CLIENT_ID.match(client_id)


def test_every_source_and_client_has_a_pipeline_of_its_own() -> None:
    assert pipeline_name("s3_exports", "713") == "s3_exports__713"


def test_no_two_clients_or_sources_are_staged_in_one_schema() -> None:
    pairs = [("a", "b_c"), ("a_b", "c"), ("a" * 40, "b" * 40), ("a" * 40, "b" * 41)]
    names = [staging_schema(source, client) for source, client in pairs]
    assert len({*names}) == len(pairs) and max(map(len, names)) <= 63
