"""What the ledger says of a file that was loaded."""

from signalroom_dagster.sources.s3_exports.layouts import ColumnPlan
from signalroom_dagster.sources.s3_exports.remarks import reason_of


def test_a_long_header_is_cut_where_it_is_told() -> None:
    columns = ColumnPlan(
        names=("a",),
        dropped=(),
        hashed=(),
        hash_key=b"",
        signed={"notes_9f": "n" * 5_000, "total_1a": "Total ($)"},
    )
    told = reason_of([], columns, set_aside=False)
    assert told == f"new column names: notes_9f of '{'n' * 59}…', total_1a of 'Total ($)'"
