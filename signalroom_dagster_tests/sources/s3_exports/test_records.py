"""What is one record, what is wrong with it, and where in the file it stood."""

import gzip
import io
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalroom_dagster.sources.s3_exports import records, unpacked
from signalroom_dagster.sources.s3_exports.fields import (
    count_fields,
    exchange,
    split_fields,
    unquoted,
)
from signalroom_dagster.sources.s3_exports.records import Record, RecordReader
from signalroom_dagster_tests.sources.s3_exports.bytes_of_files import (
    ANY_BYTES,
    BLOCK_SIZES,
    Table,
    csv_bytes,
    read_in_blocks_of,
    tables,
)

UNCLOSED = "opens a quote that is never closed"
CUT = "is cut off: the gzip stream ends early: the rest of the file is missing"


def reader_of(content: bytes) -> tuple[RecordReader, list[Record]]:
    reader = RecordReader(io.BytesIO(content), lambda block: None)
    return reader, list(reader)


def read(content: bytes) -> list[list[str] | str]:
    """Each record as its fields, or as what is wrong with it."""
    return [record.problem or fields_of(record) for record in reader_of(content)[1]]


def fields_of(record: Record) -> list[str]:
    fields = split_fields(record.raw) if record.fields is None else record.fields
    assert record.fields or len(fields) == count_fields(record.raw)
    return [unquoted(field).decode("utf-8") for field in fields]


def lines_of(content: bytes) -> list[int]:
    return [record.line for record in reader_of(content)[1]]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"a,b\n1,2\n", id="LF"),
        pytest.param(b"a,b\r\n1,2\r\n", id="CRLF"),
        pytest.param(b"a,b\r\n1,2\n", id="both"),
        pytest.param(b"a,b\r\r\n1,2\r\r\n", id="CRCRLF"),
        pytest.param(b"a,b\r1,2\r", id="CR alone, as on old Macs"),
        pytest.param(b"a,b\r1,2", id="CR alone, none at the end"),
        pytest.param(b"a,b\n1,2", id="none at the end"),
        pytest.param(b"a,b\r\n1,2\r", id="half of one at the end"),
        pytest.param(b"\n\r\na,b\n\n\n1,2\n\r\n", id="blank lines"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,2\n", id="byte order mark"),
        pytest.param(gzip.compress(b"a,b\n1,2\n"), id="gzip"),
        pytest.param(gzip.compress(b"a,b\n1,") + gzip.compress(b"2\n"), id="gzip in two members"),
        pytest.param(gzip.compress(b"\xef\xbb\xbfa,b\n1,2\n") + b"\0\0\0", id="gzip, padded"),
    ],
)
@pytest.mark.parametrize("block_bytes", BLOCK_SIZES)
def test_line_ends_marks_and_compression_do_not_change_the_records(
    content: bytes, block_bytes: int
) -> None:
    with read_in_blocks_of(block_bytes):
        reader, found = reader_of(content)
    assert [fields_of(record) for record in found] == [["a", "b"], ["1", "2"]]
    assert (reader.text.truncated, reader.recoded, reader.text.bytes_read) == (
        None,
        0,
        len(content),
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", gzip.compress(b"", mtime=0)],
)
def test_a_file_without_any_text_has_no_records(content: bytes) -> None:
    reader, found = reader_of(content)
    assert (found, reader.text.truncated, reader.text.bytes_read) == ([], None, len(content))


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        pytest.param(b'1,"a,b",2', ["1", "a,b", "2"], id="comma in quotes"),
        pytest.param(b'1,"a\nb",2', ["1", "a\nb", "2"], id="newline in quotes"),
        pytest.param(b'1,"a\r\nb",2', ["1", "a\r\nb", "2"], id="CRLF in quotes"),
        pytest.param(b'1,"a\rb",2', ["1", "a\rb", "2"], id="CR in quotes"),
        pytest.param(b'1,"\n\n\n",2', ["1", "\n\n\n", "2"], id="blank lines in quotes"),
        pytest.param(b'1,"say ""hi""",2', ["1", 'say "hi"', "2"], id="doubled quotes"),
        pytest.param(b'"""",""', ['"', ""], id="only a quote, and quoted nothing"),
        pytest.param(b'""', [""], id="one quoted empty field"),
        pytest.param(b'5" pipe,6" pipe', ['5" pipe', '6" pipe'], id="inch marks"),
        pytest.param(b'1, "a",2', ["1", ' "a"', "2"], id="a quote after a space is text"),
        pytest.param(
            "1,\u201cn\u00e9\u201d".encode(),
            ["1", "\u201cn\u00e9\u201d"],
            id="UTF-8 quotes are text",
        ),
        pytest.param(" , ,\u2028".encode(), [" ", " ", "\u2028"], id="white space stays"),
    ],
)
def test_quotes_are_read_as_a_spreadsheet_reads_them(line: bytes, fields: list[str]) -> None:
    assert read(b"h\r\n" + line + b"\r\nlast\r\n") == [["h"], fields, ["last"]]


def test_a_line_without_quotes_stays_bytes() -> None:
    assert reader_of(b'a,b\r\n"x",1\r\n2,3\r\n')[1] == [
        Record(1, b"a,b"),
        Record(2, b'"x",1'),
        Record(3, b"2,3"),
    ]


def test_a_quote_that_is_never_closed_costs_only_its_own_line() -> None:
    assert read(b'h,i\n1,"a\n2,b\n"3","c"\n') == [["h", "i"], UNCLOSED, ["2", "b"], ["3", "c"]]


def test_a_quote_that_is_never_closed_to_the_end_of_the_file_costs_only_its_own_line() -> None:
    assert read(b'h,i\n1,"a\n2,b\n3,c\n') == [["h", "i"], UNCLOSED, ["2", "b"], ["3", "c"]]


def test_two_lines_that_each_open_a_quote_cost_two_lines() -> None:
    assert [type(each) for each in read(b'h,i\n1,"a\n2,"b\n3,c\n')] == [list, str, str, list]


@pytest.mark.parametrize("block_bytes", BLOCK_SIZES)
def test_an_unclosed_quote_does_not_move_the_line_numbers(block_bytes: int) -> None:
    with read_in_blocks_of(block_bytes):
        assert lines_of(b'h,i\n\n1,"a\r\n"2\n",b\n\n3,c\n') == [1, 3, 4, 7]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param(b'1,"a"b', "has text after a closing quote", id="text after a closing quote"),
        pytest.param(
            b'1,"a" ', "has text after a closing quote", id="a space after a closing quote"
        ),
        pytest.param(b"1,a\rb", "has a carriage return outside quotes", id="stray CR"),
        pytest.param(b"\r1,a", "has a carriage return outside quotes", id="leading CR"),
        pytest.param(b"1,\0", "holds a NUL byte", id="NUL"),
        pytest.param(b'1,"a\n\0"', "holds a NUL byte", id="NUL in a quoted second line"),
    ],
)
def test_a_record_that_cannot_be_read_says_why_and_spares_its_neighbours(
    line: bytes, problem: str
) -> None:
    assert read(b"h,i\n0,x\n" + line + b"\n2,y\n") == [["h", "i"], ["0", "x"], problem, ["2", "y"]]


def test_a_record_with_a_problem_keeps_its_text() -> None:
    assert reader_of(b'h\n"a"b,1\r\n')[1][1] == Record(
        2, b'"a"b,1', None, "has text after a closing quote"
    )


def test_a_line_number_is_that_of_the_first_physical_line() -> None:
    assert lines_of(b'h,i\n\n1,"a\n\nb"\n2,c\n"3","d"\n') == [1, 3, 6, 7]


def test_bytes_that_are_not_utf_8_are_read_as_cp1252_and_counted_once_a_record() -> None:
    content = b'name,note\r\nJos\xe9,"\x93a\x94\r\n\x80 5"\r\nJos\xc3\xa9,x\r\n\x81,\xe9\r\n'
    reader, found = reader_of(content)
    assert [fields_of(record) for record in found] == [
        ["name", "note"],
        ["José", "“a”\r\n€ 5"],
        ["José", "x"],
        ["\x81", "é"],
    ]
    assert reader.recoded == 2


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        pytest.param(b"Zo\xc3\xab \xe4\xb8", "Zo\u00eb \ufffd", id="cut beside a whole letter"),
        pytest.param(b"Jos\xe9", "Jos\u00e9", id="cp1252"),
        pytest.param(b"Jos\xc3", "Jos\u00c3", id="cut, and nothing says that it is no cp1252"),
        pytest.param(b"\x81\xe9", "\x81\u00e9", id="what cp1252 leaves undefined"),
        pytest.param(
            b"\xf0\x9f\x98\x80\xed\xa0\xbd",
            "\U0001f600\ufffd\ufffd\ufffd",
            id="half an emoji beside a whole one",
        ),
    ],
)
def test_only_the_cell_that_is_not_utf_8_is_repaired(cell: bytes, expected: str) -> None:
    beside = ["\u4e2d\u6587", 'say "\u00eb"', "\u20ac, \u00fc"]
    line = csv_bytes([[*beside, "#"]]).replace(b"#", cell)
    reader, found = reader_of(b"h\n" + line)
    assert [fields_of(record) for record in found] == [["h"], [*beside, expected]]
    assert reader.recoded == 1


@pytest.mark.parametrize(
    "first", [b"sep=;\r\n", b'"sep=;"\n', b"\xef\xbb\xbfSEP=;\n", b"sep=;;;\n"]
)
@pytest.mark.parametrize("block_bytes", BLOCK_SIZES)
def test_a_first_line_may_say_what_parts_the_fields(first: bytes, block_bytes: int) -> None:
    with read_in_blocks_of(block_bytes):
        reader, found = reader_of(first + b'a;b\n1;"x;y"\n')
    assert (reader.text.delimiter, [record.line for record in found]) == (";", [2, 3])
    assert [record.raw.translate(exchange(";")) for record in found] == [b"a;b", b'1;"x;y"']


def test_lines_that_are_read_twice_because_of_an_unclosed_quote_count_once_as_cp1252() -> None:
    reader, _ = reader_of(b'h,i\n1,"a\n2,\xe9\n3,\xe9\n')
    assert reader.recoded == 2


@pytest.mark.parametrize(("lines", "expected"), [(1_000, 2), (1_001, 1_002)])
def test_a_record_of_more_than_a_thousand_lines_is_taken_for_an_unclosed_quote(
    lines: int, expected: int
) -> None:
    found = read(b'h\n"' + b"x\n" * (lines - 1) + b'x"\n')
    assert len(found) == expected
    assert isinstance(found[1], str) == (expected > 2)


def test_a_line_without_end_is_given_up_and_the_download_is_complete_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unpacked, "LONGEST_LINE_BYTES", 16)
    monkeypatch.setattr(records, "BLOCK_BYTES", 8)
    content = b"h,i\n1,2\n" + b"x" * 40 + b"\n3,4\n"
    reader, found = reader_of(content)
    why = "a line is longer than 64 MiB: nothing was read from there on"
    assert [record.problem for record in found] == [None, None, f"is cut off: {why}"]
    assert (reader.text.truncated, reader.text.bytes_read) == (why, len(content))


def test_a_truncated_gzip_yields_every_line_that_is_whole() -> None:
    content = b"h,i\n" + b"".join(
        b"%d,%d\n" % (number, number * 7919 % 9973) for number in range(5_000)
    )
    packed = gzip.compress(content)[:-4_000]
    reader, found = reader_of(packed)
    assert len(found) > 2_000
    assert (
        b"\n".join(record.raw for record in found)
        == content[: sum(len(each.raw) + 1 for each in found) - 1]
    )
    assert [record.problem for record in found[:-1]] == [None] * (len(found) - 1)
    assert (reader.text.truncated, reader.text.bytes_read) == (
        CUT.removeprefix("is cut off: "),
        len(packed),
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            b"h,i\n1,2\n3,4", [["h", "i"], ["1", "2"], CUT], id="in a line that looks whole"
        ),
        pytest.param(b"h,i\n1,2\n", [["h", "i"], ["1", "2"]], id="between two lines"),
        pytest.param(b'h,i\n1,"a\n2,b', [["h", "i"], UNCLOSED, CUT], id="in quotes"),
        pytest.param(
            b'h,i\n1,"a\nb",2', [["h", "i"], CUT], id="in the last field of a record of two lines"
        ),
        pytest.param(b'h,i\n1,"a', [["h", "i"], CUT], id="in the line that opens a quote"),
        pytest.param(b"h,i", [CUT], id="in the header"),
        pytest.param(b"h,i\n1,2\n\r", [["h", "i"], ["1", "2"]], id="in a line end"),
        pytest.param(b"", [], id="before anything"),
    ],
)
@pytest.mark.parametrize("block_bytes", BLOCK_SIZES)
def test_the_line_in_which_a_gzip_breaks_off_is_never_taken_for_whole(
    content: bytes, expected: list[list[str] | str], block_bytes: int
) -> None:
    stored = gzip.compress(content, compresslevel=0)[:-8]
    with read_in_blocks_of(block_bytes):
        assert read(stored) == expected


@pytest.mark.parametrize("place", [10, 40, -6])
def test_a_damaged_gzip_is_read_as_far_as_it_goes_and_downloaded_whole(place: int) -> None:
    packed = bytearray(gzip.compress(b"h,i\n" + bytes(range(32, 127)) * 30))
    packed[place] ^= 0xFF
    reader, _ = reader_of(bytes(packed))
    assert (
        reader.text.truncated == "the gzip stream is damaged: the rest of the file cannot be read"
    )
    assert reader.text.bytes_read == len(packed)


def test_what_follows_a_gzip_stream_is_reported_and_not_read() -> None:
    stored = gzip.compress(b"h,i\n1,2\n") + b"3,4\n"
    reader, found = reader_of(stored)
    assert [fields_of(record) for record in found] == [["h", "i"], ["1", "2"]]
    assert (reader.text.truncated is not None, reader.text.bytes_read) == (True, len(stored))


def test_a_carriage_return_in_quotes_stays_one_when_the_block_has_no_newline() -> None:
    content = b'h,i\r\n1,"a\rb'
    with read_in_blocks_of(7):
        assert read(content + b'"') == [["h", "i"], ["1", "a\rb"]]


class BrokenStream:
    """Reads a little, then the connection is gone."""

    def __init__(self) -> None:
        self._pieces = [b"h,i\n", b"1,2\n"]

    def read(self, size: int = -1) -> bytes:
        if not self._pieces:
            raise ConnectionError("gone")
        return self._pieces.pop(0)


def test_a_connection_that_breaks_is_an_error_and_not_the_end_of_the_file() -> None:
    with pytest.raises(ConnectionError):
        list(RecordReader(cast("BinaryIO", BrokenStream()), lambda block: None))


def test_the_watcher_sees_blocks_of_whole_lines_that_add_up_to_the_content() -> None:
    seen: list[bytes] = []
    content = b'\xef\xbb\xbfa,b\n1,"x\ny"\n2,z'
    with read_in_blocks_of(4):
        list(RecordReader(io.BytesIO(gzip.compress(content)), seen.extend))
    assert seen == content[3:].split(b"\n")


@given(tables(), st.sampled_from(BLOCK_SIZES))
@settings(max_examples=100, deadline=None)
def test_what_csv_writes_comes_back_cell_by_cell_in_any_blocks(
    table: Table, block_bytes: int
) -> None:
    with read_in_blocks_of(block_bytes):
        assert read(table.content)[1:] == [list(row) for row in table.rows]


@given(ANY_BYTES, st.sampled_from(BLOCK_SIZES))
@settings(max_examples=150, deadline=None)
def test_the_block_size_never_changes_what_is_read(content: bytes, block_bytes: int) -> None:
    whole, expected = reader_of(content)
    with read_in_blocks_of(block_bytes):
        reader, found = reader_of(content)
    assert (reader.text.truncated, reader.text.bytes_read) == (whole.text.truncated, len(content))
    if not whole.text.truncated:  # how much of a damaged block comes out is zlib's affair
        assert [record[:2] for record in found] == [record[:2] for record in expected]
        assert [record.problem for record in found] == [record.problem for record in expected]
        assert reader.recoded == whole.recoded
