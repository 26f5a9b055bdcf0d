"""What `signalroom doctor` looks at: settings, the warehouse, its tables, clients' accounts."""

from collections.abc import Iterator
from typing import Any

from signalroom_dagster import config
from signalroom_dagster.doctor.inspection import Diagnosis, inspect
from signalroom_dagster.doctor.unread_settings import unread_settings
from signalroom_dagster.loading import native
from signalroom_dagster.registry import accounts, catalog
from signalroom_dagster.registry.clients import Client, load_clients
from signalroom_dagster.registry.configured_sources import is_configured
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.errors import DestinationUnreachableError


def diagnose(only: str | None = None) -> Iterator[Diagnosis]:
    """Look at settings, the warehouse, its tables and each client's sources; load nothing.

    A problem of a planned client is named but blocks nothing.
    """
    for where, problem in unread_settings():
        yield Diagnosis(where, "", problem, blocks=False)
    yield (answer := _diagnose_destination())
    if not answer.problem:
        with access.exclusive(), access.connected() as query:
            yield from inspect(query, only)
    for client in load_clients().values():
        if only in (None, client.id):
            for source in client.sources:
                yield _diagnose_source(client, source)


def _diagnose_destination() -> Diagnosis:
    name = config.destination_name()
    try:
        with access.exclusive(), access.connected():
            return Diagnosis("warehouse", f"{name} answers", None)
    except (config.ConfigurationError, DestinationUnreachableError) as error:
        return Diagnosis("warehouse", name, str(error))


def _diagnose_source(client: Client, source: str) -> Diagnosis:
    subject, blocks = f"{client.id}/{source}", client.status == "active"
    try:
        module: Any = catalog.source_module(source)
        said = (
            native.probe(module, client)
            if is_configured(module)
            else accounts.probe(source, client)
        )
    except Exception as error:  # whatever the client's account raises is the answer
        is_ours = isinstance(error, config.ConfigurationError)
        said = f"{error}" if is_ours else f"{type(error).__name__}: {error}"
        return Diagnosis(subject, "configured and reachable", said, blocks, waits=not blocks)
    return Diagnosis(subject, f"reachable: {said}", None)
