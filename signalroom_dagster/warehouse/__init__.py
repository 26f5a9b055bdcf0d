"""The warehouse, Postgres or DuckDB, as SQL and transactions: access, locks, own tables, what a
load remembers in them.

Never here: a vendor, a client's settings, dlt. Everything above may import it.
"""
