"""What the CLI tells about clients and their sources: how fresh each is, and whether it could load."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from signalroom_dagster import config
from signalroom_dagster.clients import Client, load_clients
from signalroom_dagster.loading import catalog
from signalroom_dagster.loading.errors import DestinationUnreachableError
from signalroom_dagster.loading.tables import LEDGER
from signalroom_dagster.loading.warehouse import connected, exclusive, table_exists


@dataclass(frozen=True, slots=True)
class SourceFreshness:
    """How much of a source a client has, and since when; `loaded_at` is None before the first load."""

    client: Client
    source: str
    files: int = 0
    rows: int = 0
    loaded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that `doctor` looked at."""

    subject: str
    what: str
    problem: str | None
    blocks: bool = True


def freshness() -> Iterator[SourceFreshness]:
    """Every client's sources, with what the ledgers say. Raises DestinationUnreachableError."""
    with exclusive(), connected() as query:
        ledgers = {name for name in catalog.source_names() if table_exists(query, name, LEDGER)}
        for client in load_clients().values():
            for source in client.sources:
                if source not in ledgers:
                    yield SourceFreshness(client, source)
                    continue
                counted = query(
                    f"SELECT count(*), coalesce(sum(rows_loaded), 0), max(_loaded_at) FROM {source}.{LEDGER} "
                    "WHERE _client_id = %s",
                    client.id,
                )
                files, rows, loaded_at = counted[0]
                yield SourceFreshness(client, source, int(files), int(rows), loaded_at)


def diagnose(only: str | None = None) -> Iterator[Diagnosis]:
    """Look at the destination, then at each client's sources, without loading anything.

    A problem of a planned client is named but blocks nothing.
    """
    yield _diagnose_destination()
    for client in load_clients().values():
        if only in (None, client.id):
            for source in client.sources:
                yield _diagnose_source(client, source)


def _diagnose_destination() -> Diagnosis:
    name = config.destination_name()
    try:
        with exclusive(), connected():
            return Diagnosis("warehouse", f"{name} answers", None)
    except (config.ConfigurationError, DestinationUnreachableError) as error:
        return Diagnosis("warehouse", name, str(error))


def _diagnose_source(client: Client, source: str) -> Diagnosis:
    subject, blocks = f"{client.id}/{source}", client.status == "active"
    try:
        resources = catalog.listing_digests(source, client)
    except Exception as error:  # whatever the client's storage raises is what doctor is here to tell
        return Diagnosis(subject, "configured and reachable", f"{type(error).__name__}: {error}", blocks)
    return Diagnosis(subject, f"reachable: {', '.join(resources)}", None, blocks)
