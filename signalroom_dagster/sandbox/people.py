"""Invented customers for the stand-in vendors: nobody here exists.

Names come from short lists, mail addresses are at example.com, phone numbers are 555-01xx, internet
addresses lie in 192.0.2.0/24, the block kept for documentation.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

FIRST_NAMES = (
    "Ada",
    "Ben",
    "Clara",
    "Daniel",
    "Elena",
    "Frank",
    "Grace",
    "Hugo",
    "Iris",
    "Jonas",
    "Karen",
    "Lukas",
    "Maria",
    "Noah",
    "Olivia",
    "Peter",
    "Quinn",
    "Rosa",
    "Samuel",
    "Tara",
    "Victor",
    "Wendy",
    "Zoë",
)
LAST_NAMES = (
    "Abbott",
    "Baker",
    "Cole",
    "Dawson",
    "Ellis",
    "Foster",
    "Grant",
    "Hale",
    "Irwin",
    "Jensen",
    "Keller",
    "Lowe",
    "Mason",
    "Müller",
    "Nash",
    "O'Neill",
    "Parker",
    "Quick",
    "Reed",
    "Stone",
    "Turner",
    "Vance",
    "Walsh",
    "York",
)
STREETS = (
    "Maple Street",
    "Oak Avenue",
    "Mill Road",
    "Harbor Lane",
    "Cedar Court",
    "Orchard Way",
    "Quarry Drive",
)
CITIES = (
    "Fairhaven",
    "Millbrook",
    "Northfield",
    "Port Ames",
    "Red Hollow",
    "Stonebridge",
    "Willow Creek",
)
STATES = ("AZ", "CO", "FL", "GA", "MI", "NC", "OH", "PA", "TX", "WA")
AREA_CODES = ("202", "303", "404", "512", "614", "919")
SECOND_LINES = (
    ("", 92),
    ("Unit 7", 4),
    ("Rear building, second floor", 2),
    ('House "Sunny Side"', 1),
    ("Ring twice\nDog is friendly", 1),
)


class Person(NamedTuple):
    """One invented customer, as an order form holds them."""

    first_name: str
    last_name: str
    street: str
    second_line: str
    city: str
    state: str
    postcode: str
    phone: str
    email: str
    ip_address: str
    card_expires: str


def invent_people(count: int, rng: random.Random) -> list[Person]:
    """So many customers, the same ones for the same state of `rng`."""
    return [_invent(rng) for _ in range(count)]


def pick(rng: random.Random, weighted: Sequence[tuple[str, int]]) -> str:
    """One value of a table of values and weights."""
    values, weights = zip(*weighted, strict=True)
    return rng.choices(values, weights)[0]


def _invent(rng: random.Random) -> Person:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return Person(
        first_name=first,
        last_name=last,
        street=_street(rng),
        second_line=pick(rng, SECOND_LINES),
        city=rng.choice(CITIES),
        state=rng.choice(STATES),
        postcode=_postcode(rng),
        phone=_phone(rng),
        email=f"customer{rng.randrange(100_000):05d}@example.com",
        ip_address=f"192.0.2.{rng.randint(1, 254)}",
        card_expires=f"{rng.randint(1, 12):02d}{rng.randint(27, 31)}",
    )


def _street(rng: random.Random) -> str:
    address = f"{rng.randint(1, 990)} {rng.choice(STREETS)}"
    return f"{address}, Apt {rng.randint(1, 40)}" if rng.random() < 0.12 else address


def _postcode(rng: random.Random) -> str:
    code = f"{rng.randint(0, 99_999):05d}"
    return f"{code}-{rng.randint(0, 9_999):04d}" if rng.random() < 0.1 else code


def _phone(rng: random.Random) -> str:
    number = f"{rng.choice(AREA_CODES)}55501{rng.randint(0, 99):02d}"
    return f"1{number}" if rng.random() < 0.1 else number
