"""One object becomes tagged rows and rejected records, and every record is accounted for."""

import csv
import gzip
import hmac
import io
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalroom_dagster.sources.files import REJECT_COLUMNS, TAGS, TaggedFile
from signalroom_dagster.sources.s3_exports.layouts import Layout, Policy, plan_columns
from signalroom_dagster.sources.s3_exports.records import LONGEST_RECORD_BYTES
from signalroom_dagster.sources.s3_exports.tagging import LONGEST_RAW, Tags, read_columns, tag_file
from signalroom_dagster_tests.sources.s3_exports.bytes_of_files import (
    ANY_BYTES,
    BLOCK_SIZES,
    Table,
    csv_bytes,
    read_in_blocks_of,
    tables,
)

OUR_TAGS = Tags(
    client_id="713",
    file_name='orders-create/a "b", c.csv',
    file_date="2026-03-01",
    loaded_at="2026-03-02T06:00:00+00:00",
)
HASH_KEY = "only-for-tests"
SECRET = "SENTINEL4242"
CARD = "4111111111111111"
EARLY = "the gzip stream ends early: the rest of the file is missing"
DAMAGED = "the gzip stream is damaged: the rest of the file cannot be read"
KEYED = Layout(key="id", columns=("id", "name"))


class Outcome(NamedTuple):
    """What was said of a file, and the two CSV files that were written, as bytes and as cells."""

    said: TaggedFile
    body: bytes
    rejects: bytes

    @property
    def rows(self) -> list[list[str]]:
        """The columns of each row, without its tags."""
        return [row[len(TAGS) :] for row in parsed(self.body)]

    @property
    def row_ids(self) -> list[int]:
        return [int(row[2]) for row in parsed(self.body)]

    @property
    def rejected(self) -> list[tuple[int, str, int, str]]:
        """Row id, reason, line and raw text of each rejected record."""
        return [(int(row[2]), row[5], int(row[6]), row[7]) for row in parsed(self.rejects)]

    @property
    def raw(self) -> list[str]:
        return [record[3] for record in self.rejected]


def tag(
    content: bytes,
    policy: Mapping[str, Policy] | None = None,
    *,
    layout: Layout | None = None,
    only: tuple[str, Sequence[str]] | None = None,
) -> Outcome:
    """Tag one file's content; `only` is the row filter."""
    with tempfile.TemporaryDirectory() as folder:
        body, rejects = Path(folder, "body"), Path(folder, "rejects")
        said = tag_file(
            io.BytesIO(content),
            tags=OUR_TAGS,
            plan=lambda header: plan_columns(header, policy or {}, HASH_KEY, only),
            layout=layout,
            filter_column=only[0] if only else None,
            body=body,
            rejects=rejects,
        )
        return Outcome(said, body.read_bytes(), rejects.read_bytes())


def columns_of(content: bytes) -> tuple[str, ...]:
    """The columns as they are declared before the file is read."""
    return read_columns(io.BytesIO(content), lambda header: plan_columns(header, {}), None, None)


def parsed(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))


def counts(said: TaggedFile) -> tuple[int, int, int, int]:
    return said.rows_in_file, said.rows_loaded, said.rows_rejected, said.rows_filtered


def digest(value: str) -> str:
    return hmac.new(HASH_KEY.encode(), value.encode(), "sha256").hexdigest()


def test_every_row_is_led_by_its_tags() -> None:
    assert parsed(tag(b"id,name\n7,x\n").body) == [
        [
            "713",
            'orders-create/a "b", c.csv',
            "1",
            "2026-03-01",
            "2026-03-02T06:00:00+00:00",
            "7",
            "x",
        ]
    ]


def test_a_row_without_quotes_is_copied_as_it_stands() -> None:
    assert tag("id,name\r\n 7 ,N/A é \\N \\.\r\n".encode()).body.endswith(
        "+00:00, 7 ,N/A é \\N \\.\n".encode()
    )


def test_columns_take_the_files_order_and_snake_case_names() -> None:
    outcome = tag(b'Click ID,"orders_id",orderDate\n1,2,3\n')
    assert outcome.said.columns == ("click_id", "orders_id", "order_date")
    assert outcome.rows == [["1", "2", "3"]]


def test_row_ids_count_rejected_and_filtered_records_too() -> None:
    outcome = tag(b"id,name\n1,a\n2\n3,b\n4,a\n", only=("name", ["a"]))
    assert outcome.row_ids == [1, 4]
    assert [row_id for row_id, *_ in outcome.rejected] == [2]
    assert counts(outcome.said) == (4, 2, 1, 1)


def test_the_body_of_more_rows_than_one_flush_is_complete() -> None:
    outcome = tag(b"id\n" + b"".join(b"%d\n" % number for number in range(4_500)))
    assert outcome.rows == [[str(number)] for number in range(4_500)]
    assert outcome.row_ids == list(range(1, 4_501))


def test_a_quoted_empty_field_is_null_like_an_empty_one() -> None:
    assert tag(b'id,name,x\n1,"",\n').body.endswith(b",1,,\n")


def test_an_inch_mark_reaches_the_database_quoted() -> None:
    assert tag(b'id,name\n1,5" pipe\n').body.endswith(b',1,"5"" pipe"\n')


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param(b"1", "has 1 fields, the header has 2", id="too few"),
        pytest.param(b"1,b,c", "has 3 fields, the header has 2", id="too many"),
        pytest.param(b'"1","b","c"', "has 3 fields, the header has 2", id="too many, quoted"),
        pytest.param(b'1,"b', "opens a quote that is never closed", id="unclosed quote"),
        pytest.param(b'1,"b"x', "has text after a closing quote", id="text after a quote"),
        pytest.param(b"1,b\0", "holds a NUL byte", id="NUL"),
        pytest.param(b"1,b\rc", "has a carriage return outside quotes", id="stray CR"),
        pytest.param(b"1," + b"x" * LONGEST_RECORD_BYTES, "is longer than 1 MiB", id="long"),
    ],
)
def test_a_record_that_cannot_be_read_is_rejected_and_the_others_load(
    row: bytes, reason: str
) -> None:
    outcome = tag(b"id,name\n0,a\n" + row + b"\n2,c\n")
    assert outcome.rows == [["0", "a"], ["2", "c"]]
    assert [record[:3] for record in outcome.rejected] == [(2, reason, 3)]
    assert counts(outcome.said) == (3, 2, 1, 0)
    assert outcome.said.status == "loaded"


def test_a_rejected_record_keeps_its_tags_and_raw_text() -> None:
    rejects = parsed(tag(b'id,name\n1,"a\nb",c\n').rejects)
    assert [dict(zip(REJECT_COLUMNS, row, strict=True)) for row in rejects] == [
        {
            "_client_id": "713",
            "_file_name": 'orders-create/a "b", c.csv',
            "_row_id": "1",
            "_file_date": "2026-03-01",
            "_loaded_at": "2026-03-02T06:00:00+00:00",
            "reason": "has 3 fields, the header has 2",
            "line": "2",
            "raw": '1,"a\nb",c',
        }
    ]


def test_bytes_of_a_rejected_record_that_are_no_text_are_written_out() -> None:
    assert tag(b"id,name\n1,\xe9\0\n").raw == ["1,\\xe9\u2400"]


def test_a_long_rejected_record_is_cut_and_its_length_told() -> None:
    assert tag(b"id,name\n" + b"x" * 20_000 + b"\n").raw == ["x" * LONGEST_RAW + "… (20000 bytes)"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param(CARD, "*" * 16, id="card"),
        pytest.param("123456789012", "*" * 12, id="twelve digits"),
        pytest.param("12345678901", "12345678901", id="eleven digits"),
        pytest.param("4111 1111 1111 1111", "*" * 19, id="in groups"),
        pytest.param("4111-1111-1111-1111", "*" * 19, id="with hyphens"),
        pytest.param(f"a{CARD}b", f"a{'*' * 16}b", id="within a word"),
        pytest.param("\0".join(CARD), "*" * 31, id="as UTF-16 has it"),
        pytest.param("\0" + "1" * 10, "\u2400" + "1" * 10, id="a NUL byte adds no digits"),
    ],
)
def test_long_runs_of_digits_in_a_rejected_record_are_masked(text: str, shown: str) -> None:
    assert tag(f"id,name\n{text}\n".encode()).raw == [shown]


def test_a_header_in_another_order_with_new_and_missing_columns_loads() -> None:
    outcome = tag(b"new,id\n1,2\n", layout=KEYED)
    assert outcome.said.status == "loaded"
    assert outcome.said.columns == ("new", "id")
    assert outcome.said.reason == "new columns: new; missing columns: name"


def test_a_file_without_its_key_column_is_quarantined_whole() -> None:
    outcome = tag(b"name,x\na,1\nb,2\n", layout=KEYED)
    reason = "no key column id: its header has 2 columns"
    assert (outcome.said.status, outcome.said.reason, outcome.said.columns) == (
        "quarantined",
        reason,
        (),
    )
    assert outcome.body == b""
    assert outcome.rejected == [(1, reason, 2, "a,1"), (2, reason, 3, "b,2")]
    assert counts(outcome.said) == (2, 0, 2, 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(
            "id,name\r\n1,é\r\n".encode("utf-16"), "not a UTF-8 or cp1252 text file", id="UTF-16"
        ),
        pytest.param(
            "id,name\r\n1,é\r\n".encode("utf-16-le"),
            "not a UTF-8 or cp1252 text file",
            id="UTF-16, no mark",
        ),
        pytest.param(b"\0\1\2\n1\n", "not a UTF-8 or cp1252 text file", id="binary"),
        pytest.param(
            b"id" + b",x" * 1_500 + b"\n1\n",
            "no table can hold it: its header has 1501 columns",
            id="wide",
        ),
        pytest.param(
            b'id,"name\n1,2\n', "the header opens a quote that is never closed", id="broken header"
        ),
        pytest.param(
            gzip.compress(b"id,na", 0)[:-8],
            "the header is cut off: the gzip stream ends early: the rest of the file is missing",
            id="cut in the header",
        ),
        pytest.param(
            gzip.compress(b"id,name\n1,2\n")[:10],
            "the gzip stream ends early: the rest of the file is missing",
            id="cut before the header",
        ),
        pytest.param(
            b"\x1f\x8b\x09" + b"x" * 20,
            "the gzip stream is damaged: the rest of the file cannot be read",
            id="no gzip",
        ),
    ],
)
def test_a_file_that_cannot_be_understood_is_quarantined(content: bytes, reason: str) -> None:
    outcome = tag(content)
    assert (outcome.said.status, outcome.said.reason) == ("quarantined", reason)
    assert outcome.body == b""
    assert outcome.said.rows_in_file == outcome.said.rows_rejected
    assert outcome.said.bytes_read == len(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"id,name\r\n",
        b"\xef\xbb\xbfid,name",
        gzip.compress(b"", mtime=0),
    ],
)
def test_a_file_without_rows_is_empty(content: bytes) -> None:
    outcome = tag(content, layout=KEYED)
    assert (outcome.said.status, outcome.said.reason, counts(outcome.said)) == (
        "empty",
        None,
        (0, 0, 0, 0),
    )
    assert (outcome.body, outcome.rejects) == (b"", b"")


def test_the_rows_before_the_end_of_a_truncated_gzip_load_and_the_file_says_so() -> None:
    outcome = tag(gzip.compress(b"id,name\n1,a\n2,b\n3,", 0)[:-8])
    why = "the gzip stream ends early: the rest of the file is missing"
    assert (outcome.said.status, outcome.said.reason) == ("loaded", why)
    assert outcome.rows == [["1", "a"], ["2", "b"]]
    assert outcome.rejected == [(3, f"is cut off: {why}", 4, "3,")]


@pytest.mark.parametrize(
    ("content", "why", "rows", "line"),
    [
        pytest.param(
            gzip.compress(b"id,name\n1,a\n", 0)[:-8], EARLY, [["1", "a"]], 3, id="between two lines"
        ),
        pytest.param(
            gzip.compress(b"id,name\r\n1,a\r\n\r", 0)[:-8],
            EARLY,
            [["1", "a"]],
            4,
            id="in a line end",
        ),
        pytest.param(gzip.compress(b"id,name\n", 0)[:-8], EARLY, [], 2, id="behind the header"),
        pytest.param(
            gzip.compress(b"id,name\n1,a\n") + b"2,b\n",
            DAMAGED,
            [["1", "a"]],
            3,
            id="goes on with more",
        ),
    ],
)
def test_what_is_missing_of_a_gzip_that_ends_between_two_records_is_one_rejected_record(
    content: bytes, why: str, rows: list[list[str]], line: int
) -> None:
    outcome = tag(content, layout=KEYED)
    assert (outcome.said.status, outcome.said.reason, outcome.rows) == ("loaded", why, rows)
    assert outcome.rejected == [(len(rows) + 1, f"is missing: {why}", line, "")]
    assert counts(outcome.said) == (len(rows) + 1, len(rows), 1, 0)


@pytest.mark.parametrize("damaged_at", [1_000, 6_500, 20_000])
def test_the_columns_of_a_damaged_gzip_are_the_ones_that_its_rows_are_read_under(
    damaged_at: int,
) -> None:
    rows = b"".join(
        b"%d,some longer text that repeats %d\n" % (number, number % 7) for number in range(12_000)
    )
    packed = bytearray(gzip.compress(b"id,name\n" + rows, mtime=0))
    packed[damaged_at : damaged_at + 100] = b"\xff" * 100
    assert columns_of(bytes(packed)) == tag(bytes(packed)).said.columns


def test_a_cp1252_file_loads_as_text_and_says_how_many_records_were_recoded() -> None:
    outcome = tag(b"id,name\n1,Jos\xe9\n2,x\n")
    assert outcome.rows == [["1", "José"], ["2", "x"]]
    assert outcome.said.reason == "1 records were not UTF-8 and were read as cp1252"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize(
    ("policy", "columns", "row"),
    [
        ({}, ("id", "a", "b", "c"), ["1", "x", "", "y"]),
        ({"a": "keep"}, ("id", "a", "b", "c"), ["1", "x", "", "y"]),
        ({"a": "drop"}, ("id", "b", "c"), ["1", "", "y"]),
        ({"c": "drop"}, ("id", "a", "b"), ["1", "x", ""]),
        ({"id": "drop", "c": "drop"}, ("a", "b"), ["x", ""]),
        ({"a": "hash"}, ("id", "a", "b", "c"), ["1", digest("x"), "", "y"]),
        ({"b": "hash", "a": "drop", "c": "hash"}, ("id", "b", "c"), ["1", "", digest("y")]),
        ({"unknown": "drop"}, ("id", "a", "b", "c"), ["1", "x", "", "y"]),
        ({"id": "drop", "a": "drop", "b": "drop", "c": "drop"}, (), []),
    ],
)
def test_each_column_is_kept_hashed_or_dropped_quoted_or_not(
    policy: Mapping[str, Policy],
    columns: tuple[str, ...],
    row: list[str],
    quoting: int,
    line_end: str,
) -> None:
    outcome = tag(
        csv_bytes([["id", "a", "b", "c"], ["1", "x", "", "y"]], line_end, quoting), policy
    )
    assert (outcome.said.columns, outcome.rows) == (columns, [row])


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("line", ["José", '"José"'])
def test_equal_values_have_equal_hashes_whatever_the_file_was_written_in(
    line: str, coding: str
) -> None:
    assert tag(f"id\n{line}\n".encode(coding), {"id": "hash"}).rows == [[digest("José")]]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_rows_of_other_clients_are_counted_and_not_loaded(quoting: int) -> None:
    content = csv_bytes(
        [["id", "shop"], ["1", "ours"], ["2", "theirs"], ["3", "Ours"], ["4", "ours, too"]],
        "\n",
        quoting,
    )
    outcome = tag(content, only=("shop", ["ours", "ours, too"]))
    assert outcome.rows == [["1", "ours"], ["4", "ours, too"]]
    assert counts(outcome.said) == (4, 2, 0, 2)


def test_the_column_of_the_row_filter_may_itself_be_dropped_or_hashed() -> None:
    assert tag(b"id,shop\n1,a\n2,b\n", {"shop": "drop"}, only=("shop", ["b"])).rows == [["2"]]
    assert tag(b"id,shop\n1,a\n2,b\n", {"shop": "hash"}, only=("shop", ["b"])).rows == [
        ["2", digest("b")]
    ]


def test_a_file_of_other_clients_rows_alone_is_loaded_with_no_row() -> None:
    outcome = tag(b"id,shop\n1,a\n", only=("shop", ["b"]))
    assert (outcome.said.status, outcome.body, counts(outcome.said)) == (
        "loaded",
        b"",
        (1, 0, 0, 1),
    )


def test_a_file_that_does_not_say_whose_rows_these_are_is_quarantined_without_their_text() -> None:
    outcome = tag(b"id,name\n1,somebody\n", only=("shop", ["b"]))
    assert (
        outcome.said.reason
        == "no column shop to tell whose rows these are: its header has 2 columns"
    )
    assert (outcome.said.status, outcome.raw) == ("quarantined", [""])


def test_the_raw_text_of_a_rejected_row_of_a_shared_prefix_is_left_out() -> None:
    assert tag(b"id,shop\n1,a,somebody\n", only=("shop", ["a"])).raw == [""]


@pytest.mark.parametrize("kind", ["drop", "hash"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"id,cc\n1,{SECRET},x\n", id="ragged row"),
        pytest.param(f'id,cc\n1,"{SECRET}\n', id="unclosed quote"),
        pytest.param(f'id,cc\n1,"{SECRET}"x\n', id="text after a quote"),
        pytest.param(f"id,cc\n1,\0{SECRET}\n", id="NUL"),
        pytest.param(f"1,{SECRET}\n2,{SECRET}\n", id="no header at all"),
        pytest.param(f"name,cc\n1,{SECRET}\n", id="no key column"),
        pytest.param(f'id,"cc\n1,{SECRET}\n', id="broken header"),
        pytest.param(f"\0id,cc\n1,{SECRET}\n", id="NUL in the header"),
    ],
)
def test_what_the_policy_hides_is_never_shown_among_the_rejected(
    kind: Policy, content: str
) -> None:
    outcome = tag(content.encode(), {"cc": kind}, layout=KEYED)
    assert outcome.said.rows_rejected >= 1
    assert set(outcome.raw) == {""}


def test_a_utf_16_file_shows_nothing_of_what_the_policy_hides() -> None:
    assert set(tag(f"id,cc\r\n1,{SECRET}\r\n".encode("utf-16"), {"cc": "drop"}).raw) == {""}


def test_raw_text_is_shown_where_a_known_header_has_no_hidden_column() -> None:
    assert tag(b"id,name\n1\n", {"cc": "drop"}, layout=KEYED).raw == ["1"]


def test_every_copy_of_a_repeated_header_cell_is_dropped() -> None:
    outcome = tag(
        b'cc,id,CC,"c c",Cc \n%b,1,%b,2,"%b"\n' % ((SECRET.encode(),) * 3), {"cc": "drop"}
    )
    assert (outcome.said.columns, outcome.rows) == (("id", "c_c"), [["1", "2"]])


@given(tables(), st.sampled_from(BLOCK_SIZES))
@settings(max_examples=100, deadline=None)
def test_any_table_comes_back_cell_by_cell_with_row_ids_from_1(
    table: Table, block_bytes: int
) -> None:
    with read_in_blocks_of(block_bytes):
        outcome = tag(table.content)
    assert outcome.rows == [list(row) for row in table.rows]
    assert outcome.row_ids == list(range(1, len(table.rows) + 1))
    assert counts(outcome.said) == (len(table.rows), len(table.rows), 0, 0)
    assert outcome.rejects == b""


POLICIES: list[dict[str, Policy]] = [{}, {"id": "drop"}, {"cc": "hash", "a": "drop"}]


@given(
    ANY_BYTES,
    st.sampled_from([b"", b"id,cc\n", b'"id"\r\n', b"id,a,cc\n"]),
    st.sampled_from(POLICIES),
    st.sampled_from([None, ("id", ("7", "a")), ("cc", ("b c", ""))]),
    st.sampled_from([None, KEYED]),
    st.sampled_from(BLOCK_SIZES),
)
@settings(max_examples=200, deadline=None)
def test_of_any_bytes_every_record_is_loaded_rejected_or_filtered_and_both_files_can_be_read(
    content: bytes,
    header: bytes,
    policy: Mapping[str, Policy],
    only: tuple[str, Sequence[str]] | None,
    layout: Layout | None,
    block_bytes: int,
) -> None:
    with read_in_blocks_of(block_bytes):
        outcome = tag(header + content, policy, only=only, layout=layout)
    in_file, loaded, rejected, filtered = counts(outcome.said)
    assert in_file == loaded + rejected + filtered
    assert [len(row) for row in parsed(outcome.body)] == [
        len(TAGS) + len(outcome.said.columns)
    ] * loaded
    assert [len(row) for row in parsed(outcome.rejects)] == [len(REJECT_COLUMNS)] * rejected
    assert b"\0" not in outcome.body + outcome.rejects
    ids = sorted([*outcome.row_ids, *(row_id for row_id, *_ in outcome.rejected)])
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(range(1, in_file + 1))
    assert all(reason and line for _, reason, line, _ in outcome.rejected)
    assert outcome.said.bytes_read == len(header + content)


DIGITS = st.lists(
    st.sampled_from(
        ["1", "23", "4567", "89012345678", "-", " ", "\0", "é", "x", ",", "\n", '"', "\u0663"]
    ),
    max_size=40,
).map("".join)


@given(DIGITS, st.sampled_from(["utf-8", "utf-16-le", "cp1252"]))
@settings(max_examples=100, deadline=None)
def test_no_raw_text_ever_shows_twelve_digits_in_a_row(text: str, coding: str) -> None:
    raw = "".join(f"<{each}>" for each in tag(b"id\n" + text.encode(coding, "replace")).raw)
    assert not re.search(r"\d{12}", raw)


@st.composite
def files_with_a_secret(draw: st.DrawFn) -> bytes:
    """A file whose hidden columns hold SECRET, some rows of it broken in some way."""
    header = draw(st.permutations(["id", "cc", "CC", "name", "Cc "]))
    hidden = [cell.strip().lower() == "cc" for cell in header]
    plain = st.text('ab," \né', max_size=3)
    secrets = st.sampled_from([SECRET, f"{SECRET}, and", f'"{SECRET}"', f"{SECRET}\nx", ""])
    rows = [
        [draw(secrets if each else plain) for each in hidden]
        for _ in range(draw(st.integers(0, 5)))
    ]
    damage = draw(
        st.lists(st.sampled_from(["none", "short", "long", "NUL", "after a quote"]), max_size=5)
    )
    for row, kind in zip(rows, damage, strict=False):
        if kind == "short":
            row[:] = [SECRET] * draw(st.integers(1, len(row) - 1))
        elif kind == "long":
            row += [SECRET]
        elif kind == "NUL":
            row[0] = f"\0{SECRET}"
    written = [
        csv_bytes([row], quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])))
        for row in rows
    ]
    broken = [f'"{SECRET}"x,{SECRET}\r\n'.encode() for kind in damage if kind == "after a quote"]
    return csv_bytes([header]) + b"".join(draw(st.permutations([*written, *broken])))


@given(files_with_a_secret(), st.sampled_from(["drop", "hash"]), st.sampled_from(BLOCK_SIZES))
@settings(max_examples=100, deadline=None)
def test_a_hidden_value_occurs_nowhere_in_the_output(
    content: bytes, kind: Policy, block_bytes: int
) -> None:
    with read_in_blocks_of(block_bytes):
        outcome = tag(content, {"cc": kind})
    assert SECRET.encode() not in outcome.body + outcome.rejects
    assert outcome.said.rows_in_file == outcome.said.rows_loaded + outcome.said.rows_rejected
