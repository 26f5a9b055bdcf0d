"""The independent count of records, and that it agrees with the reader."""

import io
import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalroom_dagster.sources.s3_exports.record_count import RecordCount
from signalroom_dagster.sources.s3_exports.records import RecordReader
from signalroom_dagster_tests.sources.s3_exports.bytes_of_files import (
    ANY_BYTES,
    BLOCK_SIZES,
    Table,
    read_in_blocks_of,
    tables,
)


def count(blocks: Iterable[bytes]) -> int:
    counter = RecordCount()
    for block in blocks:
        counter.add(block.removesuffix(b"\n").split(b"\n"))
    return counter.total


@pytest.mark.parametrize(
    ("content", "records"),
    [
        pytest.param(b"", 0, id="nothing"),
        pytest.param(b"\r\n\n", 0, id="blank lines"),
        pytest.param(b"h,i\n", 0, id="header only"),
        pytest.param(b"h,i", 0, id="header only, no line end"),
        pytest.param(b"h,i\r\n1,2\r\n3,4", 2, id="plain"),
        pytest.param(b"h\n\n1\r\n\r\r\n2\n\n", 2, id="blank lines between"),
        pytest.param(b'h\n"a\n\nb"\n2\n', 2, id="newlines in quotes"),
        pytest.param(b'h,i\n"a\n","\n"\n2,3\n', 2, id="two fields with newlines"),
        pytest.param(b'h,i\n"a\n""b"" ,""\n","c"\n2,3\n', 2, id="doubled quotes"),
        pytest.param(b'h\n""\n2\n', 2, id="a quoted empty field is a record"),
        pytest.param(b'"h"\n1\n', 1, id="quoted header"),
        pytest.param(b'h,i\n5" pipe,1\n6" pipe,2\n7,3\n', 3, id="inch marks"),
        pytest.param(b'h,i\n1,"a\n2,b\n3,c\n', 3, id="a quote that is never closed"),
        pytest.param(
            b'h,i\n1,"a\n2,b\n"3","c"\n4,"d\ne"\n',
            4,
            id="a quote that is never closed, others that are",
        ),
        pytest.param(b'h,i\n1,"a"b\n2,"c"\n', 2, id="text after a closing quote"),
        pytest.param(b"h\n\0\n", 1, id="a NUL byte is not a blank line"),
        pytest.param(b'h\n"' + b"\n" * 999 + b'"\n2\n', 2, id="a thousand lines in quotes"),
        pytest.param(
            b'h\n"' + b"x\n" * 1_000 + b'"\n2\n', 1_002, id="more than a thousand lines in quotes"
        ),
    ],
)
def test_a_record_is_counted_once_however_many_lines_it_has(content: bytes, records: int) -> None:
    assert count([content]) == records
    assert count(io.BytesIO(content)) == records


def test_the_total_may_be_asked_for_again() -> None:
    counter = RecordCount()
    counter.add([b"h", b"1", b'"2', b"3"])
    assert (counter.total, counter.total) == (3, 3)


@given(tables(), st.sets(st.integers(0, 60)))
@settings(max_examples=100, deadline=None)
def test_every_row_that_csv_writes_is_one_record_wherever_the_blocks_end(
    table: Table, cuts: set[int]
) -> None:
    lines = list(io.BytesIO(table.content))
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(lines)), len(lines)]
    assert count(b"".join(lines[start:end]) for start, end in itertools.pairwise(edges)) == len(
        table.rows
    )


@given(ANY_BYTES, st.sampled_from(BLOCK_SIZES))
@settings(max_examples=200, deadline=None)
def test_the_count_agrees_with_the_reader_on_any_bytes(content: bytes, block_bytes: int) -> None:
    counter = RecordCount()
    with read_in_blocks_of(block_bytes):
        read = sum(1 for _ in RecordReader(io.BytesIO(content), counter.add))
    assert counter.total == max(read - 1, 0)
