"""What clients, settings, templates and models declare, as far as it cannot be read: each is set
aside, all else runs.

Nothing here opens a connection, tells a secret, or raises for what a person has written.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.events.contracts import contract_of
from signalroom_dagster.freshness.ages import Expected
from signalroom_dagster.modeling.sql import refused_models
from signalroom_dagster.registry import accounts, catalog
from signalroom_dagster.registry.cadences import refused_cadences
from signalroom_dagster.registry.clients import Client, load_clients, unreadable_clients
from signalroom_dagster.registry.source_folders import refused_sources
from signalroom_dagster.reports.subscriptions import refused_reports
from signalroom_dagster.sections import unreadable_settings, wrong_settings
from signalroom_dagster.set_aside import SetAside


def set_aside() -> list[SetAside]:
    """Everything that is left out, in order of what it is."""
    found = [
        SetAside(f"client {client}", problem, client)
        for client, problem in unreadable_clients().items()
    ]
    for client in load_clients().values():
        found.extend(_of_client(client))
    for source in catalog.source_names():
        found.extend(_of_source(source))
    found.extend(
        SetAside(f"file {name}", problem) for name, problem in unreadable_settings().items()
    )
    found.extend(SetAside(f"source {name}", problem) for name, problem in refused_sources().items())
    found.extend(
        SetAside(f"model {'.'.join(name)}", problem) for name, problem in refused_models().items()
    )
    return sorted(found)


def problems() -> list[SetAside]:
    """What is set aside, and what a run would find out of it: SQL that cannot be planned, texts
    that are not Jinja.

    Reads reference files, too; takes a second or two, and needs no database.
    """
    from signalroom_dagster.modeling.planning import declared_warehouse, plan_models
    from signalroom_dagster.reports.planning import plan_reports

    found = set_aside()
    with declared_warehouse() as query:
        found.extend(
            SetAside(f"model {'.'.join(name)}", problem)
            for name, problem in plan_models(query).items()
        )
        found.extend(
            SetAside(subject, problem, client) for client, subject, problem in plan_reports(query)
        )
    for source in catalog.reference_sources():
        for client in load_clients().values():
            if client.status == "active" and source in client.sources:
                found.extend(_of_reference(source, client))
    return sorted(set(found))


def _of_reference(source: str, client: Client) -> Iterator[SetAside]:
    try:
        accounts.probe(source, client)
    except ConfigurationError as error:
        yield SetAside(f"source {source}", str(error), client.id)


def _of_client(client: Client) -> Iterator[SetAside]:
    file, known = f"data/clients/{client.id}/client.toml", catalog.source_names()
    for name in client.sources:
        if name not in known:
            problem = f"{file}: sources: no source {name!r} (there are: {', '.join(known)})"
            yield SetAside(f"source {name}", problem, client.id)
    for name in client.notify_on_success:
        if name not in client.sources:
            yield SetAside(
                "notify_on_success",
                f"{file}: notify_on_success: {name!r} is not in `sources`",
                client.id,
            )
    for name, problem in refused_reports(client).items():
        yield SetAside(f"report {name}", problem, client.id)
    try:
        if client.analysis:
            contract_of(client.id, client.analysis)
    except ConfigurationError as error:
        yield SetAside("analysis", str(error), client.id)


def _of_source(source: str) -> Iterator[SetAside]:
    for name, problem in refused_cadences(source).items():
        yield SetAside(f"schedule {source} {name}", problem)
    left_out, model = catalog.left_out(source), catalog.source_module(source).Settings
    for client in load_clients().values():
        if source in client.sources:
            problem = left_out.get(client.id) or _wrong(source, model, client)
            if problem:
                yield SetAside(f"source {source}", problem, client.id)


def _wrong(source: str, model: type[BaseModel], client: Client) -> str:
    """What a load of a client's source would refuse in what is configured of it; what is missing is
    no mistake yet.
    """
    try:
        accounts.check_shared(source, client)
        problems: list[Any] = [
            wrong_settings(kind, source, client.id) for kind in (model, Expected)
        ]
        return "; ".join(filter(None, problems))
    except ConfigurationError as error:
        return str(error)
