"""The warehouse as SQL and transactions: one way to use it, two engines, our own tables in it.

Never here: a vendor, a client's settings, dlt. Everything above may import it; whether it is
Postgres or DuckDB only `engine` asks.
"""
