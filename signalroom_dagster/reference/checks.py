"""What must hold in one client's part of a reference table, asked of the database itself."""

from signalroom_dagster.reference.tables import qualified
from signalroom_dagster.reference_data import ReferenceSchema
from signalroom_dagster.warehouse.access import Query
from signalroom_dagster.warehouse.finding import Finding

SHOWN = 10


def key_unique(query: Query, schema: ReferenceSchema, client_id: str) -> Finding:
    """The client and the key name one row, and every row carries its client's tag."""
    key = ", ".join(f'"{name}"' for name in schema.key)
    repeated, untagged = query(
        f"SELECT (SELECT count(*) FROM (SELECT 1 FROM {qualified(schema.name)} WHERE client_id = %s"
        f" GROUP BY {key} HAVING count(*) > 1) r), (SELECT count(*) FROM {qualified(schema.name)}"
        " WHERE client_id = %s AND _client_id IS DISTINCT FROM client_id)",
        client_id,
        client_id,
    )[0]
    said = f"{repeated} keys name several rows; {untagged} rows without their client's tag"
    return Finding(
        not repeated and not untagged,
        said,
        {"repeated_keys": int(repeated), "rows_without_client": int(untagged)},
    )


def single_values(query: Query, schema: ReferenceSchema, client_id: str) -> Finding:
    """What a value belongs to is one thing: the schema's `single` says of which columns."""
    off: list[str] = []
    for name, owner in schema.single.items():
        found = query(
            f'SELECT "{name}" FROM {qualified(schema.name)} WHERE client_id = %s AND "{name}" IS'
            f' NOT NULL GROUP BY "{name}" HAVING count(DISTINCT "{owner}") > 1 ORDER BY "{name}"',
            client_id,
        )
        off += [f"{name} {value} stands under several values of {owner}" for (value,) in found]
    return Finding(
        not off, "; ".join(off[:SHOWN]) or "every value belongs to one thing", {"values": len(off)}
    )
