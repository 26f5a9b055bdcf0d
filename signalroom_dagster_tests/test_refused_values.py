"""What is said of a value that does not fit: key, kind and what is accepted; pydantic's own words
never.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)

from signalroom_dagster.refused_values import refused


class Sheet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    range: str
    kinds: dict[str, Literal["text", "date"]] = {}


class Everything(BaseModel):
    """A setting of each kind."""

    model_config = ConfigDict(extra="forbid")

    days: PositiveInt | dict[str, PositiveInt] = 2
    header: bool | list[str] | None = None
    plan: str | Sheet | None = None
    sheets: dict[str, Sheet] = {}
    many: list[Sheet] = []
    token: Annotated[SecretStr, Field(min_length=16)] | None = None
    ratio: float = Field(default=0.5, ge=0, le=1)
    price: Decimal | None = None
    first: date | None = None
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", examples=["USD"])
    names: tuple[str, ...] = Field(default=("x",), min_length=1)
    is_on: bool = False
    zone: str = ""

    @field_validator("zone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value == "nowhere":
            raise ValueError("not a time zone name")
        return value


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"days": "many"}, "days: it is text, and has to be a whole number or a table of keys"),
        ({"days": 0}, "days: it has to be greater than 0"),
        ({"days": 1.5}, "days: it is a number, and has to be a whole number or a table of keys"),
        ({"days": {"clicks": "x"}}, "days.clicks: it is text, and has to be a whole number"),
        ({"days": {"int": -1}}, "days.int: it has to be greater than 0"),
        ({"header": 5}, "header: it is a whole number, and has to be true or false or a list"),
        ({"header": ["a", 3]}, "header, entry 2: it is a whole number, and has to be text"),
        ({"plan": {"range": 1}}, "plan.range: it is a whole number, and has to be text"),
        ({"plan": ["x"]}, "plan: it is a list, and has to be text or a table of keys"),
        ({"sheets": "x"}, "sheets: it is text, and has to be a table of keys"),
        ({"sheets": {"spend": {}}}, "sheets.spend.range: is missing"),
        (
            {"sheets": {"a": {"range": "x", "kinds": {"Cost": "money"}}}},
            "sheets.a.kinds.Cost: it has to be 'text' or",
        ),
        (
            {"sheets": {"a": {"rnge": "x", "range": "x"}}},
            "sheets.a.rnge: there is no such key; did you mean range?",
        ),
        ({"many": [{"range": "x"}, {}]}, "many, entry 2, range: is missing"),
        ({"token": "secret"}, "token: it has to have at least 16 characters"),
        ({"token": ["secret"]}, "token: it is a list, and has to be text"),
        ({"ratio": 2}, "ratio: it has to be at most 1"),
        ({"ratio": True}, ""),
        ({"price": "much"}, "price: it is text, and has to be a number"),
        ({"first": "soon"}, "first: it is text, and has to be a day such as 2026-03-01"),
        ({"currency": "usd"}, "currency: it has to be written as ^[A-Z]{3}$, such as USD"),
        ({"currency": ""}, "currency: it is empty"),
        ({"names": []}, "names: it is empty"),
        ({"names": "x"}, "names: it is text, and has to be a list"),
        ({"is_on": "perhaps"}, "is_on: it is text, and has to be true or false"),
        ({"zone": "nowhere"}, "zone: not a time zone name"),
        ({"nothing": 1}, "nothing: there is no such key; there are: currency, days, first"),
        ("x", "it: it is text, and has to be a table of keys"),
        (
            {"days": 0, "zone": 1},
            "days: it has to be greater than 0; zone: it is a whole number, and has to be text",
        ),
    ],
)
def test_a_refused_value_is_told_by_key_kind_and_what_is_accepted(
    written: Any, expected: str
) -> None:
    said = _said(written)
    assert said.startswith(expected)
    assert not any(
        word in said for word in ("Input", "should", "Value error", "constrained", "str]", "secret")
    )


def _said(written: Any) -> str:
    try:
        Everything.model_validate(written)
    except ValidationError as error:
        return refused(error, Everything)
    return ""
