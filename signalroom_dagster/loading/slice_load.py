"""The load job that puts one slice of a vendor's data in the place of what was there: whole, or not
at all.

One transaction: lock (client, table), see that no newer reading stands there, delete what the slice
replaces, copy its rows, note what changed on days that were over, write the days' rows in
`windows`. A run that is killed keeps the slices it committed, and the next attempt reads only the
others. Nothing here knows a vendor.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from dlt.common.destination.client import RunnableLoadJob
from typing_extensions import override

from signalroom_dagster.loading.load_warehouse import LoadWarehouse, expect_rows
from signalroom_dagster.loading.progress import committed
from signalroom_dagster.logs import about
from signalroom_dagster.slices import LoadSlice
from signalroom_dagster.tickets import redeem
from signalroom_dagster.warehouse.bookkeeping import (
    RESTATEMENTS,
    RESTATEMENTS_COLUMNS,
    WINDOWS,
    WINDOWS_COLUMNS,
    WINDOWS_KEY,
    upsert,
)
from signalroom_dagster.warehouse.errors import LoadError

log = logging.getLogger(__name__)

Figures: TypeAlias = Mapping[tuple[Any, ...], Mapping[str, Any]]

ORDINAL = "_ordinal"


class NewerReadError(LoadError):
    """Another run has loaded some of the slice's days from a later reading: this one has to be read
    again.
    """


class RepeatedKeyError(LoadError):
    """The vendor sent two rows with one key where each should come once: its paging slipped."""


class VanishedFiguresError(LoadError):
    """A figure that each loaded row has is in no row any more: the vendor's answer has changed its
    shape.
    """


class SliceLoadJob(RunnableLoadJob):
    """Loads one slice; see the module's text for the guarantee."""

    @override
    def run(self) -> None:
        piece: LoadSlice | None = redeem(Path(self._file_path))
        if piece is None:
            return
        warehouse: Any = self._job_client
        warehouse.renew_connection()
        try:
            with (
                about(client=piece.client_id, table=piece.table),
                warehouse.sql_client.begin_transaction(),
            ):
                _load(warehouse, piece)
            committed(piece.table)
        except Exception as error:
            told = warehouse.explain(error, _subject(piece))
            if not isinstance(told, LoadError):  # says nothing of the other tables
                raise told from None
            log.warning("%s; the other tables are loaded all the same", told)
            piece.failures.setdefault(piece.table, told)
        finally:
            Path(piece.body).unlink(missing_ok=True)


def _load(warehouse: LoadWarehouse, piece: LoadSlice) -> None:
    warehouse.lock(f"{piece.table}|{piece.client_id}")
    if not _is_newest(warehouse, piece):
        log.info("%s: a later reading has just been loaded, left as it is", _subject(piece))
        return
    before, counts = _figures(warehouse, piece), _counts(warehouse, piece)
    if piece.replaces != "keys":
        _delete(warehouse, piece)
    if piece.replaces == "client" or piece.day in piece.key:
        copied = warehouse.copy_csv(piece.table, piece.columns, piece.kinds, piece.body)
        expect_rows(piece.rows, copied, _subject(piece))
    else:
        _merge(warehouse, piece)
    if piece.replaces != "keys":
        _expect_each_key_once(warehouse, piece)
    _expect_needed_figures(piece, counts, _counts(warehouse, piece))
    _note_restatements(warehouse, piece, before, _figures(warehouse, piece))
    _note_windows(warehouse, piece)


def _is_newest(warehouse: LoadWarehouse, piece: LoadSlice) -> bool:
    """Whether nobody has loaded these days from a later reading; raises NewerReadError when
    somebody has some.

    A table that is replaced whole is the same on every day: a later reading may stand under
    tomorrow, after midnight. A reading from the future, by a machine whose clock was ahead, counts
    as none.
    """
    sql, later = warehouse.sql_client, f"> %s AND {{moment}} <= {warehouse.clock}"
    loaded_later, swept_later = (
        f"{name} {later.format(moment=name)}" for name in ("loaded_at", "swept_at")
    )
    if piece.replaces == "keys":
        newer = sql.execute_sql(
            f"SELECT count(*) FROM {sql.make_qualified_table_name(WINDOWS)} WHERE _client_id = %s"
            f" AND resource = %s AND (({swept_later}) OR (day BETWEEN %s AND %s AND"
            f" {loaded_later}))",
            piece.client_id,
            piece.table,
            piece.read_at,
            piece.days[0],
            piece.days[-1],
            piece.read_at,
        )[0][0]
        if newer:
            raise NewerReadError(
                f"{_subject(piece)}: another run has loaded later rows since: to be read again"
            )
        return True
    where, parameters = _place(piece)
    newer = sql.execute_sql(
        f"SELECT count(*) FROM {sql.make_qualified_table_name(WINDOWS)} {where.format(day='day')} "
        f"AND resource = %s AND {loaded_later}",
        *parameters,
        piece.table,
        piece.read_at,
    )[0][0]
    if piece.replaces == "days" and 0 < newer < len(piece.days):
        raise NewerReadError(
            f"{_subject(piece)}: another run has loaded {newer} of these days since"
        )
    return not newer


def _place(piece: LoadSlice) -> tuple[str, tuple[Any, ...]]:
    """What a slice takes the place of, as a condition on `{day}`, and its parameters."""
    if piece.replaces == "client":
        return "WHERE _client_id = %s", (piece.client_id,)
    return "WHERE _client_id = %s AND {day} BETWEEN %s AND %s", (
        piece.client_id,
        piece.days[0],
        piece.days[-1],
    )


def _delete(warehouse: LoadWarehouse, piece: LoadSlice) -> None:
    sql = warehouse.sql_client
    where, parameters = _place(piece)
    sql.execute_sql(
        f"DELETE FROM {sql.make_qualified_table_name(piece.table)} {where.format(day=piece.day)}",
        *parameters,
    )


def _merge(warehouse: LoadWarehouse, piece: LoadSlice) -> None:
    """Delete and insert by key through a stage: rows that stand there already, also those under
    another day.

    Of merged rows with one key the last one read stands.
    """
    sql = warehouse.sql_client
    table, stage = sql.make_qualified_table_name(piece.table), f"{piece.table}_stage"
    names, key = ", ".join(piece.columns), ", ".join(piece.key)
    same = " AND ".join(f"t.{name} = s.{name}" for name in ("_client_id", *piece.key))
    merged = piece.replaces == "keys"
    columns, kinds = (
        ((*piece.columns, ORDINAL), (*piece.kinds, "bigint"))
        if merged
        else (piece.columns, piece.kinds)
    )
    chosen = f"SELECT DISTINCT ON ({key}) {names} FROM {stage} ORDER BY {key}, {ORDINAL} DESC"
    sql.execute_sql(
        f"CREATE TEMP TABLE {stage} AS SELECT {names}, CAST(0 AS bigint) AS {ORDINAL} FROM {table}"
        " LIMIT 0"
    )
    copied = warehouse.copy_csv(stage, columns, kinds, piece.body, staged=True)
    expect_rows(piece.rows, copied, _subject(piece))
    sql.execute_sql(f"DELETE FROM {table} AS t USING {stage} AS s WHERE {same}")
    sql.execute_sql(
        f"INSERT INTO {table} ({names}) {chosen if merged else f'SELECT {names} FROM {stage}'}"
    )
    sql.execute_sql(f"DROP TABLE {stage}")


def _expect_each_key_once(warehouse: LoadWarehouse, piece: LoadSlice) -> None:
    """Raises RepeatedKeyError: DuckDB has no unique index that could refuse the second row."""
    sql = warehouse.sql_client
    where, parameters = _place(piece)
    repeated = sql.execute_sql(
        f"SELECT count(*) FROM (SELECT 1 FROM {sql.make_qualified_table_name(piece.table)}"
        f" {where.format(day=piece.day)} GROUP BY {', '.join(piece.key)} HAVING count(*) > 1) AS"
        " repeated",
        *parameters,
    )[0][0]
    if repeated:
        raise RepeatedKeyError(f"{_subject(piece)}: {repeated} keys came more than once")


def _counts(warehouse: LoadWarehouse, piece: LoadSlice) -> Mapping[str, int]:
    """How many rows the place of a slice has ("*"), and how many of them have a value of each
    needed figure.
    """
    if not piece.needed or piece.replaces == "keys":
        return {}
    where, parameters = _place(piece)
    counted = ", ".join(f"count({name})" for name in ("*", *piece.needed))
    found = warehouse.sql_client.execute_sql(
        f"SELECT {counted} FROM {warehouse.sql_client.make_qualified_table_name(piece.table)} "
        f"{where.format(day=piece.day)}",
        *parameters,
    )
    return dict(zip(("*", *piece.needed), found[0], strict=True))


def _expect_needed_figures(
    piece: LoadSlice, before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    """Raises VanishedFiguresError: absence is no value, and would be summed like zeros."""
    gone = [
        name
        for name in piece.needed
        if after.get("*") and not after[name] and before[name] == before["*"] > 0
    ]
    if gone:
        raise VanishedFiguresError(
            f"{_subject(piece)}: no row of the vendor's has {', '.join(gone)} any more that can be"
            " read, and each loaded one has: what is loaded stays. Did the vendor rename it, or"
            " write numbers in another way?"
        )


def _figures(warehouse: LoadWarehouse, piece: LoadSlice) -> Figures:
    """The loaded figures of the slice's days that were over when last read, by day and key."""
    if not (piece.finished_days and piece.figures and piece.day):
        return {}
    sql = warehouse.sql_client
    names = (piece.day, *(name for name in piece.key if name != piece.day))
    rows = sql.execute_sql(
        f"SELECT {', '.join((*names, *piece.figures))} FROM"
        f" {sql.make_qualified_table_name(piece.table)} WHERE _client_id = %s AND {piece.day}"
        " BETWEEN %s AND %s",
        piece.client_id,
        min(piece.finished_days),
        max(piece.finished_days),
    )
    split = len(names)
    return {
        tuple(row[:split]): dict(zip(piece.figures, row[split:], strict=True))
        for row in rows
        if row[0] in piece.finished_days
    }


def _note_restatements(
    warehouse: LoadWarehouse, piece: LoadSlice, before: Figures, after: Figures
) -> None:
    sql = warehouse.sql_client
    into = sql.make_qualified_table_name(RESTATEMENTS)
    names = [name for name in piece.key if name != piece.day]
    insert = (
        f"INSERT INTO {into} ({', '.join(RESTATEMENTS_COLUMNS)}) "
        f"VALUES ({', '.join(['%s'] * len(RESTATEMENTS_COLUMNS))})"
    )
    for place in sorted({*before, *after}, key=str):
        old, new = before.get(place), after.get(place)
        if old != new:
            key = ", ".join(f"{name}={value}" for name, value in zip(names, place[1:], strict=True))
            sql.execute_sql(
                insert,
                piece.client_id,
                piece.table,
                place[0],
                key,
                _changed(old, new),
                _changed(new, old),
                piece.read_at,
                piece.run_id,
            )


def _changed(figures: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> str | None:
    """Those figures that are not the same on the other side, as JSON; NULL when there is no row on
    this side.
    """
    if figures is None:
        return None
    return json.dumps(
        {
            name: _plain(value)
            for name, value in figures.items()
            if not other or other[name] != value
        }
    )


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _note_windows(warehouse: LoadWarehouse, piece: LoadSlice) -> None:
    sql = warehouse.sql_client
    into = sql.make_qualified_table_name(WINDOWS)
    statement = upsert(into, WINDOWS_COLUMNS, WINDOWS_KEY, kept=("read_cursor", "swept_at"))
    swept = piece.read_at if piece.replaces == "client" else None
    for day in piece.days:
        rows = (
            piece.client_id,
            piece.table,
            day,
            piece.rows_by_day.get(day, 0),
            piece.totals.get(day),
            piece.cursor,
            swept,
            piece.read_at,
            piece.run_id,
            piece.set_aside.get(day),
        )
        sql.execute_sql(statement, *rows)


def _subject(piece: LoadSlice) -> str:
    days: Sequence[Any] = piece.days
    return f"client {piece.client_id}: {piece.table} of {days[0]}" + (
        f" to {days[-1]}" if len(days) > 1 else ""
    )
