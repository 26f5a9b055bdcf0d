"""The input files: synthetic exports of 129 columns and 19,000 rows, and the buckets they are
offered in.

Shaped like the real export: about 14.7 MB a file, most values short or empty, one row in eight with
a quoted field, CRLF line ends. One body is generated from a seed; the files differ in their order
ids. 16 distinct files are written once to `.bench/files` and kept; a bucket of n files is n hard
links, so 182 files share 16 files' content.
"""

import csv
import io
import os
import random
import shutil
import tomllib
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path

from bench.places import FILES, FOLDER, ROOT

ROWS = 19_000
DISTINCT_FILES = 16
SEED = 713
FIRST_DAY = date(2025, 10, 1)
PREFIX = "orders-create"
TABLE = "orders_create"

_LAYOUTS = ROOT / "signalroom_dagster/sources/s3_exports/layouts.toml"
_WORDS = (
    "classic",
    "gummies",
    "drops",
    "bottle",
    "offer",
    "starter",
    "trial",
    "daily",
    "night",
    "max",
    "plus",
    "extra",
)
_FIRST = (
    "Ana",
    "James",
    "María",
    "Olivia",
    "Noah",
    "Emma",
    "Liam",
    "José",
    "Mia",
    "Lucas",
    "Zoë",
    "Ethan",
)
_LAST = (
    "Smith",
    "Johnson",
    "García",
    "Brown",
    "Miller",
    "Davis",
    "Wilson",
    "O'Neill",
    "Lopez",
    "Clark",
)
_QUOTED = {
    "Gummies, 60 ct": 40,
    "Apt 4, rear entrance": 40,
    'Bottle 5" tall, blue': 10,
    'Customer said "call back", no answer': 5,
    "first line\nsecond line, of a note": 5,
}
"""Values that need quotes, with how often each stands among a hundred."""


@cache
def header() -> list[str]:
    """The export's column names, as they stand in the file."""
    return list(tomllib.loads(_LAYOUTS.read_text("utf-8"))["orders"]["columns"])


def bucket(name: str, count: int, offset: int = 0) -> Path:
    """A bucket folder of `count` files below the prefix, one file a day from day `offset` on; made
    anew each time.
    """
    _write_files()
    folder = FOLDER / "buckets" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / PREFIX).mkdir(parents=True)
    for number in range(offset, offset + count):
        os.link(FILES / f"{number % DISTINCT_FILES:02d}.csv", folder / PREFIX / file_name(number))
    return folder


def one_row_bucket() -> Path:
    """A bucket with one file of one row, for what a load costs before it loads anything."""
    folder = FOLDER / "buckets" / "one-row"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / PREFIX).mkdir(parents=True)
    (folder / PREFIX / file_name(0)).write_bytes(_line(header()) + b"100000001" + _rows()[0])
    return folder


def files_of(folder: Path) -> list[Path]:
    """The files of a bucket in the order in which they are loaded."""
    return sorted((folder / PREFIX).iterdir())


def file_name(number: int) -> str:
    """The name of the export of one day."""
    return f"orders_create_{FIRST_DAY + timedelta(days=number)}.csv"


def shape() -> str:
    """What the generated files are like, measured on the first one."""
    _write_files()
    text = (FILES / "00.csv").read_bytes()
    quoted = sum(b'"' in row for row in _rows()) / ROWS
    return (
        f"{len(header())} columns, {ROWS:,} rows, {len(text) / 1e6:.1f} MB, {quoted:.0%} of rows"
        " with a quoted field"
    )


def _write_files() -> None:
    if (FILES / f"{DISTINCT_FILES - 1:02d}.csv").exists():
        return
    FILES.mkdir(parents=True, exist_ok=True)
    first = _line(header())
    for number in range(DISTINCT_FILES):
        start = 100_000_000 + number * ROWS
        unfinished = FILES / "unfinished"
        unfinished.write_bytes(
            first + b"".join(b"%d%b" % (start + at, row) for at, row in enumerate(_rows()))
        )
        unfinished.rename(FILES / f"{number:02d}.csv")


@cache
def _rows() -> list[bytes]:
    """Every row without its first value, the order id."""
    random_values = random.Random(SEED)
    makers = [_maker(name) for name in header()[1:]]
    return [_row(random_values, makers) for _ in range(ROWS)]


def _row(rng: random.Random, makers: list[Callable[[random.Random], str]]) -> bytes:
    values = ["", *(make(rng) for make in makers)]
    if rng.random() < 0.13:
        values[rng.choice((4, 14, 111, 112, 123))] = rng.choices(
            list(_QUOTED), list(_QUOTED.values())
        )[0]
    return _line(values)


def _line(values: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue().encode("utf-8")


def _maker(name: str) -> Callable[[random.Random], str]:
    """How the values of one column are made, chosen by the column's name."""
    for ending, make in _BY_NAME:
        if name.endswith(ending):
            return make
    return lambda rng: rng.choice(_WORDS) if rng.random() < 0.3 else ""


def _day(rng: random.Random) -> str:
    return f"2025-{rng.randint(10, 12)}-{rng.randint(1, 28):02d}"


_BY_NAME: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    ("fname", lambda rng: rng.choice(_FIRST)),
    ("lname", lambda rng: rng.choice(_LAST)),
    ("street_address", lambda rng: f"{rng.randint(1, 9999)} {rng.choice(_LAST)} Street"),
    ("suburb", lambda rng: ""),
    ("city", lambda rng: f"{rng.choice(_LAST)}ville"),
    ("state", lambda rng: rng.choice(("NY", "CA", "TX", "FL", "WA"))),
    ("postcode", lambda rng: f"{rng.randint(10000, 99999)}"),
    ("country", lambda rng: "United States"),
    ("phone", lambda rng: f"555{rng.randint(0, 9_999_999):07d}"),
    ("email", lambda rng: f"user{rng.randint(0, 10**6)}@example.com"),
    ("ip_address", lambda rng: f"198.51.100.{rng.randint(1, 254)}"),
    ("cc_num_masked", lambda rng: f"411111******{rng.randint(0, 9999):04d}"),
    ("cc_expires", lambda rng: f"{rng.randint(1, 12):02d}30"),
    ("_flag", lambda rng: rng.choice("01")),
    ("order_date", _day),
    ("customer_creation_date", _day),
    ("_date", lambda rng: _day(rng) if rng.random() < 0.35 else ""),
    (
        "order_time",
        lambda rng: f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}",
    ),
    ("_amount", lambda rng: f"{rng.randint(0, 19999) / 100:.2f}"),
    ("_price", lambda rng: f"{rng.randint(0, 19999) / 100:.2f}"),
    ("_percent", lambda rng: f"{rng.randint(0, 10)}.00"),
    ("_fee", lambda rng: f"{rng.randint(0, 3500) / 100:.2f}"),
    ("transaction_id", lambda rng: f"{rng.getrandbits(64):016x}"),
    ("_id", lambda rng: f"{rng.randint(1, 10**7)}"),
    ("descriptor", lambda rng: f"{rng.choice(_WORDS).upper()} 8005550100"),
    ("product_name", lambda rng: f"{rng.choice(_WORDS)} {rng.choice(_WORDS)} {rng.choice(_WORDS)}"),
    ("products_description", lambda rng: " ".join(rng.choice(_WORDS) for _ in range(8))),
    ("decline_reason", lambda rng: "Insufficient funds" if rng.random() < 0.4 else ""),
    ("order_status", lambda rng: rng.choice(("APPROVED", "DECLINED"))),
    ("Click ID", lambda rng: f"{rng.getrandbits(96):024x}"),
)
