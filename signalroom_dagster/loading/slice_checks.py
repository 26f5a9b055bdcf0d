"""What must hold after slices were loaded: the vendor's own totals, no key twice, no answer that
looks cut.

Asked of the database itself, for the days that one run read.
"""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from signalroom_dagster.registry.accounts import zone_of_days
from signalroom_dagster.registry.catalog import TableFacts, table_facts
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.warehouse.access import Query
from signalroom_dagster.warehouse.bookkeeping import WINDOWS
from signalroom_dagster.warehouse.finding import Finding
from signalroom_dagster.warehouse.windows import ReadDay, days_of_run

CENT = Decimal("0.01")
ROUND = 1_000
SHOWN = 10


def reconciled(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """The warehouse holds what the vendor itself counts, for every day that was over when it was
    read.
    """
    facts = table_facts(dataset)[table]
    read = [
        day
        for day in days_of_run(query, dataset, table, client_id, run_id)
        if day.vendor_total is not None
    ]
    if not read:
        return Finding(True, facts.proof or "the vendor gives no total for what this run read")
    held = _held(query, dataset, table, client_id, facts, read)
    zone = zone_of_days(dataset, get_client(client_id))
    off = [_difference(day, held) for day in read if _is_off(day, held, facts)]
    closed_off = [
        _difference(day, held)
        for day in read
        if _is_off(day, held, facts) and _was_over(day, zone, facts)
    ]
    vendor = sum((day.vendor_total or Decimal(0) for day in read), Decimal(0))
    ours = sum((held.get(day.day, Decimal(0)) for day in read), Decimal(0))
    figures: dict[str, int | str] = {
        "compared": facts.total,
        "vendor": str(vendor),
        "warehouse": str(ours),
        "difference": str(ours - vendor),
        "days": len(read),
        "rows_left_out": sum(day.rows_left_out for day in read),
    }
    said = (
        "; ".join(off[:SHOWN])
        or f"{facts.total}: the vendor's own total and ours are {vendor.normalize():f}"
    )
    return Finding(not closed_off, said, figures)


def all_cells_read(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """Every cell and row of the vendor's could be read; a cell that could not is NULL or cleaned, a
    row left out.
    """
    read = days_of_run(query, dataset, table, client_id, run_id)
    remarks = [remark for day in read for remark in day.remarks]
    cells = sum(entry["count"] for day in read for entry in day.set_aside if entry["column"])
    more = f"; and {len(remarks) - SHOWN} more" if len(remarks) > SHOWN else ""
    said = "; ".join(remarks[:SHOWN]) + more or "every cell and row could be read"
    return Finding(
        not remarks, said, {"cells": cells, "rows_left_out": sum(day.rows_left_out for day in read)}
    )


def key_unique(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """The table's key names one row."""
    facts = table_facts(dataset)[table]
    read = days_of_run(query, dataset, table, client_id, run_id)
    if not read:
        return Finding(True, "nothing was read in this run")
    where, parameters = _scope(facts, client_id, read)
    found = query(
        f"SELECT count(*), count(DISTINCT ({', '.join(facts.key)})) FROM {dataset}.{table} {where}",
        *parameters,
    )
    repeated = int(found[0][0]) - int(found[0][1])
    return Finding(not repeated, f"{repeated} rows repeat a key", {"repeated_keys": repeated})


def not_capped(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """No day has a suspiciously round number of rows, which is what an answer that was cut without
    a word has.
    """
    read = days_of_run(query, dataset, table, client_id, run_id)
    odd = [day for day in read if day.rows and day.rows % ROUND == 0]
    said = "; ".join(f"{day.day}: exactly {day.rows:,} rows" for day in odd[:SHOWN])
    return Finding(
        not odd,
        said or "no day has a round number of rows",
        {"days": len(read), "round_days": len(odd)},
    )


def no_totals(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """No row looks like a total of the others: it says so, or it has no day and adds up.
    `skip_rows` and `stop_at` in the sheet's settings leave such rows out.
    """
    cursors = query(
        f"SELECT read_cursor FROM {dataset}.{WINDOWS} WHERE _client_id = %s AND resource = %s AND"
        " run_id = %s AND read_cursor IS NOT NULL ORDER BY day",
        client_id,
        table,
        run_id,
    )
    numbers: list[int] = json.loads(cursors[-1][0])["totals"] if cursors else []
    where = ", ".join(f"row {number}" for number in numbers[:SHOWN])
    said = (
        f"{where} below the header: a total? It is loaded as data; leave it out with skip_rows or"
        " stop_at"
    )
    return Finding(
        not numbers, said if numbers else "no row looks like a total", {"total_rows": len(numbers)}
    )


def _held(
    query: Query, dataset: str, table: str, client_id: str, facts: TableFacts, read: list[ReadDay]
) -> Mapping[date, Decimal]:
    """What the table holds of each day, in the unit of the vendor's total."""
    measure = "count(*)" if facts.total == "rows" else f"coalesce(sum({facts.total}), 0)"
    where, parameters = _scope(facts, client_id, read)
    if facts.day is None:
        return {
            read[-1].day: Decimal(
                query(f"SELECT {measure} FROM {dataset}.{table} {where}", *parameters)[0][0]
            )
        }
    rows = query(
        f"SELECT {facts.day}, {measure} FROM {dataset}.{table} {where} GROUP BY 1", *parameters
    )
    return {day: Decimal(amount) for day, amount in rows}


def _scope(
    facts: TableFacts, client_id: str, read: list[ReadDay]
) -> tuple[str, tuple[object, ...]]:
    if facts.day is None:
        return "WHERE _client_id = %s", (client_id,)
    return f"WHERE _client_id = %s AND {facts.day} BETWEEN %s AND %s", (
        client_id,
        read[0].day,
        read[-1].day,
    )


def _is_off(day: ReadDay, held: Mapping[date, Decimal], facts: TableFacts) -> bool:
    """Whether a day differs by more than the rows that were left out, which have a check of their
    own.
    """
    missing = (day.vendor_total or 0) - held.get(day.day, Decimal(0))
    if facts.total == "rows" and 0 < missing <= day.rows_left_out:
        return False
    return abs(missing) >= CENT


def _was_over(day: ReadDay, zone: ZoneInfo, facts: TableFacts) -> bool:
    """Whether nothing could be added while it was read; a list that is not read by day is compared
    as it is.
    """
    return facts.day is None or day.read_at.astimezone(zone).date() > day.day


def _difference(day: ReadDay, held: Mapping[date, Decimal]) -> str:
    return (
        f"{day.day}: the vendor says {day.vendor_total:f}, we have"
        f" {held.get(day.day, Decimal(0)):f}"
    )
