"""Dagster's nouns, one module each: assets, partitions, checks, jobs, schedules, sensors,
resources.

Never here: SQL, vendors, how runs are launched (`platform`). Only `definitions` imports it.
"""
