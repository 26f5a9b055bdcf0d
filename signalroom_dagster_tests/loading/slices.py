"""A small source of the tests' own: its slices say what is read, and may do something while it is
read.
"""

import itertools
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt

from signalroom_dagster.loading import pipelines
from signalroom_dagster.loading.windowed import slice_resource
from signalroom_dagster.registry.outlines import outline
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.tables import Replaces, Row, Table, columns_of
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.bookkeeping import kept_beside
from signalroom_dagster.warehouse.windows import read_windows
from signalroom_dagster_tests.sources.contexts import context, slice_of

COLUMNS = {"day": "date", "id": "text", "cost": "decimal", "note": "text", "tags": "json"}
SPEND = Table(
    name="spend",
    about="By day.",
    key=("day", "id"),
    day="day",
    figures=("cost",),
    columns=columns_of(COLUMNS),
)
SALES = Table(
    name="sales",
    about="By id.",
    key=("id",),
    day="day",
    figures=("cost",),
    columns=columns_of(COLUMNS),
)
LISTS = Table(name="lists", about="Whole.", key=("id",), columns=columns_of(COLUMNS))
_numbers = itertools.count(1)


def row(day: date, number: str, cost: Any = 0, **values: Any) -> Row:
    """A vendor's row."""
    return {"day": day, "id": number, "cost": cost, **values}


def put(
    folder: Path,
    table: Table,
    days: Iterable[date],
    rows: Iterable[Row],
    *,
    replaces: Replaces = "days",
    client_id: str = "713",
    meanwhile: Callable[[], None] = lambda: None,
    **answered: Any,
) -> str:
    """Load one slice in a run of its own; `meanwhile` is done while it is read. The run's id."""
    run_id = f"put-{next(_numbers)}"
    scratch = folder / run_id
    scratch.mkdir(parents=True)

    def read() -> Answer:
        meanwhile()
        return Answer(rows, **answered)

    with access.exclusive(), access.connected() as query:
        access.create_own_tables("shop", kept_beside(["slices"], "shop"))
        known = read_windows(query, "shop", client_id)
    now = context(
        scratch, client_id=client_id, run_id=run_id, windows=known, started_at=datetime.now(UTC)
    )
    piece = slice_of(table, read, days, replaces)
    source = outline("shop", "slices", [slice_resource(table, lambda: [piece], now)])
    pipeline = dlt.pipeline(
        f"shop__{client_id}",
        pipelines_dir=str(scratch / "dlt"),
        destination=pipelines.destination(courier=now.courier),
        dataset_name="shop",
    )
    try:
        pipeline.run(source)
    finally:
        pipeline.deactivate()
    for error in now.failures.values():
        raise error
    return run_id


def another_run_reads(table: str, *days: date, moved: timedelta = timedelta(0)) -> None:
    """As if another run had just read and committed these days, which may then stand under
    others.
    """
    with access.connected() as query:
        later = access.now(query)
        for day in days:
            query(
                "UPDATE shop.windows SET loaded_at = %s, run_id = 'other', day = %s WHERE resource"
                " = %s AND day = %s",
                later,
                day + moved,
                table,
                day,
            )
