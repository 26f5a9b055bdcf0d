"""What is wrong in the warehouse: tables of another system, and tables that show too much.

SignalRoom never changes a table that it did not make, but for the affiliate mapping, to which it
adds columns: a load that meets one refuses, and says how to move it aside. On Postgres only; a
DuckDB file is SignalRoom's own. Tables of another release of SignalRoom are told on both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.loading.table_shapes import shapes
from signalroom_dagster.modeling.runs import check_is_ours, left_out_models
from signalroom_dagster.modeling.sql import models
from signalroom_dagster.reference.load import declared_tables
from signalroom_dagster.reference.tables import check_fits, missing_columns, stored_columns
from signalroom_dagster.registry import catalog
from signalroom_dagster.warehouse.access import table_exists
from signalroom_dagster.warehouse.bookkeeping import LEDGER, OURS, move_aside
from signalroom_dagster.warehouse.engine import Query, engine
from signalroom_dagster.warehouse.errors import MEANINGS, READ_ONLY
from signalroom_dagster.warehouse.row_security import OPEN_VIEWS, UNSECURED
from signalroom_dagster.warehouse.transactions import ddl_limit

_COLUMNS = (
    "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns WHERE"
    " table_schema = %s GROUP BY 1"
)


_OUR_TABLES = """
SELECT t.oid::regclass::text FROM pg_class AS t WHERE t.relnamespace = to_regnamespace(%s) AND
t.relkind IN ('r', 'p')
AND (%s = 'events' OR starts_with(t.relname, '_dlt_') OR EXISTS (
  SELECT FROM pg_policy AS p WHERE p.polrelid = t.oid AND p.polname = 'signalroom_client'))
"""
_NOT_OURS_TO_ALTER = f"{_OUR_TABLES} AND NOT pg_has_role(t.relowner, 'USAGE')"
_TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that `doctor` looked at."""

    subject: str
    what: str
    problem: str | None
    blocks: bool = True
    waits: bool = False

    @property
    def state(self) -> Literal["ok", "fail", "warn", "later"]:
        """`later` for what a planned client still lacks, `warn` for what stops no load."""
        if not self.problem:
            return "ok"
        if self.blocks:
            return "fail"
        return "later" if self.waits else "warn"


def inspect(query: Query, only: str | None = None) -> Iterator[Diagnosis]:
    """What is wrong with existing tables before SignalRoom loads into them; files left out."""
    for source in catalog.file_sources():
        yield from _files_left_out(query, source, only)
    for source in catalog.dlt_sources():
        yield from _shapes(query, source)
    yield from _models(query)
    if not engine().HAS_ROLES:
        return
    yield Diagnosis("warehouse server", _server(query), None)
    if query("SHOW transaction_read_only")[0][0] == "on":
        yield Diagnosis("warehouse writes", "", f"Postgres answers, and {MEANINGS[READ_ONLY]}")
    else:
        for schema in catalog.schemas():
            yield from _writes(query, schema)
    for source in catalog.dlt_sources():
        yield from _source_tables(query, source)
    for source in catalog.reference_sources():
        yield from _reference_tables(query, source)
    yield from _readers(query)


def _models(query: Query) -> Iterator[Diagnosis]:
    """Models that are made for nobody, and tables of another system in a model's place."""
    for name, problem in left_out_models().items():
        yield Diagnosis(".".join(name), "", problem, blocks=False)
    for name in models():
        try:
            check_is_ours(query, name)
        except ConfigurationError as error:
            yield Diagnosis(".".join(name), "", str(error))


def _files_left_out(query: Query, source: str, only: str | None) -> Iterator[Diagnosis]:
    """Each client's files that no load could read, and other objects among its exports."""
    if not table_exists(query, source, LEDGER):
        return
    left_out = (
        f"SELECT _client_id, count(*), min(_file_name || ' ' || reason) FROM {source}.{LEDGER} "
        "WHERE status = %s AND _client_id = coalesce(%s, _client_id) GROUP BY 1 ORDER BY 1"
    )
    for client, count, example in query(left_out, "unreadable", only):
        problem = (
            f"files that no load could read: {count}, such as {example}; each load tries them"
            f" again. All of them: SELECT * FROM {source}.{LEDGER} WHERE _client_id = '{client}'"
            " AND status = 'unreadable'"
        )
        yield Diagnosis(f"{client}/{source} files", "", problem, blocks=False)
    for client, count, example in query(left_out, "quarantined", only):
        problem = (
            f"files that were set aside unread (quarantined): {count}, such as {example}; mended"
            " files are loaded when they are put there again. All of them: SELECT * FROM"
            f" {source}.{LEDGER} WHERE _client_id = '{client}' AND status = 'quarantined'"
        )
        yield Diagnosis(f"{client}/{source} files", "", problem, blocks=False)
    for client, count, example in query(left_out, "skipped", only):
        yield Diagnosis(
            f"{client}/{source} files",
            f"objects that are no exports: {count}, such as {example}",
            None,
        )


def _writes(query: Query, schema: str) -> Iterator[Diagnosis]:
    """Whether this user may write in a schema: tried, in a transaction that is undone."""
    if not query("SELECT to_regnamespace(%s)", schema)[0][0]:
        return
    tables = [table for (table,) in query(_OUR_TABLES, schema, schema)]
    attempts = [f"CREATE TABLE {schema}.signalroom_doctor AS SELECT 1 AS one"]
    attempts += [f"DELETE FROM {table} WHERE false" for table in tables]
    refused = [why for attempt in attempts if (why := _refused(query, attempt))]
    refused += [f"owner of {table}" for (table,) in query(_NOT_OURS_TO_ALTER, schema, schema)]
    if refused:
        why = "; ".join(refused[:3])
        problem = (
            f"this user may not write it ({why}): the administrator runs what `signalroom roles"
            " --sql` prints"
        )
        yield Diagnosis(f"schema {schema}", "", problem)


def _refused(query: Query, attempt: str) -> str | None:
    """Why a statement is not done; nothing of it stays."""
    query("BEGIN")
    try:
        query(f"{ddl_limit()}; {attempt}")
    except Exception as error:  # whatever the driver raises is the answer
        return str(error).splitlines()[0]
    finally:
        query("ROLLBACK")
    return None


def _server(query: Query) -> str:
    """The server's own limits, as they are for this user outside of a load, which sets its own."""
    sql = "SELECT name, reset_val FROM pg_settings WHERE name = ANY (%s) ORDER BY name"
    values = {name: int(value) for name, value in query(sql, [*_TIMEOUTS, "max_connections"])}
    (connections,) = query(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )[0]
    timeouts = ", ".join(
        f"{name} {values[name] / 1000:g} s" if values[name] else f"no {name}" for name in _TIMEOUTS
    )
    return (
        f"{connections} of {values['max_connections']} connections in use, {timeouts} (loads set"
        " their own)"
    )


def _source_tables(query: Query, source: str) -> Iterator[Diagnosis]:
    """An earlier system's tables in a source's schema; the whole schema, if none is ours."""
    loaded = {table for table, facts in catalog.table_facts(source).items() if facts.load}
    there = {table: columns for table, columns in query(_COLUMNS, source) if table in loaded}
    others = sorted(table for table, columns in there.items() if not set(columns) >= OURS)
    if others:
        command = (
            f"ALTER SCHEMA {source} RENAME TO {source}_before"
            if len(others) == len(there)
            else "; ".join(move_aside(source, table) for table in others)
        )
        problem = (
            f"{_listed(others)} of another system: a load refuses and changes nothing. Keep them"
            f" aside: {command}"
        )
        yield Diagnosis(f"schema {source}", "", problem)


def _shapes(query: Query, source: str) -> Iterator[Diagnosis]:
    """Tables of another release: what the next load does about them, or why no load can pass."""
    for shape in shapes(query, source):
        what = (
            "is of an earlier release: the next load, or `signalroom doctor --create`, brings it up"
            " to date, rows kept"
        )
        yield Diagnosis(
            f"{source}.{shape.table}", "" if shape.problem else what, shape.problem or None
        )


def _reference_tables(query: Query, source: str) -> Iterator[Diagnosis]:
    for schema in declared_tables(source).values():
        found, subject = stored_columns(query, schema.name), f"public.{schema.name}"
        try:
            check_fits(schema, found)
        except ConfigurationError as error:
            yield Diagnosis(subject, "", str(error))
            continue
        if found and (missing := missing_columns(schema, found)):
            what = (
                f"is there from an earlier system: it is kept and gets {_listed(missing)} with the"
                " first load; `signalroom mappings load --all --dry-run` shows which rows that"
                " changes"
            )
            yield Diagnosis(subject, what, None)


def _readers(query: Query) -> Iterator[Diagnosis]:
    """Tables and views that show one client's rows to another's readers."""
    if tables := [name for (name,) in query(UNSECURED)]:
        problem = (
            f"without it: {_listed(tables)}. `signalroom doctor --create` puts it on SignalRoom's"
            " own tables; on others: ALTER TABLE ... ENABLE ROW LEVEL SECURITY"
        )
        yield Diagnosis("row level security", "", problem, blocks=False)
    if views := [name for (name,) in query(OPEN_VIEWS)]:
        problem = (
            f"{_listed(views)} show every client's rows to whoever may read them: "
            "ALTER VIEW ... SET (security_invoker = true)"
        )
        yield Diagnosis("views", "", problem, blocks=False)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
