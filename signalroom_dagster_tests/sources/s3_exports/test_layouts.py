"""The known header, and what becomes of each column."""

import hmac
import re
from collections.abc import Mapping, Sequence

import pytest

from signalroom_dagster.naming import column_name
from signalroom_dagster.sources.s3_exports.layouts import (
    ColumnPlan,
    Layout,
    Policy,
    layout_of,
    plan_columns,
)

SMALL = Layout(key="id", columns=("id", "a", "b"))


def orders_layout() -> Layout:
    layout = layout_of("orders-create")
    assert layout
    return layout


def planned(header: Sequence[str], policy: Mapping[str, Policy]) -> list[bytes]:
    """A row whose fields are their positions, after the plan was applied to it; hashes shown as
    `#`.
    """
    fields = [str(position).encode() for position in range(len(header))]
    plan_columns(header, policy, "key").apply(fields)
    return [re.sub(rb"[0-9a-f]{64}", b"#", field) for field in fields]


def test_both_orders_exports_have_the_129_known_columns() -> None:
    layout = orders_layout()
    assert layout == layout_of("orders-update")
    assert len(set(layout.columns)) == 129
    assert layout.key == layout.columns[0] == "orders_id"
    assert layout.columns[-5:] == (
        "click_id",
        "retries_left",
        "hold_type_id",
        "offer_id",
        "processor_id",
    )


@pytest.mark.parametrize(
    "prefix", ["orders-create", "orders-create/", "exports/2026/orders-update"]
)
def test_the_last_part_of_a_prefix_says_which_layout_it_has(prefix: str) -> None:
    assert layout_of(prefix) == orders_layout()


@pytest.mark.parametrize(
    "prefix", ["prospects-create", "orders-create-old", "orders-create/more", ""]
)
def test_any_other_prefix_is_loaded_as_it_comes(prefix: str) -> None:
    assert layout_of(prefix) is None


@pytest.mark.parametrize(
    ("names", "difference"),
    [
        (("id", "a", "b"), None),
        (("b", "id", "a"), None),
        (("id", "a", "b", "x", "y"), "new columns: x, y"),
        (("id",), "missing columns: a, b"),
        (("id", "b", "c"), "new columns: c; missing columns: a"),
        (("id", "a", "a_2", "b"), "new columns: a_2"),
    ],
)
def test_a_header_that_differs_is_described_whatever_its_order(
    names: Sequence[str], difference: str | None
) -> None:
    assert SMALL.difference(names) == difference


@pytest.mark.parametrize(
    ("header", "policy", "kept", "row"),
    [
        (["A", "b", "C"], {}, ("a", "b", "c"), [b"0", b"1", b"2"]),
        (["a", "b", "c"], {"b": "keep"}, ("a", "b", "c"), [b"0", b"1", b"2"]),
        (["a", "b", "c"], {"b": "drop"}, ("a", "c"), [b"0", b"2"]),
        (["a", "b", "c"], {"a": "drop", "c": "drop"}, ("b",), [b"1"]),
        (["a", "b", "c"], {"a": "drop", "c": "hash"}, ("b", "c"), [b"1", b"#"]),
        (["CC Num", "b", "ccNum", "cc_num"], {"cc_num": "drop"}, ("b",), [b"1"]),
        (
            ["cc_num", "b", "cc_num"],
            {"cc_num": "hash"},
            ("b", "_other_columns"),
            [b"1", b'"{""cc_num"": [""#"", ""#""]}"'],
        ),
        (["a", "a"], {"a_2": "drop"}, ("a",), [b"0"]),
        (["", " "], {"column_2": "drop"}, ("unnamed",), [b"0"]),
        (["Card (%)", "Card ($)"], {"card": "drop"}, (), []),
        (
            ["Card (%)", "b"],
            {column_name("Card (%)"): "keep", "card": "drop"},
            (column_name("Card (%)"), "b"),
            [b"0", b"1"],
        ),
        (["a"], {"a": "drop"}, (), []),
        ([], {"a": "drop"}, (), []),
    ],
)
def test_a_policy_meets_its_column_wherever_and_however_often_it_stands(
    header: Sequence[str], policy: Mapping[str, Policy], kept: Sequence[str], row: Sequence[bytes]
) -> None:
    assert plan_columns(header, policy, "key").kept == kept
    assert planned(header, policy) == row


def test_a_hash_is_the_hmac_of_the_value_under_the_clients_key() -> None:
    plan = plan_columns(["email"], {"email": "hash"}, "key of this client")
    other = plan_columns(["email"], {"email": "hash"}, "key of another client")
    expected = hmac.new(b"key of this client", b"a@example.com", "sha256").hexdigest().encode()
    assert plan.digest(b"a@example.com") == expected != other.digest(b"a@example.com")


def test_an_empty_value_stays_empty_when_it_is_hashed() -> None:
    fields = [b"", b"x"]
    plan_columns(["a", "b"], {"a": "hash"}, "key").apply(fields)
    assert fields == [b"", b"x"]


@pytest.mark.parametrize(
    ("policy", "row_filter", "split_at", "touches", "guarded"),
    [
        ({}, None, 0, False, False),
        ({"b": "keep"}, None, 0, False, False),
        ({"x": "drop"}, None, 0, False, True),
        ({"x": "hash"}, None, 0, False, True),
        ({"b": "drop"}, None, 2, True, True),
        ({"b": "hash"}, None, 2, True, True),
        ({"a": "drop"}, ("c", ["1"]), 3, True, True),
        ({}, ("a", ["1"]), 1, True, True),
        ({}, ("x", ["1"]), 0, False, True),
    ],
)
def test_a_plan_knows_how_far_rows_are_taken_apart_and_whether_anything_is_hidden(
    policy: Mapping[str, Policy],
    row_filter: tuple[str, Sequence[str]] | None,
    split_at: int,
    touches: bool,
    guarded: bool,
) -> None:
    plan = plan_columns(["a", "b", "c"], policy, "key", row_filter)
    assert (plan.first_untouched, plan.touches_rows, plan.guarded) == (split_at, touches, guarded)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(b"one", True), (b"two", True), (b"One", False), (b" one", False), (b"", False)],
)
def test_a_row_filter_lets_pass_its_own_values_exactly(value: bytes, wanted: bool) -> None:
    plan = plan_columns(["id", "Product Category"], {}, None, ("product_category", ["one", "two"]))
    assert plan.wanted([b"1", value]) is wanted


def test_without_a_row_filter_every_row_is_wanted() -> None:
    assert plan_columns(["id"], {}).wanted([b"1"])


def test_a_row_filter_whose_column_is_missing_has_no_place() -> None:
    plan: ColumnPlan = plan_columns(["id"], {}, None, ("shop", ["one"]))
    assert plan.filter_at is None
