"""Loads: pipelines, the jobs that put one file or one slice into the warehouse whole, and their
checks.

Never here: knowledge of a vendor, Dagster. Commands and assets import it.
"""
