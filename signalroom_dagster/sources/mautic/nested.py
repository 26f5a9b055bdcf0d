"""What Mautic nests in a row: collections of several forms, entities by id or whole, and which of
it may be stored.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def entries(collection: Any) -> list[Any]:
    """A nested collection as a list: it comes as one, as an object by id or by number, or not at
    all.
    """
    if isinstance(collection, Mapping):
        return list(collection.values())
    return collection if isinstance(collection, list) else []


def picked(collection: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """The entries of a collection with these of their values, where they have one."""
    return [
        {name: entry[name] for name in names if entry.get(name) is not None}
        for entry in entries(collection)
        if isinstance(entry, Mapping)
    ]


def id_of(entry: Any) -> int | None:
    """The id of an entity that is named by it or stands there whole."""
    found = entry.get("id") if isinstance(entry, Mapping) else entry
    return int(found) if isinstance(found, str | int) and str(found).isdecimal() and found else None
