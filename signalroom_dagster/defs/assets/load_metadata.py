"""What a person wants to see on a materialization: how much, how fast, what was odd, and the files themselves.

https://docs.dagster.io/guides/build/assets/metadata-and-tags
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from signalroom_dagster.loading.ledger import LoadedFile, files_of_run, rows_of_client
from signalroom_dagster.loading.runs import Load
from signalroom_dagster.loading.warehouse import Query

FROM_DLT = ("dagster/column_schema", "dagster/table_name", "dataset_name", "destination_name")
SHOWN_FILES = 100


def load_metadata(
    query: Query, result: dg.MaterializeResult[Any], load: Load, client_id: str, run_id: str
) -> Mapping[str, Any]:
    """Metadata of one asset after its load: what the ledger says of this run, and what the source noted."""
    dataset, table = result.asset_key.path if result.asset_key else ("", "")
    from_dlt = {key: value for key, value in (result.metadata or {}).items() if key in FROM_DLT}
    metadata: dict[str, Any] = {**from_dlt, **load.notes.get(table, {}), "load_ids": _load_ids(load)}
    if table not in load.notes:
        return metadata
    files = files_of_run(query, dataset, client_id, table, run_id)
    total = rows_of_client(query, dataset, client_id, table)
    return {**metadata, **_figures(files, load), "dagster/partition_row_count": total}


def _figures(files: Sequence[LoadedFile], load: Load) -> Mapping[str, Any]:
    seconds = _seconds(load)
    rows = sum(file.rows_loaded for file in files)
    notes = [f"{file.file_name}: {file.reason}" for file in files if file.reason]
    figures: dict[str, Any] = {
        "rows_loaded": rows,
        "rows_rejected": sum(file.rows_rejected for file in files),
        "files_loaded": sum(file.status in ("loaded", "empty") for file in files),
        "files_quarantined": sum(file.status == "quarantined" for file in files),
        "bytes": sum(file.size for file in files),
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds) if seconds else 0,
    }
    if notes:
        figures["remarks"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in notes[:SHOWN_FILES]))
    if files:
        figures["files"] = dg.MetadataValue.table([_record(file) for file in files[:SHOWN_FILES]], schema=_SCHEMA)
    return figures


def _record(file: LoadedFile) -> dg.TableRecord:
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


_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("file", "string"),
        dg.TableColumn("status", "string"),
        dg.TableColumn("rows", "int"),
        dg.TableColumn("rejected", "int"),
        dg.TableColumn("bytes", "int"),
        dg.TableColumn("remark", "string"),
    ]
)
