"""Every name that two parts of the system must agree on: pipelines, schemas, tables, columns, asset keys.

Client ids and prefixes reach SQL and paths only through here.
"""

import re
from collections.abc import Iterable

CLIENT_ID = re.compile(r"^[a-z0-9](?:[a-z0-9]|_(?!_))*\Z")
"""A client id: lower case, no double underscore (dlt's separator), safe in paths, names and SQL literals."""

SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
"""Columns that every table of Postgres has already: no other one can have such a name."""

_NOT_WORD = re.compile(r"[^a-zA-Z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])")
_LIMIT = 63  # Postgres cuts identifiers there
_LONGEST = 60  # room for a suffix that keeps names apart


def pipeline_name(source: str, client_id: str) -> str:
    """One dlt pipeline per source and client: a shared one would mix two clients' states."""
    return f"{source}__{client_id}"


def snake_case(name: str) -> str:
    """`Click ID` -> `click_id`, `orders-create` -> `orders_create`; a leading digit gets an underscore."""
    words = _NOT_WORD.sub("_", _HUMP.sub("_", name.strip())).strip("_").lower()
    return (f"_{words}" if words[:1].isdigit() else words)[:_LONGEST].rstrip("_")


def column_names(header: Iterable[str], reserved: Iterable[str] = ()) -> list[str]:
    """One distinct snake_case column per header cell: blank ones are numbered, repeated ones get a suffix."""
    taken = set(reserved)
    copies: dict[str, int] = {}
    names: list[str] = []
    for position, cell in enumerate(header, start=1):
        wanted = name = snake_case(cell) or f"column_{position}"
        while name in taken:
            copies[wanted] = copies.get(wanted, 1) + 1
            suffix = f"_{copies[wanted]}"
            name = wanted[: _LIMIT - len(suffix)].rstrip("_") + suffix
        taken.add(name)
        names.append(name)
    return names
