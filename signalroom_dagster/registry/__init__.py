"""Who there is: clients with their sources, and every source with its settings and tables.

Never here: SQL, Dagster, what a load does. Everything above may import it, sources may not.
"""
