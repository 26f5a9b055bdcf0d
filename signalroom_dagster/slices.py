"""What a source says of one slice of a vendor's data, and what the loader needs to load it in one
transaction.

A slice is some days of one table, or all of it, for one client. The hand-over between `sources` and
`loading`, like `files` for files.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, TypeAlias

Replaces: TypeAlias = Literal["days", "client", "keys"]
"""Which of the client's rows a slice takes the place of: those of its days, all of them, or those
with its keys.
"""

Figure: TypeAlias = int | Decimal


@dataclass(frozen=True, slots=True)
class Window:
    """What the warehouse knows of one day of one resource: when it was read (UTC), by which run,
    and up to where.

    `cursor` is the source's own mark, for resources that are read by change and not by day;
    `swept_at` (UTC) is when the client's rows were last replaced whole.
    """

    loaded_at: datetime
    run_id: str
    rows: int
    cursor: str | None = None
    swept_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSlice:
    """One slice as it was read, ready to load.

    `body` is a CSV file without a header under `columns`, whose dlt types are `kinds`; an unquoted
    empty cell is NULL. Rows that replace by key end with their number, so that of two with one key
    the later stands. `days` are the days it covers, also those without rows; `read_at` (UTC) is
    when reading began. `totals` is what the vendor itself says of a day, in the unit that the
    table's `total` names, `set_aside` what of a day could not be read, as JSON (see
    `sources.set_aside`). `needed` are the figures that no reading may lack. A load that fails for
    this table alone is noted in `failures`, so that the other tables are loaded all the same.
    """

    client_id: str
    table: str
    replaces: Replaces
    key: tuple[str, ...]
    day: str | None
    figures: tuple[str, ...]
    needed: tuple[str, ...] = ()
    days: tuple[date, ...]
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    body: str
    rows: int
    rows_by_day: Mapping[date, int]
    totals: Mapping[date, Figure] = field(default_factory=dict[date, Figure])
    set_aside: Mapping[date, str] = field(default_factory=dict[date, str])
    cursor: str | None = None
    finished_days: frozenset[date] = frozenset()
    read_at: datetime
    run_id: str
    failures: MutableMapping[str, Exception] = field(default_factory=dict[str, Exception])
