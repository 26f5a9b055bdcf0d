"""An independent count of a file's records, to hold against what was loaded and rejected.

Deliberately another algorithm than `records`: line ends outside quotes, by quote parity over raw bytes. The two
agree on every file whose quotes are balanced; where they differ, the row-balance check shows both numbers.
"""


class RecordCount:
    """Counts the non-blank records of one file, block by block; `total` leaves out the header."""

    def __init__(self) -> None:
        self._records = 0
        self._inside_quotes = False

    def add(self, block: bytes) -> None:
        """Count on through the next block of the file."""
        continued = self._inside_quotes
        pieces = block.split(b'"')
        self._inside_quotes ^= len(pieces) % 2 == 0
        outside = b"\0".join(pieces[continued::2]) + (b"\0" if self._inside_quotes else b"")
        lines = outside.split(b"\n")
        self._records += sum(1 for line in lines if line and line != b"\r")
        if continued and lines[0] and lines[0] != b"\r":
            self._records -= 1  # the rest of a record that an earlier block began

    @property
    def total(self) -> int:
        """Records after the header; 0 for a file without any line."""
        return max(self._records - 1, 0)
