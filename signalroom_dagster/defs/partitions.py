"""Partitions: one per client, and nothing else. A date window is run configuration, not a second dimension.

https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
"""

import dagster as dg

from signalroom_dagster.clients import clients_of


def client_partitions(source: str) -> dg.StaticPartitionsDefinition:
    """The clients that use a source, planned ones included."""
    return dg.StaticPartitionsDefinition([client.id for client in clients_of(source)])
