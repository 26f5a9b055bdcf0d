"""How staged and shared columns come to fit: what is widened, set beside, or refused."""

from typing import Any

import pytest

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.loading.shared_shapes import Table, fit, tag, wider

TAGS = {"_client_id": {"data_type": "text"}, "_loaded_at": {"data_type": "timestamp"}}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"data_type": "decimal", "precision": precision, "scale": scale}


def column(kind: str, **more: Any) -> dict[str, Any]:
    return {"name": "x", "data_type": kind, **more}


def fitted(declared: dict[str, Any], shared: dict[str, Any], *staged: str) -> list[str]:
    table = Table("t", "shop.t", "stage.t", declared, shared, dict.fromkeys(staged))
    return [*fit(table, lambda column: column["data_type"], str)]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (column("bigint", precision=32), column("bigint"), {"data_type": "bigint"}),
        (column("bigint"), column("double"), {"data_type": "double"}),
        (column("bigint"), decimal(10, 2), decimal(21, 2)),
        (decimal(10, 2), decimal(8, 4), decimal(12, 4)),
        (decimal(38, 0), decimal(38, 9), decimal(38, 9)),
        (column("date"), column("timestamp"), {"data_type": "timestamp"}),
        (column("bigint"), column("text"), None),
        (column("bool"), column("bigint"), None),
        (column("json"), column("text"), None),
    ],
)
def test_the_wider_type_holds_both(one: Any, other: Any, both: Any) -> None:
    assert wider(one, other) == both == wider(other, one)


def test_a_shared_column_is_widened_and_text_stands_beside_numbers() -> None:
    declared = {"x": column("double"), "y": column("text")}
    shared = {**TAGS, "x": column("bigint"), "y": column("bigint")}
    assert fitted(declared, shared, "x", "y") == [
        "ALTER TABLE shop.t ALTER COLUMN x TYPE double",
        "ALTER TABLE stage.t RENAME COLUMN y TO y__v_text",
    ]
    assert declared["y"]["data_type"] == "bigint" and declared["y__v_text"]["variant"]


def test_numbers_that_dlt_set_beside_are_put_back() -> None:
    declared = {"x": column("bigint"), "x__v_double": column("double", variant=True)}
    assert fitted(declared, {}, "x", "x__v_double") == [
        "ALTER TABLE stage.t ALTER COLUMN x TYPE double",
        "UPDATE stage.t SET x = x__v_double WHERE x__v_double IS NOT NULL",
        "ALTER TABLE stage.t DROP COLUMN x__v_double",
    ]
    assert list(declared) == ["x"]


def test_a_key_of_another_type_is_refused_and_what_one_client_has_may_be_empty() -> None:
    key = {"x": column("text", primary_key=True, nullable=False)}
    with pytest.raises(ConfigurationError, match="the key x is bigint in the warehouse and text"):
        fitted(key, {**TAGS, "x": column("bigint")}, "x")
    assert fitted(key, {**TAGS, "x": column("text")}, "x") == []
    assert key["x"]["nullable"]


def test_keys_are_led_by_the_client() -> None:
    table = {"columns": {"x": column("text", primary_key=True)}}
    tag(table)
    assert [*table["columns"]] == ["_client_id", "_loaded_at", "x"]
    assert table["columns"]["_client_id"]["primary_key"]
