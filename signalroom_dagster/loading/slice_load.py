"""How one slice of a vendor's data takes the place of what was there: whole, or not at all.

One transaction: lock (client, table), see that no newer reading stands there, delete what the slice
replaces, copy its rows, note what changed on days that were over, write the days' rows in
`windows`. A run that is killed keeps the slices it committed, and the next attempt reads only the
others. Nothing here knows a vendor.
"""

import logging
from collections.abc import Mapping
from typing import Any

from signalroom_dagster.loading.courier import LoadClient
from signalroom_dagster.loading.restatements import loaded_figures, note_restatements
from signalroom_dagster.loading.slice_read import ReadSlice
from signalroom_dagster.logs import about
from signalroom_dagster.warehouse.bookkeeping import WINDOWS, WINDOWS_KEY, upsert
from signalroom_dagster.warehouse.errors import LoadError

log = logging.getLogger(__name__)

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


def load_slice(client: LoadClient, read: ReadSlice) -> None:
    """Load one slice; see the module's text for the guarantee.

    What is wrong with its table alone is noted in the context's `failures`, so that the other
    tables are loaded all the same. Raises what the database raises of anything else.
    """
    context, table = read.context, read.table.name
    client.renew_connection()
    try:
        with about(client=context.client_id, table=table), client.sql_client.begin_transaction():
            _replace(client, read)
        context.on_commit(table)
    except Exception as error:
        explained = client.explain(error, _subject(read))
        if not isinstance(explained, LoadError):  # says nothing of the other tables
            raise explained from None
        log.warning("%s; the other tables are loaded all the same", explained)
        context.failures.setdefault(table, explained)
    finally:
        read.body.unlink(missing_ok=True)


def _replace(client: LoadClient, read: ReadSlice) -> None:
    table, replaces = read.table, read.piece.replaces
    client.lock(f"{table.name}|{read.context.client_id}")
    if not _is_newest(client, read):
        log.info("%s: a later reading has just been loaded, left as it is", _subject(read))
        return
    before, counts = loaded_figures(client, read), _counts(client, read)
    if replaces != "keys":
        where, parameters = _place(read, table.day)
        client.sql_client.execute_sql(
            f"DELETE FROM {_qualified(client, read)} {where}", *parameters
        )
    if replaces == "client" or table.day in table.key:
        client.copy_whole(table.name, read.kinds, read.body, read.rows, _subject(read))
    else:
        _merge(client, read)
    if replaces != "keys":
        _expect_each_key_once(client, read)
    _expect_needed_figures(read, counts, _counts(client, read))
    note_restatements(client, read, before, loaded_figures(client, read))
    _note_windows(client, read)


def _qualified(client: LoadClient, read: ReadSlice) -> str:
    return client.sql_client.make_qualified_table_name(read.table.name)


def _place(read: ReadSlice, day: str | None) -> tuple[str, tuple[Any, ...]]:
    """What a slice takes the place of, as a condition on the column `day`, and its parameters."""
    client_id, days = read.context.client_id, read.piece.days
    if read.piece.replaces == "client":
        return "WHERE _client_id = %s", (client_id,)
    return f"WHERE _client_id = %s AND {day} BETWEEN %s AND %s", (client_id, days[0], days[-1])


def _is_newest(client: LoadClient, read: ReadSlice) -> bool:
    """Whether nobody has loaded these days from a later reading; raises NewerReadError when
    somebody has some.

    A table that is replaced whole is the same on every day: a later reading may stand under
    tomorrow, after midnight; for rows that are merged by key, a later one of the whole table
    counts, too. A reading from the future, by a machine whose clock was ahead, counts as none.
    """
    sql, piece, began = client.sql_client, read.piece, read.reading.began
    where, days = _place(read, "day")
    is_later = f"loaded_at > %s AND loaded_at <= {client.clock}"
    if piece.replaces == "keys":
        is_swept = f"swept_at > %s AND swept_at <= {client.clock}"
        where = f"{where} AND {is_later} OR _client_id = %s AND {is_swept}"
        values = (*days, began, read.context.client_id, began)
    else:
        where, values = f"{where} AND {is_later}", (*days, began)
    newer = sql.execute_sql(
        f"SELECT count(*) FROM (SELECT resource FROM {sql.make_qualified_table_name(WINDOWS)}"
        f" {where}) AS later WHERE resource = %s",
        *values,
        read.table.name,
    )[0][0]
    is_part = piece.replaces == "days" and newer < len(piece.days)
    if newer and (is_part or piece.replaces == "keys"):
        raise NewerReadError(
            f"{_subject(read)}: another run has loaded later rows since: it has to be read again"
        )
    return not newer


def _merge(client: LoadClient, read: ReadSlice) -> None:
    """Delete and insert by key through a stage: rows that stand there already, also those under
    another day.

    Of merged rows with one key the last one read stands.
    """
    sql, table = client.sql_client, _qualified(client, read)
    stage, is_numbered = f"{read.table.name}_stage", read.piece.replaces == "keys"
    names, key = ", ".join(read.kinds), ", ".join(read.table.key)
    same = " AND ".join(f"t.{name} = s.{name}" for name in ("_client_id", *read.table.key))
    last = f"SELECT DISTINCT ON ({key}) {names} FROM {stage} ORDER BY {key}, {ORDINAL} DESC"
    rows = last if is_numbered else f"SELECT {names} FROM {stage}"
    kinds = {**read.kinds, **({ORDINAL: "bigint"} if is_numbered else {})}
    sql.execute_sql(
        f"CREATE TEMP TABLE {stage} AS SELECT {names}, CAST(0 AS bigint) AS {ORDINAL} FROM {table}"
        " LIMIT 0"
    )
    client.copy_whole(stage, kinds, read.body, read.rows, _subject(read), staged=True)
    sql.execute_sql(f"DELETE FROM {table} AS t USING {stage} AS s WHERE {same}")
    sql.execute_sql(f"INSERT INTO {table} ({names}) {rows}")
    sql.execute_sql(f"DROP TABLE {stage}")


def _expect_each_key_once(client: LoadClient, read: ReadSlice) -> None:
    """Raises RepeatedKeyError: DuckDB has no unique index that could refuse the second row."""
    where, parameters = _place(read, read.table.day)
    repeated = client.sql_client.execute_sql(
        f"SELECT count(*) FROM (SELECT 1 FROM {_qualified(client, read)} {where} GROUP BY"
        f" {', '.join(read.table.key)} HAVING count(*) > 1) AS repeated",
        *parameters,
    )[0][0]
    if repeated:
        raise RepeatedKeyError(f"{_subject(read)}: {repeated} keys came more than once")


def _counts(client: LoadClient, read: ReadSlice) -> Mapping[str, int]:
    """How many rows the place of a slice has ("*"), and how many of them have a value of each
    needed figure.
    """
    if not read.table.needed or read.piece.replaces == "keys":
        return {}
    where, parameters = _place(read, read.table.day)
    names = ("*", *read.table.needed)
    counts = client.sql_client.execute_sql(
        f"SELECT {', '.join(f'count({name})' for name in names)} FROM {_qualified(client, read)}"
        f" {where}",
        *parameters,
    )
    return dict(zip(names, counts[0], strict=True))


def _expect_needed_figures(
    read: ReadSlice, before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    """Raises VanishedFiguresError: absence is no value, and would be summed like zeros."""
    gone = [
        name
        for name in read.table.needed
        if after.get("*") and not after[name] and before[name] == before["*"] > 0
    ]
    if gone:
        raise VanishedFiguresError(
            f"{_subject(read)}: no row of the vendor's has {', '.join(gone)} any more that can be"
            " read, and each loaded one has: what is loaded stays. Did the vendor rename it, or"
            " write numbers in another way?"
        )


def _note_windows(client: LoadClient, read: ReadSlice) -> None:
    sql, reading, piece = client.sql_client, read.reading, read.piece
    into = sql.make_qualified_table_name(WINDOWS)
    for day in piece.days:
        row = {
            "_client_id": read.context.client_id,
            "resource": read.table.name,
            "day": day,
            "rows": read.rows_by_day[day],
            "vendor_total": read.totals.get(day),
            "read_cursor": reading.cursor,
            "swept_at": reading.began if piece.replaces == "client" else None,
            "loaded_at": reading.began,
            "run_id": read.context.run_id,
            "set_aside": read.set_aside.get(day),
        }
        statement = upsert(into, row, WINDOWS_KEY, kept=("read_cursor", "swept_at"))
        sql.execute_sql(statement, *row.values())


def _subject(read: ReadSlice) -> str:
    """The client, the table and the days."""
    return f"client {read.context.client_id}: {read.table.name} of {read.piece.what}"
