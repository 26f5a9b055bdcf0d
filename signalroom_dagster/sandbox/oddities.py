"""The ways in which real exports differ from the ordinary, and which of the sandbox's files show
which.

A file here is its records: the header first, each with its line end.
"""

import gzip
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, cycle, islice
from typing import TypeAlias

Records: TypeAlias = Iterable[str]

LINE_END = "\r\n"
NEW_COLUMN = "Loyalty Tier"


def _untouched(records: Records) -> Records:
    return records


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """What is done to one file: to its records, to its encoding, to its bytes."""

    edit: Callable[[Records], Records] = _untouched
    encoding: str = "utf-8"
    zipped: bool = False

    def encode(self, records: Records) -> bytes:
        """The bytes of the stored object."""
        data = "".join(self.edit(records)).encode(self.encoding)
        return gzip.compress(data, mtime=0) if self.zipped else data


def with_new_column(records: Records) -> Records:
    """A column that the layout does not know, after the last one."""
    cells = chain((NEW_COLUMN,), cycle(("bronze", "silver", "gold")))
    return (
        f"{record.removesuffix(LINE_END)},{cell}{LINE_END}"
        for record, cell in zip(records, cells, strict=False)
    )


def with_bad_records(records: Records) -> Records:
    """One record for each of DAMAGES, spread over the file."""
    edited = list(records)
    plain = [at for at, record in enumerate(edited) if at and '"' not in record]
    for share, damage in enumerate(DAMAGES, start=1):
        at = plain[len(plain) * share // (len(DAMAGES) + 1)]
        edited[at] = damage(edited[at])
    return edited


def header_only(records: Records) -> Records:
    """No row at all."""
    return islice(records, 1)


def without_key(records: Records) -> Records:
    """The first column, `orders_id`, is missing throughout."""
    return (record.partition(",")[2] for record in records)


def cut_short(record: str) -> str:
    """Fewer fields than the header has."""
    return ",".join(record.split(",")[:60]) + LINE_END


def with_nul(record: str) -> str:
    """A NUL byte at the head of the second field."""
    return record.replace(",", ",\0", 1)


def with_open_quote(record: str) -> str:
    """A quote before the second field that is never closed."""
    return record.replace(",", ',"', 1)


DAMAGES = (cut_short, with_nul, with_open_quote)

ORDINARY = Oddity()

PLANNED: Mapping[tuple[str, str, int], Oddity] = {
    ("713", "orders-update", 1): Oddity(edit=header_only),
    ("713", "orders-update", 2): Oddity(encoding="cp1252"),
    ("713", "orders-create", 3): Oddity(edit=with_new_column),
    ("713", "orders-create", 4): Oddity(edit=with_bad_records),
    ("713", "orders-create", 6): Oddity(zipped=True),
    ("cti", "orders-update", 5): Oddity(edit=without_key),
}
"""By client, prefix and day of the sandbox's week (1 to 7)."""
