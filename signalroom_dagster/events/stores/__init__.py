"""Where events wait: one interface, on SQLite and on Postgres."""
