"""Partitions: one per client, and nothing else. A date window is run configuration, not a second
dimension.

https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
"""

import dagster as dg

from signalroom_dagster.registry.clients import clients_of, load_clients


def client_partitions(source: str) -> dg.StaticPartitionsDefinition:
    """The clients that use a source, planned ones included."""
    return dg.StaticPartitionsDefinition([client.id for client in clients_of(source)])


def all_clients() -> dg.StaticPartitionsDefinition:
    """Every client: for models and reports, which take what a client has."""
    return dg.StaticPartitionsDefinition(list(load_clients()))
