"""An independent count of a file's records, to hold against what was loaded and rejected.

Deliberately another way than `records`: no csv reader and no decoding, only where quotes open and
close in the raw bytes of a line. Both follow one rule for broken quotes: a record that cannot be
read to its end costs only its own line. A difference between the two is therefore a fault of ours,
and the row-balance check shows both numbers.
"""

import re

from signalroom_dagster.sources.s3_exports.records import LONGEST_RECORD_LINES

_QUOTE = ord('"')  # a number: `b'"' in line` takes four times as long
_EDGES = (b"", b",")  # what a field in quotes has on either side
_ENDS = (*_EDGES, b"\r")
_TEXT = rb'[^"]*+(?:""[^"]*+)*+'  # between quotes
_OPENS = rb'[^"\r]*+(?<![^,])"'  # a quote is one only at the start of a field
_WHOLE = rb"(?:" + _OPENS + _TEXT + rb'"(?=[,\r]|\Z)|[^"\r]*+(?<=[^,])"[^,\r]*+)*+'
_REST = _WHOLE + rb'(?:([^"\r]*+\r*\Z)|' + _OPENS + _TEXT + rb"\Z)"
_OUTSIDE = re.compile(_REST)
_INSIDE = re.compile(_TEXT + rb'(?:\Z|"(?:(\r*\Z)|(?=,)' + _REST + rb"))")
# Either matches a line that keeps the grammar; a group matches, too, where the line ends its
# record.


class RecordCount:
    """Counts the non-blank records of one file, block by block of lines; `total` leaves out the
    header, if there is one.
    """

    def __init__(self) -> None:
        self.has_header = True
        self._records = 0
        self._open: list[bytes] = []

    def add(self, lines: list[bytes]) -> None:
        """Count on through the next lines of the file, which are left as they are."""
        self._open = self._count([*self._open, *lines] if self._open else lines)

    @property
    def total(self) -> int:
        """Records after the header; 0 for a file without any line."""
        while self._open:
            self._records += 1  # its quote is never closed: the next line stands for itself
            self._open = self._count(self._open[1:])
        return max(self._records - self.has_header, 0)

    def _count(self, lines: list[bytes]) -> list[bytes]:
        """Count the records of these lines; the lines of a last one that is not complete are left
        over.
        """
        blank = {at for at, line in enumerate(lines) if not line.strip(b"\r")}
        counted = len(lines) - len(blank)
        next_record = 0
        for at in [at for at, line in enumerate(lines) if _QUOTE in line]:
            if at < next_record:
                continue
            taken = _taken(lines, at)
            next_record = at + (taken or len(lines) - at)
            if taken != 1:  # further lines of a record are none of their own
                counted -= sum(1 for further in range(at + 1, next_record) if further not in blank)
            if not taken:
                self._records += counted - 1
                return lines[at:]
        self._records += counted
        return []


def _taken(lines: list[bytes], at: int) -> int:
    """How many lines the record at `lines[at]` takes; 0 when they end before it does."""
    pieces = lines[at].split(b'"')
    if len(pieces) == 3 and pieces[0][-1:] in _EDGES and pieces[2][:1] in _ENDS:
        return 1  # as below, for the one field in quotes that most lines with any have
    first, *between, last = pieces[::2] if len(pieces) % 2 else (b"x", b"x")
    if (
        first[-1:] in _EDGES
        and last[:1] in _ENDS
        and all([p[:1] == p[-1:] in _EDGES for p in between])
    ):
        return 1  # quotes hold whole fields, or stand doubled within them: no need to look closer
    if not (found := _OUTSIDE.match(lines[at])) or found.lastindex:
        return 1
    for taken, line in enumerate(lines[at + 1 : at + LONGEST_RECORD_LINES], start=2):
        if not (found := _INSIDE.match(line)):
            return 1
        if found.lastindex:
            return taken
    return 0 if len(lines) - at < LONGEST_RECORD_LINES else 1
