"""How Dagster runs here: launcher, queue and tags of runs, attempts, what is in flight.

Never here: assets, vendors, SQL. Only `defs` and `dagster.yaml` import it.
"""
