"""Dagster resources. Secrets are not resources here: they are read where a source is opened, and
never shown.

https://docs.dagster.io/guides/build/external-resources
"""

from dagster_dlt import DagsterDltResource

RESOURCES = {"dlt": DagsterDltResource()}
