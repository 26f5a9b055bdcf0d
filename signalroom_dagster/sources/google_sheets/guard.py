"""Whether a sheet still looks like what it was: one that was emptied, cut or filled with something
else is not loaded.

What is loaded stays until somebody has repaired the sheet, or has said in its settings that it is
right.
"""

from collections.abc import Mapping

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.sources.google_sheets.rows import ReadColumn, ReadRows
from signalroom_dagster.sources.google_sheets.settings import Guard

ALWAYS_BORNE = 1  # one odd cell of a short column says nothing of the column


class SheetChangedError(SignalRoomError):
    """Too few rows, or a column with other things in it than before."""

    told = False


class SheetLoadingError(SheetChangedError):
    """A column whose formulas wait for their data: it may be whole in a moment."""


def check_rows(
    found: ReadRows, guard: Guard, rows_before: int, filled_before: Mapping[str, int] | None = None
) -> None:
    """Raises SheetChangedError for what the guard does not believe.

    `rows_before` is what the last load left, `filled_before` how many cells of each column had
    something in them then.
    """
    for column in found.columns:
        _check_column(column, guard)
    rows = len(found.rows)
    if guard.may_shrink:
        return
    if rows < guard.min_rows:
        raise SheetChangedError(
            f"rows of data: {rows}, expected at least {guard.min_rows} (min_rows); nothing was"
            " replaced. If right, set may_shrink = true for this sheet"
        )
    if rows < guard.keep_share * rows_before:
        raise SheetChangedError(
            f"rows of data: {rows}, loaded before: {rows_before}, which is less than keep_share"
            f" allows ({guard.keep_share:.0%}); nothing was replaced. If it is right, set"
            " may_shrink = true for this sheet"
        )
    for column in found.columns:
        _check_emptied(
            column,
            guard,
            (filled_before or {}).get(column.name, 0),
            rows / rows_before if rows_before else 0,
        )


def _check_emptied(column: ReadColumn, guard: Guard, before: int, rows_share: float) -> None:
    """What rows that went took along is not missed; a column of text may lose one cell, which
    people do on purpose.
    """
    expected = before * min(1.0, rows_share)
    is_text = column.kind == "text"
    is_emptied = not column.filled and round(expected) > (ALWAYS_BORNE if is_text else 0)
    is_thinned = not is_text and column.filled < min(
        guard.keep_share * expected, expected - ALWAYS_BORNE
    )
    if is_emptied or is_thinned:
        raise SheetChangedError(
            f"column {column.header}: cells with something in them: {column.filled}, loaded before:"
            f" {before}; nothing was replaced. If they should be empty, set may_shrink = true for"
            " this sheet"
        )


def _check_column(column: ReadColumn, guard: Guard) -> None:
    misfits, failed = len(column.misfits), len(column.failed)
    if misfits > max(ALWAYS_BORNE, guard.misfit_share * column.filled):
        raise SheetChangedError(
            f"too many cells do not fit ({guard.misfit_share:.0%} of a column may, misfit_share):"
            f" of {column.filled}, " + "; ".join(column.remarks())
        )
    if not guard.may_shrink and failed > max(ALWAYS_BORNE, (1 - guard.keep_share) * column.filled):
        kind = SheetLoadingError if column.loading else SheetChangedError
        raise kind(f"a formula is broken: of {column.filled}, " + "; ".join(column.remarks()))
