"""SignalRoom: each client's marketing data in one warehouse, as Dagster assets."""
