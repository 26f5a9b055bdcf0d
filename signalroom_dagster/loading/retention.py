"""How long what grows without end is kept: `[retention]`, and what removes the rest from the
warehouse.

Ledgers, windows and results stay: what is loaded, and what is still to be loaded, is read from
them.
"""

import logging
from collections.abc import Iterator
from datetime import timedelta

from pydantic import BaseModel, Field

from signalroom_dagster.registry import catalog
from signalroom_dagster.sections import section_settings
from signalroom_dagster.warehouse.access import connected, exclusive, now, table_exists, transaction
from signalroom_dagster.warehouse.bookkeeping import REJECTED, RESTATEMENTS

log = logging.getLogger(__name__)


class RetentionSettings(BaseModel):
    """`[retention]`: days after which rows go; 0 keeps them for ever. `runs_days` is of Dagster's
    runs and events.
    """

    restatements_days: int = Field(default=400, ge=0)
    rejected_rows_days: int = Field(default=400, ge=0)
    reports_days: int = Field(default=0, ge=0)
    deliveries_days: int = Field(default=0, ge=0)
    runs_days: int = Field(default=30, ge=0)


def retention_settings() -> RetentionSettings:
    """The settings of what is kept: `RETENTION__RESTATEMENTS_DAYS` and so on."""
    return section_settings(RetentionSettings, "retention")


def purge_warehouse() -> int:
    """Remove the rows that are older than they are kept, each table in a transaction of its own;
    how many.

    Raises DestinationUnreachableError, and WarehouseBusyError when DuckDB is in use for too long.
    """
    removed = 0
    for schema, table, moment, days in _kept():
        with exclusive():
            with connected() as query:
                is_due = days and table_exists(query, schema, table)
            if is_due:
                removed += _remove(f"{schema}.{table}", moment, days)
    return removed


def _kept() -> Iterator[tuple[str, str, str, int]]:
    """Each table that grows: its schema and name, the column that says how old a row is, and for
    how many days.
    """
    settings = retention_settings()
    for source in catalog.dlt_sources():
        yield source, RESTATEMENTS, "seen_at", settings.restatements_days
        yield source, REJECTED, "_loaded_at", settings.rejected_rows_days
    yield "reports", "reports", "created_at", settings.reports_days
    yield "reports", "deliveries", "intent_at", settings.deliveries_days


def _remove(table: str, moment: str, days: int) -> int:
    with transaction(f"removing old rows of {table}") as query:
        before = now(query) - timedelta(days=days)
        count = int(query(f"SELECT count(*) FROM {table} WHERE {moment} < %s", before)[0][0])
        if count:
            query(f"DELETE FROM {table} WHERE {moment} < %s", before)
            log.info(
                "%s: %s rows from before %s removed", table, f"{count:,}", f"{before:%Y-%m-%d}"
            )
    return count
