"""From a complete job's events to its row in the warehouse: pure steps, and the drain that does
them.

Never here: HTTP, Dagster. Commands and assets import it.
"""
