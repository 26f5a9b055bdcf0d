"""Whether a sheet still looks like what it was: one that was emptied, cut or filled with something else is not loaded.

What is loaded stays until somebody has repaired the sheet, or has said in its settings that it is right.
"""

from signalroom_dagster.sources.google_sheets.rows import ReadColumn, ReadRows
from signalroom_dagster.sources.google_sheets.settings import Guard

ALWAYS_BORNE = 1  # one odd cell of a short column says nothing of the column


class SheetChangedError(Exception):
    """Too few rows, or a column with other things in it than before."""


def check_rows(found: ReadRows, guard: Guard, rows_before: int) -> None:
    """Raises SheetChangedError for what the guard does not believe; `rows_before` is what the last load left."""
    for column in found.columns:
        _check_column(column, guard)
    rows = len(found.rows)
    if guard.may_shrink:
        return
    if rows < guard.min_rows:
        raise SheetChangedError(
            f"rows of data: {rows}, expected at least {guard.min_rows} (min_rows); nothing was replaced. If right, "
            "set may_shrink = true for this sheet"
        )
    if rows < guard.keep_share * rows_before:
        raise SheetChangedError(
            f"rows of data: {rows}, loaded before: {rows_before}, which is less than keep_share allows "
            f"({guard.keep_share:.0%}); nothing was replaced. If it is right, set may_shrink = true for this sheet"
        )


def _check_column(column: ReadColumn, guard: Guard) -> None:
    misfits, failed = len(column.misfits), len(column.failed)
    if misfits > max(ALWAYS_BORNE, guard.misfit_share * column.filled):
        raise SheetChangedError(
            f"too many cells do not fit ({guard.misfit_share:.0%} of a column may, misfit_share): of {column.filled}, "
            + "; ".join(column.remarks())
        )
    if not guard.may_shrink and failed > max(ALWAYS_BORNE, (1 - guard.keep_share) * column.filled):
        raise SheetChangedError(f"a formula is broken: of {column.filled}, " + "; ".join(column.remarks()))
