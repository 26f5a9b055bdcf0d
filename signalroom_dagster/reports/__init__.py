"""Reports: templates as folders, and what plans, fills, renders, keeps and delivers them.

Never here: a channel's API, Dagster. Commands and assets import it.
"""
