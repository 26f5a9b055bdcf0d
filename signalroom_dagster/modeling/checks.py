"""The checks of a SQL model: SELECTs of offending rows beside it in `<table>.checks.sql`.

A check begins with a line `-- fail name: what must hold` or `-- warn name: …`; the SQL is that of
the models.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, cast

from signalroom_dagster.config import destination_name
from signalroom_dagster.modeling.runs import create_read_tables
from signalroom_dagster.modeling.sql import TableName, limited_text, models, parsed
from signalroom_dagster.warehouse.access import connected
from signalroom_dagster.warehouse.finding import Finding

SHOWN = 10
_HEAD = re.compile(r"^-- (fail|warn) ([a-z][a-z0-9_]*): *(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """One check: its name, whether a row fails or warns, what must hold, and the SELECT."""

    name: str
    severity: Literal["fail", "warn"]
    holds: str
    sql: str


@functools.cache
def checks_of(model: TableName) -> Mapping[str, ModelCheck]:
    """The checks of a model, by name; none when there is no file of them."""
    file = files("signalroom_dagster.models").joinpath(model[0]).joinpath(f"{model[1]}.checks.sql")
    if not file.is_file():
        return {}
    parts = _HEAD.split(file.read_text("utf-8-sig"))
    heads = zip(parts[1::4], parts[2::4], parts[3::4], parts[4::4], strict=True)
    return {
        name: ModelCheck(name, cast("Literal['fail', 'warn']", severity), holds, sql)
        for severity, name, holds, sql in heads
    }


def run_checks(model: TableName, client_id: str, names: Sequence[str]) -> Mapping[str, Finding]:
    """What some checks of a model find for one client. The caller holds `warehouse.exclusive()`."""
    create_read_tables(models()[model])
    dialect, found = destination_name(), dict[str, Finding]()
    with connected() as query:
        for name in names:
            check = checks_of(model)[name]
            sql = limited_text(check.sql, dialect)
            rows = query(f"SELECT * FROM ({sql}) AS offending", *[client_id] * sql.count("%s"))
            found[name] = _finding(check, rows)
    return found


def _finding(check: ModelCheck, rows: Sequence[Sequence[object]]) -> Finding:
    columns = parsed(check.sql).named_selects if rows else []
    told = [
        ", ".join(f"{name} {value}" for name, value in zip(columns, row, strict=True))
        for row in rows[:SHOWN]
    ]
    return Finding(not rows, "; ".join(told) or check.holds, {"offending_rows": len(rows)})
