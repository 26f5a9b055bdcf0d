"""Whether the first line of a file can be understood as the names of its columns.

What cannot is set aside whole, with its text hidden: no policy can be kept for columns that nobody
knows, and what stands in a line that is no header (a person's name, a card number) must not become
columns of a table that all clients share. No text of the file stands in what is said of it.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from signalroom_dagster.naming import column_name, column_names
from signalroom_dagster.sources.s3_exports.fields import exchange, split_fields, unquoted
from signalroom_dagster.sources.s3_exports.layouts import ColumnPlan, Layout
from signalroom_dagster.sources.s3_exports.records import Record, RecordReader

PlanColumns: TypeAlias = Callable[[Sequence[str]], ColumnPlan]

MOST_COLUMNS = 1_500

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
LONGEST_NAME = 300
_IN_QUOTES = re.compile(rb'"[^"]*"')
_DATA = {
    "an e-mail address": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "a date or a time": re.compile(
        r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ].*)?|\d{1,2}[ -][a-z]{3,9}\.?["
        r" -]\d{2,4}.*|\d{1,2}:\d{2}(:\d{2})?.*",
        re.IGNORECASE,
    ),
    "a card, phone or account number": re.compile(
        r"(?!(19|20)\d\d[-/](19|20)\d\d$)(?=(?:\D*\d){4})[+(]?[\dx*\u2022. ()/-]{8,}", re.IGNORECASE
    ),
    "a number": re.compile(
        r"[-+(]?\s?[^\w\s.,+-]?\s?\d[\d\s.,']*(e[-+]?\d+)?\s?[%\u20ac$\u00a3)]?|[-+]?[.,]\d+",
        re.IGNORECASE,
    ),
    "an identifier": re.compile(r"(?=\D*\d)(?=[^a-f]*[a-f])[0-9a-f-]{12,}", re.IGNORECASE),
    "an address on the web": re.compile(r"(https?://|www\.).+", re.IGNORECASE),
    "a yes or no": re.compile(r"true|false|null", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a prefix's files are written, and what its table has: `columns` of anybody's, `own` that
    this client's files have brought. `delimiter` and `header` are as in a client's `formats`.
    """

    delimiter: str | None = None
    header: bool | Sequence[str] | None = None
    columns: Collection[str] = ()
    own: Collection[str] = ()


class Header(NamedTuple):
    """What the first record of a file tells: what becomes of its columns, why the file cannot be
    loaded if it cannot, whether the record is a row, and whether nobody knows what the rows hold.
    """

    columns: ColumnPlan
    fault: str | None = None
    is_row: bool = False
    is_unknown: bool = False


def judge_header(
    first: Record | None,
    reader: RecordReader,
    plan: PlanColumns,
    layout: Layout | None,
    filter_column: str | None,
    form: Form,
) -> Header:
    """What becomes of a file by its first record; `reader` is the one that it is of."""
    if first is None:
        return Header(plan([]))
    cells, names_given = _cells(first, reader.text.delimiter), form.header
    if first.raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in first.raw:
        return Header(plan(cells), "not a UTF-8 or cp1252 text file", is_unknown=True)
    columns = plan(cells)
    is_known = bool(layout and layout.key in columns.names and not first.problem)
    raw = first.raw.translate(exchange(reader.text.delimiter))
    if not is_known and (
        other := other_delimiter(raw, reader.text.delimiter, is_sure=reader.text.delimiter_is_known)
    ):
        fault = (
            f"its fields are parted by {DELIMITERS[other]}, not by"
            f" {DELIMITERS[reader.text.delimiter]}:"
            " where a client's exports are meant to be so, say it as delimiter in formats.<table>"
        )
        return Header(columns, fault, is_unknown=True)
    if names_given is False or isinstance(names_given, Sequence):
        given = names_given or [f"column_{position}" for position, _ in enumerate(cells, start=1)]
        columns, is_row = plan(given), column_names(cells) != column_names(given)
        return Header(columns, _fault(columns, layout, filter_column), is_row)
    if first.problem:
        return Header(columns, f"the header {first.problem}", is_unknown=True)
    if (
        len(cells) <= MOST_COLUMNS
        and not (is_known or names_given)
        and (why := _why_no_header(cells, columns, form))
    ):
        fault = (
            f"its first line is no header: {why}; name the columns of exports without one in"
            " formats.<table>.header"
        )
        return Header(columns, fault, is_row=True, is_unknown=True)
    return Header(columns, _fault(columns, layout, filter_column))


def other_delimiter(raw: bytes, delimiter: str, *, is_sure: bool) -> str | None:
    """What parts the fields of a header, where that is not the delimiter that is expected; one that
    is sure must not occur at all.
    """
    outside = _IN_QUOTES.sub(b"", raw)
    counts = {sign: outside.count(sign.encode()) for sign in DELIMITERS}
    most = max(counts, key=lambda sign: counts[sign])
    return (
        most if counts[most] > counts[delimiter] and not (is_sure and counts[delimiter]) else None
    )


def looks_like_data(cells: Sequence[str], known: Container[str]) -> str | None:
    """Why cells are a row of values rather than a header, in words without their text; None for a
    header.

    `known` are the columns that the table has: a number or a date that is one of them already is a
    header.
    """
    for position, cell in enumerate(cells, start=1):
        kind = _kind(cell.strip())
        if kind and (
            kind not in ("a number", "a date or a time") or column_name(cell) not in known
        ):
            return f"its field {position} looks like {kind}"
    texts = Counter(cell.strip() for cell in cells)
    unclear = sum(count for text, count in texts.items() if count > 1 or not text)
    if len(cells) > 3 and 2 * unclear > len(cells):
        return f"{unclear} of its {len(cells)} fields are empty or stand there twice"
    return None


def _why_no_header(cells: Sequence[str], columns: ColumnPlan, form: Form) -> str | None:
    if why := looks_like_data(cells, form.columns):
        return why
    if form.own and not any(name in form.columns for name in columns.names):
        return (
            "it shares no column with the files that came before (where it is one all the same:"
            " header = true)"
        )
    return None


def _cells(header: Record, delimiter: str) -> list[str]:
    if header.problem:
        return [header.raw.decode("utf-8", "replace")]
    fields = split_fields(header.raw) if header.fields is None else header.fields
    return [
        unquoted(field).translate(exchange(delimiter)).decode("utf-8", "replace")
        for field in fields
    ]


def _fault(columns: ColumnPlan, layout: Layout | None, filter_column: str | None) -> str | None:
    found = f"its header has {len(columns.names)} columns"
    if len(columns.names) > MOST_COLUMNS:
        return f"no table can hold it: {found}"
    if layout and layout.key not in columns.names:
        return f"no key column {layout.key}: {found}"
    if layout and layout.key in columns.clashing:
        return f"the key column {layout.key} stands twice: {found}"
    if filter_column and columns.filter_at is None:
        return f"no column {filter_column} to tell whose rows these are: {found}"
    return None


def _kind(cell: str) -> str | None:
    if len(cell) > LONGEST_NAME:
        return "a long text"
    return next((kind for kind, pattern in _DATA.items() if pattern.fullmatch(cell)), None)
