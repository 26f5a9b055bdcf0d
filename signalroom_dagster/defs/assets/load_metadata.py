"""What a person wants to see on a materialization: how much, how fast, what was odd, and the files
or days themselves.

https://docs.dagster.io/guides/build/assets/metadata-and-tags
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from signalroom_dagster.loading.pipelines import Load
from signalroom_dagster.registry.catalog import table_facts
from signalroom_dagster.warehouse import windows
from signalroom_dagster.warehouse.access import Query, table_exists
from signalroom_dagster.warehouse.bookkeeping import KEPT
from signalroom_dagster.warehouse.ledger import (
    LoadedFile,
    files_of_run,
    rows_of_client,
    unreadable_files,
)

COLUMN_SCHEMA = "dagster/column_schema"
SHOWN = 100


def load_metadata(
    query: Query, result: dg.MaterializeResult[Any], load: Load, client_id: str, run_id: str
) -> Mapping[str, Any]:
    """Metadata of one asset after its load: what the ledger or the windows say of this run, and the
    source's notes.
    """
    dataset, table = result.asset_key.path if result.asset_key else ("", "")
    figures = FIGURES.get(table_facts(dataset)[table].load)
    return {
        **(figures(query, load, dataset, table, client_id, run_id) if figures else {}),
        **load.notes.get(table, {}),
        "load_ids": _load_ids(load),
        COLUMN_SCHEMA: _columns(load, table, result),
    }


def declared_columns(table: str, hints: Mapping[str, Any]) -> dg.TableSchema:
    """The columns that a table has before its first load: a kept table's own, else those that its
    resource declares.
    """
    for kept in (kept for tables in KEPT.values() for kept in tables):
        if kept.name == table:
            return dg.TableSchema(
                [_column(column, kind, column in kept.key) for column, kind in kept.columns.items()]
            )
    return dg.TableSchema(
        [
            _of_dlt(dg.TableColumn(name, str(hint.get("data_type", ""))), hint)
            for name, hint in hints.items()
        ]
    )


def _columns(load: Load, table: str, result: dg.MaterializeResult[Any]) -> dg.TableSchema:
    """The columns as dagster-dlt found them, with their types written out; of tables that the load
    keeps, ours.
    """
    if kept := declared_columns(table, {}).columns:
        return dg.TableSchema(kept)
    found = (result.metadata or {}).get(COLUMN_SCHEMA)
    if not isinstance(found, dg.TableSchema):
        return dg.TableSchema([])
    hints: Mapping[str, Any] = load.pipeline.default_schema.tables.get(table, {}).get("columns", {})
    return dg.TableSchema([_of_dlt(column, hints.get(column.name, {})) for column in found.columns])


def _of_dlt(column: dg.TableColumn, hint: Mapping[str, Any]) -> dg.TableColumn:
    """dagster-dlt names the hints of a column, such as `precision`, without their values."""
    places = f"({hint['precision']},{hint['scale']})" if hint.get("scale") is not None else ""
    required = "" if column.constraints.nullable and hint.get("nullable", True) else " NOT NULL"
    kind = f"{column.type}{places}{required}"
    return _column(column.name, kind, bool(hint.get("primary_key")), hint.get("description"))


def _column(name: str, kind: str, is_key: bool, about: str | None = None) -> dg.TableColumn:
    """A column from its SQL type, NOT NULL included."""
    told = dg.TableColumnConstraints(
        nullable=not kind.endswith(" NOT NULL"), other=["key"] if is_key else []
    )
    return dg.TableColumn(name, kind.removesuffix(" NOT NULL"), about, constraints=told)


def _of_files(
    query: Query, load: Load, dataset: str, table: str, client_id: str, run_id: str
) -> Mapping[str, Any]:
    files = files_of_run(query, dataset, table, client_id, run_id)
    seconds = _seconds(load)
    rows = sum(file.rows_loaded for file in files)
    notes = [f"{file.file_name}: {file.reason}" for file in files if file.reason]
    figures: dict[str, Any] = {
        "rows_loaded": rows,
        "rows_rejected": sum(file.rows_rejected for file in files),
        "dagster/partition_row_count": rows_of_client(query, dataset, table, client_id),
        "files_loaded": sum(file.status in ("loaded", "empty") for file in files),
        "files_quarantined": sum(file.status == "quarantined" for file in files),
        "files_unreadable": len(unreadable_files(query, dataset, table, client_id)),
        "bytes": sum(file.size for file in files),
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds) if seconds else 0,
    }
    if notes:
        figures["remarks"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in notes[:SHOWN]))
    if files:
        figures["files"] = dg.MetadataValue.table(
            [_file(file) for file in files[:SHOWN]], schema=_FILE_SCHEMA
        )
    return figures


def _of_slices(
    query: Query, load: Load, dataset: str, table: str, client_id: str, run_id: str
) -> Mapping[str, Any]:
    days = windows.days_of_run(query, dataset, table, client_id, run_id)
    figures: dict[str, Any] = {
        "rows_loaded": sum(day.rows for day in days),
        **_rows_there(query, dataset, table, client_id),
        "days_read": len(days),
        "seconds": round(_seconds(load), 2),
    }
    if days:
        figures |= {"first_day": str(days[0].day), "last_day": str(days[-1].day)}
        figures["days"] = dg.MetadataValue.table(
            [_day(day) for day in days[-SHOWN:]], schema=_DAY_SCHEMA
        )
    if remarks := [remark for day in days for remark in day.remarks]:
        figures["could_not_be_read"] = dg.MetadataValue.md(
            "\n".join(f"- {remark}" for remark in remarks[:SHOWN])
        )
        counts = [(entry["column"], entry["count"]) for day in days for entry in day.set_aside]
        figures["cells_set_aside"] = sum(count for column, count in counts if column)
        figures["rows_left_out"] = sum(count for column, count in counts if not column)
    if lines := _restated(query, dataset, table, client_id, run_id):
        figures["restated"] = dg.MetadataValue.md("\n".join(f"- {line}" for line in lines[:SHOWN]))
        figures["days_restated"] = len(lines)
    return figures


def _of_native(
    query: Query, load: Load, dataset: str, table: str, client_id: str, run_id: str
) -> Mapping[str, Any]:
    read = windows.days_of_run(query, dataset, table, client_id, run_id)
    return {
        "rows_loaded": sum(day.rows for day in read),
        "seconds": round(_seconds(load), 2),
        **(_rows_there(query, dataset, table, client_id)),
    }


def _rows_there(query: Query, dataset: str, table: str, client_id: str) -> Mapping[str, int]:
    """How many rows a client has; nothing where rows themselves name their tables."""
    if not table_exists(query, dataset, table):
        return {}
    counted = query(f"SELECT count(*) FROM {dataset}.{table} WHERE _client_id = %s", client_id)
    return {"dagster/partition_row_count": int(counted[0][0])}


def _restated(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Sequence[str]:
    """What the vendor has changed on days that were over, a line a day."""
    rows = windows.restated_in_run(query, dataset, table, client_id, run_id)
    day = table_facts(dataset)[table].day
    if not rows or not day:
        return []
    names = sorted({name for row in rows for name in {**(row.before or {}), **(row.after or {})}})
    days = [row.day for row in rows]
    return windows.told(
        rows, windows.figures_by_day(query, dataset, table, client_id, day, names, days)
    )


FIGURES: Mapping[str | None, Callable[..., Mapping[str, Any]]] = {
    "files": _of_files,
    "native": _of_native,
    "slices": _of_slices,
}


def _file(file: LoadedFile) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "file": file.file_name,
            "status": file.status,
            "rows": file.rows_loaded,
            "rejected": file.rows_rejected,
            "bytes": file.size,
            "remark": file.reason or "",
        }
    )


def _day(day: windows.ReadDay) -> dg.TableRecord:
    total = "" if day.vendor_total is None else f"{day.vendor_total.normalize():f}"
    return dg.TableRecord({"day": str(day.day), "rows": day.rows, "vendor's total": total})


def _seconds(load: Load) -> float:
    """How long extract, normalize and load took together in this attempt."""
    trace = load.pipeline.last_trace
    if not trace or not trace.finished_at:
        return 0.0
    return (trace.finished_at - trace.started_at).total_seconds()


def _load_ids(load: Load) -> str:
    trace = load.pipeline.last_trace
    info = trace.last_load_info if trace else None
    return ", ".join(info.loads_ids) if info else ""


_FILE_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("file", "string"),
        dg.TableColumn("status", "string"),
        dg.TableColumn("rows", "int"),
        dg.TableColumn("rejected", "int"),
        dg.TableColumn("bytes", "int"),
        dg.TableColumn("remark", "string"),
    ]
)
_DAY_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("day", "string"),
        dg.TableColumn("rows", "int"),
        dg.TableColumn("vendor's total", "string"),
    ]
)
