"""What may stand in a client's section, and what is asked for when it is missing."""

from typing import Any

import pytest
from pydantic import ValidationError

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.naming import column_name
from signalroom_dagster.sources.s3_exports import check_shared, file_tables
from signalroom_dagster.sources.s3_exports.settings import RowFilter, Settings

LOCAL: dict[str, Any] = {"bucket_url": "file:///exports", "prefixes": ["orders-create"]}
ON_S3: dict[str, Any] = {
    "bucket_url": "s3://exports",
    "prefixes": ["orders-create"],
    "aws_access_key_id": "id-for-tests",
    "aws_secret_access_key": "secret-for-tests",
}


def refused(given: dict[str, Any]) -> list[tuple[str, str]]:
    """Which keys are refused, and why: the error's type."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(given)
    return [(".".join(map(str, item["loc"])), item["type"]) for item in caught.value.errors()]


def test_a_folder_needs_no_credentials() -> None:
    assert Settings.model_validate(LOCAL).storage_options == {}


@pytest.mark.parametrize("key", ["bucket_url", "prefixes"])
def test_where_the_files_lie_must_be_said(key: str) -> None:
    assert refused({name: value for name, value in LOCAL.items() if name != key}) == [
        (key, "missing")
    ]


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("key", ["aws_access_key_id", "aws_secret_access_key"])
@pytest.mark.parametrize("bucket_url", ["s3://exports", "s3a://exports"])
def test_a_bucket_on_s3_needs_each_half_of_the_clients_own_key(
    bucket_url: str, key: str, value: str | None
) -> None:
    given = {**ON_S3, "bucket_url": bucket_url}
    assert refused({**given, key: value}) == [(key, "missing")]
    assert refused({name: each for name, each in given.items() if name != key}) == [
        (key, "missing")
    ]


def test_both_halves_are_named_when_both_are_missing() -> None:
    assert refused({**LOCAL, "bucket_url": "s3://exports"}) == [
        ("aws_access_key_id", "missing"),
        ("aws_secret_access_key", "missing"),
    ]


@pytest.mark.parametrize("hash_key", [None, ""])
def test_a_hashed_column_needs_the_clients_hash_key(hash_key: str | None) -> None:
    hashed = {**LOCAL, "columns": {"billing_email": "hash"}}
    assert refused({**hashed, "hash_key": hash_key}) == [("hash_key", "missing")]
    assert refused(hashed) == [("hash_key", "missing")]


@pytest.mark.parametrize("columns", [{}, {"a": "keep", "b": "drop"}])
def test_no_hash_key_is_asked_for_where_nothing_is_hashed(columns: dict[str, str]) -> None:
    assert Settings.model_validate({**LOCAL, "columns": columns}).hash_key is None


def test_columns_are_named_as_in_the_header_or_in_snake_case() -> None:
    found = Settings.model_validate(
        {**LOCAL, "columns": {"CC Num Masked": "drop", "click_id": "keep"}}
    )
    assert found.columns == {"cc_num_masked": "drop", "click_id": "keep"}


def test_a_policy_is_keep_hash_or_drop() -> None:
    assert refused({**LOCAL, "columns": {"a": "mask"}}) == [("columns.a", "literal_error")]


@pytest.mark.parametrize("name", ["cc_num_maskd", "CC-Num-Mask", "billing_emial", "order_id"])
def test_a_policy_for_a_misspelled_column_of_a_known_layout_is_refused(name: str) -> None:
    given = {**LOCAL, "columns": {name: "drop"}}
    assert refused(given) == [("columns", "value_error")]
    assert refused({**given, "prefixes": ["orders-create", "leads"]}) == [
        ("columns", "value_error")
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"columns": {"cc_num_masked": "drop", "loyalty_tier": "drop", "notes_2": "drop"}},
        {"prefixes": ["leads"], "columns": {"cc_num_maskd": "drop"}},
        {
            "prefixes": ["orders-create", "leads"],
            "formats": {"leads": {"columns": {"order_id": "drop"}}},
        },
    ],
)
def test_a_policy_for_a_column_that_an_export_may_have_is_taken(given: dict[str, Any]) -> None:
    assert Settings.model_validate({**LOCAL, **given}).prefixes


def test_a_policy_for_one_of_several_headers_that_are_alike_is_for_that_one() -> None:
    found = Settings.model_validate(
        {**LOCAL, "columns": {"Discount (%)": "drop", "\u0418\u043c\u044f": "drop"}}
    )
    assert set(found.columns) == {column_name("Discount (%)"), column_name("\u0418\u043c\u044f")}
    assert len(found.columns) == 2


@pytest.mark.parametrize(
    ("prefixes", "columns", "own", "expected"),
    [
        (
            ["leads"],
            {"card": "drop", "cc_expires": "drop", "city": "keep"},
            {},
            {"leads": {"card"}},
        ),
        (
            ["leads", "orders-create"],
            {"card": "drop"},
            {},
            {"leads": {"card"}, "orders-create": {"card"}},
        ),
        (["orders-create"], {"card": "drop"}, {}, {"orders-create": {"card"}}),
        (
            ["leads", "calls"],
            {},
            {"calls": {"columns": {"Phone No": "hash"}}},
            {"leads": set(), "calls": {"phone_no"}},
        ),
    ],
)
def test_the_policies_that_must_meet_a_column_of_each_file(
    prefixes: list[str], columns: dict[str, str], own: dict[str, Any], expected: dict[str, set[str]]
) -> None:
    given = {**LOCAL, "prefixes": prefixes, "columns": columns, "formats": own, "hash_key": "k"}
    found = Settings.model_validate(given)
    assert {prefix: found.watched(prefix) for prefix in prefixes} == expected


@pytest.mark.parametrize(
    ("formats", "key", "why"),
    [
        ({"lead": {"delimiter": ";"}}, "formats", "value_error"),
        ({"orders-create": {"delimiter": ":"}}, "formats.orders-create.delimiter", "literal_error"),
        (
            {"orders-create": {"seperator": ";"}},
            "formats.orders-create.seperator",
            "extra_forbidden",
        ),
        ({"orders-create": {"header": ["a", "A "]}}, "formats.orders-create.header", "value_error"),
        ({"orders-create": {"header": []}}, "formats.orders-create.header", "value_error"),
        (
            {"orders-create": {"names": {"x": "Not a name"}}},
            "formats.orders-create.names",
            "value_error",
        ),
        (
            {"orders-create": {"names": {"x": "_client_id"}}},
            "formats.orders-create.names",
            "value_error",
        ),
    ],
)
def test_a_format_that_no_prefix_can_have_is_refused(
    formats: dict[str, Any], key: str, why: str
) -> None:
    assert refused({**LOCAL, "formats": formats}) == [(key, why)]


def test_a_hashed_column_of_one_prefix_needs_the_hash_key_too() -> None:
    formats = {"orders-create": {"columns": {"billing_email": "hash"}}}
    assert refused({**LOCAL, "formats": formats}) == [("hash_key", "missing")]


def test_prefixes_that_only_begin_alike_are_two_tables() -> None:
    found = Settings.model_validate(
        {**LOCAL, "prefixes": ["orders", "orders-update", "deep/orders"]}
    )
    assert found.prefixes == ["orders", "orders-update", "deep/orders"]


def test_prefixes_lose_their_slashes_and_the_blank_ones() -> None:
    found = Settings.model_validate(
        {**LOCAL, "prefixes": ["/orders-create/", " deep/orders-update ", "", "/"]}
    )
    assert found.prefixes == ["orders-create", "deep/orders-update"]


@pytest.mark.parametrize(
    ("prefixes", "why"),
    [
        ([], "too_short"),
        (["", "/"], "too_short"),
        ("orders-create", "list_type"),
        (5, "list_type"),
        (["orders-create", "orders_create"], "value_error"),
        (["orders-create", "orders-create/"], "value_error"),
        (["files"], "value_error"),
        (["rejected-rows"], "value_error"),
        (["--"], "value_error"),
        (["orders", "orders/update"], "value_error"),
        (["deep/er/orders", "deep"], "value_error"),
    ],
)
def test_prefixes_that_cannot_each_be_a_table_are_refused(prefixes: Any, why: str) -> None:
    assert refused({**LOCAL, "prefixes": prefixes}) == [("prefixes", why)]


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        ([["orders-create"], ["/orders-create/"]], ["orders_create"]),
        ([["orders-create"], ["orders_create", "new"]], ["orders_create", "new"]),
        ([["orders"], "orders-create"], ["orders"]),
        ([["orders"], 5], ["orders"]),
        ([["orders"], ["files", "/", "rejected-rows"]], ["orders"]),
    ],
)
def test_no_clients_prefixes_keep_the_assets_of_the_others_from_being_made(
    configured: list[Any], expected: list[str]
) -> None:
    unchecked = [
        Settings.model_construct(prefixes=each, columns={} if each == ["orders"] else 5)
        for each in configured
    ]
    assert list(file_tables(unchecked)) == expected


def test_a_blank_bucket_url_is_not_the_current_folder() -> None:
    assert refused({**LOCAL, "bucket_url": ""}) == [("bucket_url", "string_too_short")]


def test_a_row_filter_names_its_column_as_in_the_header_or_in_snake_case() -> None:
    assert RowFilter(column="Product Category", values=["x"]).column == "product_category"


@pytest.mark.parametrize(
    ("row_filter", "expected"),
    [
        ({"column": "shop"}, [("row_filter.values", "missing")]),
        ({"column": "shop", "values": []}, [("row_filter.values", "too_short")]),
        ({"values": ["x"]}, [("row_filter.column", "missing")]),
        (
            {"column": "shop", "values": ["x"], "value": "y"},
            [("row_filter.value", "extra_forbidden")],
        ),
    ],
)
def test_half_a_row_filter_is_refused(
    row_filter: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert refused({**LOCAL, "row_filter": row_filter}) == expected


@pytest.mark.parametrize(
    ("own", "other", "told"),
    [
        ("orders", "orders", "file:///exports/orders"),
        ("orders", "orders/update", "file:///exports/orders/update"),
        ("orders/update", "orders", "file:///exports/orders/update"),
        ("orders", "orders-update", None),
    ],
)
def test_two_clients_that_reach_the_same_files_both_need_a_row_filter(
    own: str, other: str, told: str | None
) -> None:
    clients = {"713": Settings.model_validate({**LOCAL, "prefixes": [own]})}
    clients["cti"] = Settings.model_validate({**LOCAL, "prefixes": [other]})
    if not told:
        check_shared("713", clients)
        return
    with pytest.raises(
        ConfigurationError, match=f"^clients 713 and cti share {told}: both need .*row_filter"
    ):
        check_shared("713", clients)
    only = RowFilter(column="shop", values=["x"])
    check_shared(
        "713",
        {name: each.model_copy(update={"row_filter": only}) for name, each in clients.items()},
    )


def test_a_prefix_of_one_bucket_url_may_be_a_folder_of_anothers() -> None:
    deeper = Settings.model_validate(
        {"bucket_url": "file:///exports/orders/", "prefixes": ["update"]}
    )
    outer = Settings.model_validate({**LOCAL, "prefixes": ["orders"]})
    with pytest.raises(ConfigurationError, match="file:///exports/orders/update"):
        check_shared("713", {"713": outer, "cti": deeper})


def test_secrets_do_not_show() -> None:
    shown = Settings.model_validate({**ON_S3, "hash_key": "pepper-for-tests"})
    assert "for-tests" not in f"{shown!r} {shown} {shown.model_dump()} {shown.model_dump_json()}"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(LOCAL).bucket_url = "file:///elsewhere"  # pyright: ignore[reportAttributeAccessIssue]


def test_s3_is_opened_with_the_clients_key_and_without_retries_of_its_own() -> None:
    options = Settings.model_validate(
        {**ON_S3, "endpoint_url": "http://127.0.0.1:1"}
    ).storage_options
    assert (options["key"], options["secret"]) == ("id-for-tests", "secret-for-tests")
    assert options["endpoint_url"] == "http://127.0.0.1:1"
    assert options["client_kwargs"] == {"region_name": "us-east-1"}
    assert options["config_kwargs"]["retries"] == {"total_max_attempts": 1}


def test_two_clients_never_share_a_cached_connection_or_listing() -> None:
    options = Settings.model_validate(ON_S3).storage_options
    assert (options["skip_instance_cache"], options["use_listings_cache"]) == (True, False)
