"""Contents of files for property tests: tables as csv writes them, and bytes that mean nothing."""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from hypothesis import strategies as st

from signalroom_dagster.sources.s3_exports import records

BLOCK_SIZES = (1, 2, 3, 7, 64, 4 * 1024 * 1024)
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
CELLS = st.text(
    st.one_of(st.sampled_from("\",\n\r ;'\\.x1\u00e9\u20ac\u4e2d\ufeff"), LETTERS), max_size=8
)


class Table(NamedTuple):
    """A table, and how csv.writer writes it."""

    rows: Sequence[Sequence[str]]
    content: bytes


def csv_bytes(
    rows: Iterable[Sequence[str]], line_end: str = "\r\n", quoting: int = csv.QUOTE_MINIMAL
) -> bytes:
    """The rows as Python's csv writes them."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end, quoting=quoting).writerows(rows)  # pyright: ignore[reportArgumentType]
    return text.getvalue().encode("utf-8")


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Any text cells under a plain header, in any quoting and either line end."""
    width = draw(st.integers(1, 4))
    line_end, quoting = draw(
        st.sampled_from(
            [
                ("\r\n", csv.QUOTE_MINIMAL),
                ("\r\n", csv.QUOTE_ALL),
                ("\n", csv.QUOTE_ALL),
                ("\n", csv.QUOTE_NONNUMERIC),
                ("\n", csv.QUOTE_MINIMAL),
            ]
        )
    )
    cells = CELLS
    if (line_end, quoting) == ("\n", csv.QUOTE_MINIMAL):
        cells = CELLS.map(
            lambda cell: cell.replace("\r", "")
        )  # csv.writer would leave it without quotes
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), max_size=8))
    header = [f"c{number}" for number in range(width)]
    return Table(rows, csv_bytes([header, *rows], line_end, quoting))


PIECES = (
    b'"',
    b'""',
    b",",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"a",
    b"b c",
    b"7",
    b"123456",
    b"\xe9",
    b"\x81",
    b"\xc3\xa9",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b'",',
    b',"',
    b'"\n',
    b'x"',
    b"id",
    b"id,cc\n",
    b"\\.",
)
MESSES = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)


@st.composite
def zipped_and_cut(draw: st.DrawFn) -> bytes:
    """A gzip stream that ends early, or has a wrong byte, or goes on with something else."""
    packed = bytearray(gzip.compress(draw(MESSES), mtime=0))
    at = draw(st.integers(0, len(packed) - 1))
    damage = draw(st.sampled_from(["none", "cut", "flip", "more"]))
    if damage == "cut":
        del packed[at:]
    elif damage == "flip":
        packed[at] ^= 1 << draw(st.integers(0, 7))
    elif damage == "more":
        packed += draw(MESSES)
    return bytes(packed)


ANY_BYTES = st.one_of(st.binary(max_size=80), MESSES, zipped_and_cut())


@contextmanager
def read_in_blocks_of(size: int) -> Iterator[None]:
    """Let the reader take so many bytes at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BLOCK_BYTES", size)
        yield
