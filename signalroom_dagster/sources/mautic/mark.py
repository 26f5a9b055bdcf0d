"""How far a table has been read.

A mark is the moment (UTC) at which a reading began, and for statistics the highest id that was
there.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """When a reading began, and the highest id of a table until then."""

    began: datetime
    last_id: int = 0

    def __str__(self) -> str:
        """As a cursor."""
        return f"{self.began.isoformat()} {self.last_id}"


def mark_of(cursor: str) -> Mark:
    """The mark that a cursor says."""
    began, _, last_id = cursor.partition(" ")
    return Mark(datetime.fromisoformat(began), int(last_id or 0))
