"""The steps of an analysis, each alone, and what holds for all of them together."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalroom_dagster.analysis.kinds import KINDS, Attributed, Audience, Creative
from signalroom_dagster.analysis.steps import (
    InvalidResultError,
    analyse,
    decode,
    merge,
    score,
    summarize,
    validate,
)


def result(*entries: Mapping[str, Any]) -> bytes:
    return json.dumps({"campaigns": list(entries)}).encode()


SPRING = {"campaign": "spring", "conversions": "1.5", "revenue": 300.10, "cost": "100"}


def test_decode_reads_money_exactly_whether_it_is_text_or_a_number() -> None:
    found = decode({"attribution": result(SPRING)})["attribution"]
    assert found == [Attributed("spring", Decimal("1.5"), Decimal("300.10"), Decimal(100))]


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("attribution", b"{", "attribution: Input data was truncated"),
        ("attribution", b"\xff", "attribution: JSON is malformed"),
        ("attribution", b'{"campaigns": [{"campaign": "\xff"}]}', "attribution: not UTF-8"),
        ("attribution", b"{}", "attribution: Object missing required field `campaigns`"),
        (
            "audience",
            result({"campaign": "a", "people": "many", "reached": 1}),
            "audience: Expected `int`, got `str`",
        ),
        (
            "audience",
            result({"campaign": "a", "people": -1, "reached": 1}),
            "audience: Expected `int` >= 0",
        ),
        (
            "horoscope",
            b"{}",
            "horoscope: no such type of analysis (there are: attribution, audience, creative)",
        ),
    ],
)
def test_decode_says_what_is_wrong_and_shows_no_value(kind: str, payload: bytes, said: str) -> None:
    with pytest.raises(InvalidResultError) as error:
        decode({kind: payload})
    assert str(error.value).startswith(said)
    assert "many" not in str(error.value)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            {"audience": [Audience("a", people=3, reached=4)]},
            "audience: entry 0: reached is more than people",
        ),
        (
            {"creative": [Creative("a", "x", 1, 1), Creative("a", "y", 1, 2)]},
            "creative: entry 1: clicks is more than",
        ),
        (
            {"attribution": [Attributed("a", Decimal("NaN"), Decimal(1), Decimal(1))]},
            "conversions is not a number",
        ),
        (
            {"attribution": [Attributed("a", Decimal(1), Decimal(-1), Decimal(1))]},
            "revenue is not a number from 0",
        ),
        (
            {"attribution": [Attributed("a", Decimal(1), Decimal(1), Decimal("1e10"))]},
            "cost is not a number from 0",
        ),
        (
            {"audience": [Audience("a\x00", 1, 1)]},
            "campaign holds a character that no database takes",
        ),
        ({"audience": [Audience("a", 1, 1)] * 1_001}, "audience: more than 1000 entries"),
        ({"audience": [], "creative": []}, "no result names a campaign"),
    ],
)
def test_validate_refuses_what_cannot_be_right(entries: Any, said: str) -> None:
    with pytest.raises(InvalidResultError, match=said):
        validate(entries)


def test_merge_sums_by_campaign_over_the_types_that_name_it() -> None:
    merged = merge(
        {
            "creative": [Creative("b", "x", 100, 2), Creative("b", "y", 50, 1)],
            "audience": [Audience("b", 10, 4), Audience("a", 7, 7)],
        }
    )
    assert merged == {
        "a": {"audience": {"people": 7, "reached": 7}},
        "b": {
            "audience": {"people": 10, "reached": 4},
            "creative": {"impressions": 150, "clicks": 3},
        },
    }


def test_score_weighs_the_types_that_say_something() -> None:
    figures: Any = {
        "all": {
            "attribution": {
                "conversions": Decimal(1),
                "revenue": Decimal(300),
                "cost": Decimal(100),
            },
            "audience": {"people": Decimal(10), "reached": Decimal(4)},
            "creative": {"impressions": Decimal(100), "clicks": Decimal(2)},
        },
        "one": {"audience": {"people": Decimal(10), "reached": Decimal(4)}},
        "none": {
            "attribution": {"conversions": Decimal(0), "revenue": Decimal(0), "cost": Decimal(0)}
        },
    }
    points = {name: found for name, found, _ in score(figures)}
    assert points == {
        "all": Decimal("60.5"),
        "one": Decimal(40),
        "none": None,
    }  # (75 · 5 + 40 · 2 + 50 · 3) / 10


def test_summarize_gives_sums_ratios_of_sums_and_the_best_campaign() -> None:
    money: Any = {"conversions": Decimal(3), "revenue": Decimal("10.00005"), "cost": Decimal(4)}
    found = summarize(
        [("a", Decimal(10), {"attribution": money}), ("b", Decimal(30), {}), ("c", None, {})]
    )
    assert (found.campaign_count, found.best_campaign, found.score) == (3, "b", Decimal(20))
    assert (found.revenue, found.cpa, found.roas) == (
        Decimal("10.0001"),
        Decimal("1.3333"),
        Decimal("2.5000"),
    )
    assert (found.people, found.reach_rate, found.click_rate) == (None, None, None)
    assert found.campaigns[0] == {
        "campaign": "a",
        "score": "10",
        "conversions": "3.0000",
        "revenue": "10.0001",
        "cost": "4.0000",
    }


def test_a_ratio_without_a_divisor_is_empty_not_zero() -> None:
    found = analyse({"attribution": result({**SPRING, "conversions": 0, "cost": 0})})
    assert (found.cpa, found.roas, found.cost) == (None, None, Decimal(0))


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
money = st.decimals(0, 10**9, places=6, allow_nan=False).map(str)
counts = st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)).map(sorted)
entries = {
    "attribution": st.fixed_dictionaries(
        {"campaign": names, "conversions": money, "revenue": money, "cost": money}
    ),
    "audience": st.builds(
        lambda name, few: {"campaign": name, "reached": few[0], "people": few[1]}, names, counts
    ),
    "creative": st.builds(
        lambda name, few: {
            "campaign": name,
            "creative": "x",
            "clicks": few[0],
            "impressions": few[1],
        },
        names,
        counts,
    ),
}
jobs = st.fixed_dictionaries(
    {kind: st.lists(entry, min_size=1, max_size=6) for kind, entry in entries.items()}
)


@given(jobs, st.randoms())
@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)  # of a busy machine
def test_the_order_of_types_and_entries_never_shows(job: dict[str, list[Any]], chance: Any) -> None:
    straight = analyse({kind: result(*found) for kind, found in job.items()})
    kinds = chance.sample(sorted(job), len(job))
    shuffled = analyse({kind: result(*chance.sample(job[kind], len(job[kind]))) for kind in kinds})
    assert shuffled == straight
    assert straight.revenue == sum(
        Decimal(entry["revenue"]) for entry in job["attribution"]
    ).quantize(Decimal("0.0001"), "ROUND_HALF_UP")
    assert straight.score is None or 0 <= straight.score <= 100


def test_every_type_can_stand_alone() -> None:
    samples = {
        "attribution": SPRING,
        "audience": {"campaign": "a", "people": 2, "reached": 1},
        "creative": {"campaign": "a", "creative": "x", "impressions": 2, "clicks": 1},
    }
    assert set(samples) == set(KINDS)
    assert len({analyse({kind: result(entry)}).hash for kind, entry in samples.items()}) == 3
