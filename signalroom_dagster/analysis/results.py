"""The rows of `analysis.results`: what one is made of, how it travels through the store, and its
table on both engines.

Grain: one row per (client, job). https://jcristharif.com/msgspec/
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from signalroom_dagster.analysis.steps import analyse
from signalroom_dagster.analysis.summary import Summary
from signalroom_dagster.events.stores.store import JobKey, Kept, Ready
from signalroom_dagster.warehouse.access import create_own_tables
from signalroom_dagster.warehouse.engine import Engine, engine
from signalroom_dagster.warehouse.migrations import OwnTable

SCHEMA = "analysis"
RESULTS = "analysis.results"
KEY = ("_client_id", "job_id")
COLUMNS = {
    "_client_id": "varchar NOT NULL",
    "job_id": "varchar NOT NULL",
    "score": "numeric(18, 4)",
    "best_campaign": "varchar",
    "campaign_count": "bigint NOT NULL",
    "conversions": "numeric(18, 4)",
    "revenue": "numeric(18, 4)",
    "cost": "numeric(18, 4)",
    "cpa": "numeric(18, 4)",
    "roas": "numeric(18, 4)",
    "people": "bigint",
    "reached": "bigint",
    "reach_rate": "numeric(18, 4)",
    "impressions": "bigint",
    "clicks": "bigint",
    "click_rate": "numeric(18, 4)",
    "campaigns": "json NOT NULL",
    "analysis_types": "json NOT NULL",
    "late": "boolean NOT NULL",
    "contract_version": "varchar NOT NULL",
    "hash": "varchar NOT NULL",
    "first_event_at": "timestamp with time zone NOT NULL",
    "last_event_at": "timestamp with time zone NOT NULL",
    "_loaded_at": "timestamp with time zone NOT NULL",
}
"""`late`: an event came after the deadline. `hash` is of the figures: equal for a replay. Times are
instants (UTC).
"""
TABLE = OwnTable(RESULTS, COLUMNS, KEY)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one job."""

    tenant_id: str
    job_id: str
    analysis_types: list[str]
    late: bool
    contract_version: str
    first_event_at: datetime
    last_event_at: datetime
    summary: Summary

    @property
    def key(self) -> JobKey:
        """Whose it is."""
        return JobKey(self.tenant_id, self.job_id)


def result_of(job: Ready) -> Result:
    """Analyse a job. Raises InvalidResultError."""
    return Result(
        tenant_id=job.tenant_id,
        job_id=job.job_id,
        analysis_types=sorted(job.payloads),
        late=job.late,
        contract_version=job.contract_version,
        first_event_at=job.first_at,
        last_event_at=job.last_at,
        summary=analyse(job.payloads),
    )


def as_kept(result: Result) -> Kept:
    """A result as the store keeps it until it is published."""
    return Kept(result.tenant_id, result.job_id, msgspec.json.encode(result))


def from_kept(kept: Kept) -> Result:
    """The result that the store kept."""
    return msgspec.json.decode(kept.body, type=Result)


def row(result: Result, loaded_at: datetime) -> dict[str, Any]:
    """A result as a row, by column."""
    own = {**msgspec.structs.asdict(result), **msgspec.structs.asdict(result.summary)}
    own |= {"_client_id": result.tenant_id, "_loaded_at": loaded_at}
    return {name: own[name] for name in COLUMNS}


def write(execute: Callable[..., Any], results: Sequence[Result], loaded_at: datetime) -> None:
    """Insert or replace rows in one statement; in order of key, so that two writers cannot lock
    each other out.
    """
    ordered = sorted(results, key=lambda result: result.key)
    names = ", ".join(COLUMNS)
    replaced = ", ".join(f"{name} = EXCLUDED.{name}" for name in COLUMNS if name not in KEY)
    execute(
        f"INSERT INTO {RESULTS} ({names}) SELECT {names} FROM {given_rows(engine())} "
        f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET {replaced}",
        msgspec.json.encode([row(result, loaded_at) for result in ordered]).decode(),
    )


def given_rows(warehouse: Engine) -> str:
    """What reads a JSON list of rows (%s) as a table."""
    types = {name: kind.removesuffix(" NOT NULL") for name, kind in COLUMNS.items()}
    return warehouse.json_rows(types)


def create_results() -> None:
    """The table, where it is not there yet or lacks something. The caller holds
    `warehouse.exclusive()`.
    """
    create_own_tables(SCHEMA, [TABLE])
