"""What a store's tables are made with, statement by statement, so that opening a store runs what is missing and nothing
else: DDL waits behind whoever reads, and whatever is to be written then waits behind the DDL.
"""

import re
from collections.abc import Collection, Iterator
from functools import cache
from importlib.resources import files

_CREATES = re.compile(r"CREATE (?:SCHEMA|TABLE|INDEX) IF NOT EXISTS (?:\w+\.)?(\w+)")


def missing(engine: str, existing: Collection[str]) -> Iterator[str]:
    """The statements of `<engine>.sql` for what is not among the existing names of schema, tables and indexes."""
    name = ""
    for statement in _statements(engine):
        created = _CREATES.match(statement)
        name = created[1] if created else name  # another statement goes with what was created before it
        if name not in existing:
            yield statement


@cache
def _statements(engine: str) -> tuple[str, ...]:
    script = files("signalroom_dagster.events.stores").joinpath(f"{engine}.sql").read_text("utf-8")
    plain = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    return tuple(statement.strip() for statement in plain.split(";") if statement.strip())
