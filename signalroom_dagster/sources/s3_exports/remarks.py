"""What is said of a file that was loaded: in the ledger, on the asset, and in its check where a
person should look.
"""

from collections.abc import Iterable, Iterator

from signalroom_dagster.sources.files import OTHER_COLUMNS, TO_LOOK_AT
from signalroom_dagster.sources.s3_exports.layouts import ColumnPlan, listed

LONGEST_SHOWN = 60


def reason_of(
    facts: Iterable[str | None], columns: ColumnPlan | None, *, set_aside: bool
) -> str | None:
    """The ledger's reason: what is so and, of a file with columns, what is to be looked at.

    `set_aside` says whether any row had a value in a column that has none of its own.
    """
    told = [fact for fact in facts if fact]
    if columns and columns.signed:
        names = [f"{name} of {_shortened(cell)!r}" for name, cell in columns.signed.items()]
        told.append(f"new column names: {listed(names)}")
    if columns and (remarks := [*_to_look_at(columns, set_aside=set_aside)]):
        told.append(TO_LOOK_AT + "; ".join(remarks))
    return "; ".join(told) or None


def _to_look_at(columns: ColumnPlan, *, set_aside: bool) -> Iterator[str]:
    if clashing := [name for name in columns.clashing if set_aside or name != "unnamed"]:
        yield f"in the header more than once, kept in {OTHER_COLUMNS}: {listed(clashing)}"
    if roomless := [name for name in columns.others if name not in columns.clashing]:
        yield (
            f"{len(roomless):,} columns are more than the client may bring to the table (setting"
            f" new_columns) or than it can hold, kept in {OTHER_COLUMNS}: {listed(roomless)}"
        )
    if columns.unmet:
        yield f"the column policy for {listed(columns.unmet)} meets no column of the file"
    if columns.moved:
        pairs = [f"{name} (before: {old})" for name, old in columns.moved.items()]
        yield f"columns that are told apart by their header's text now: {listed(pairs)}"


def _shortened(cell: str) -> str:
    """A header's text as far as a person needs it to find it."""
    return cell if len(cell) <= LONGEST_SHOWN else f"{cell[: LONGEST_SHOWN - 1]}…"
