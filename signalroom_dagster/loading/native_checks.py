"""What must hold after a load of any dlt source: no key twice, and every value where it belongs.

Asked of the warehouse itself, of one client's rows.
"""

from signalroom_dagster.loading.shared_shapes import VARIANT
from signalroom_dagster.registry.catalog import table_facts
from signalroom_dagster.warehouse.access import Query
from signalroom_dagster.warehouse.finding import Finding

_COLUMNS = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s AND"
    " (table_name = %s OR starts_with(table_name, %s))"
)


def key_unique(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """The key that the settings name (`hints`) names one row."""
    key = table_facts(dataset)[table].key
    there = {
        column for name, column in query(_COLUMNS, dataset, table, f"{table}__") if name == table
    }
    if not key or not {*key} <= there:
        return Finding(True, "the settings name no key" if not key else "no row has a key yet")
    names = ", ".join(f'"{name}"' for name in key)
    twice = query(
        f"SELECT count(*) FROM (SELECT 1 FROM {dataset}.{table} WHERE _client_id = %s"
        f" GROUP BY {names} HAVING count(*) > 1) AS twice",
        client_id,
    )[0][0]
    return Finding(not twice, f"keys that name more than one row: {twice}", {"keys": int(twice)})


def types_agree(query: Query, dataset: str, table: str, client_id: str, run_id: str) -> Finding:
    """No value has another type than its column; one that has stands in a column beside it."""
    columns = [
        (name, column)
        for name, column in query(_COLUMNS, dataset, table, f"{table}__")
        if VARIANT in column
    ]
    found: list[str] = []
    for name, column in columns:
        rows = query(
            f'SELECT count(*) FROM {dataset}.{name} WHERE _client_id = %s AND "{column}" IS NOT'
            " NULL",
            client_id,
        )[0][0]
        if rows:
            base, _, kind = column.rpartition(VARIANT)
            found.append(f"{name}.{base}: {rows} values are {kind}, and stand in {column}")
    said = "; ".join(found) or "every value has its column's type"
    return Finding(not found, said)
