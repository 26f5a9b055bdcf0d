"""The windowed lane: what is due of each table of a dlt source, read from its own resources, each
slice loaded in one transaction.

The source stays as it is: it is opened with the client's settings as its plain arguments, and its
resources are called with the days of one slice. Around them stand the plan (`plan`), the vendor's
totals (`totals`), and the transaction (`slice_load`).
"""

import inspect
import logging
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from dlt.extract import DltResource, DltSource
from dlt.extract.exceptions import ResourceExtractionError
from pydantic import BaseModel, SecretStr

from signalroom_dagster.loading.context import LoadContext, Planned
from signalroom_dagster.loading.courier import LoadClient
from signalroom_dagster.loading.plan import Plan, Slice, planned, slices_due
from signalroom_dagster.loading.slice_load import load_slice
from signalroom_dagster.loading.slice_read import read_slice
from signalroom_dagster.registry.client_words import said_of_client
from signalroom_dagster.registry.outlines import outline, slices_resource
from signalroom_dagster.registry.source_folders import described_tables
from signalroom_dagster.sources.http import VendorDataError, VendorError, VendorUnreachableError
from signalroom_dagster.sources.resources import Reading
from signalroom_dagster.sources.tables import Row, Table

log = logging.getLogger(__name__)

OF_THE_ACCOUNT = (401, 429)
"""Refusals that meet every table of an account alike: asking on would only be refused again."""


def open_source(module: Any, settings: BaseModel, context: LoadContext) -> DltSource:
    """The client's slices of a source, to be run in a pipeline; asks nothing until they are
    loaded.
    """
    context = _in_zone(settings, context)
    due = plans(module, settings, context)
    tables = described_tables(module, [settings])
    resources = [slice_resource(table, due[name], context) for name, table in tables.items()]
    return outline(context.source, "slices", resources)


def preview(module: Any, settings: BaseModel, context: LoadContext) -> Iterator[Planned]:
    """The days that a load would read, and the lists."""
    context = _in_zone(settings, context)
    return planned(plans(module, settings, context), context)


def slice_resource(table: Table, plan: Plan, context: LoadContext) -> DltResource:
    """One table's slices as tickets."""

    def tickets() -> Iterator[Any]:
        work = [partial(_read_and_load, table, piece, context) for piece in plan()]
        for each in work or [_nothing]:  # something, so that the table comes to be
            yield context.offered(each)

    return slices_resource(table, tickets)


def _nothing(client: LoadClient) -> None:
    """No slice to load."""


def _read_and_load(table: Table, piece: Slice, context: LoadContext, client: LoadClient) -> None:
    """Load a slice, or leave it for the next attempt when another one of its table has failed in
    this.

    What is wrong with one table does not keep the others from being loaded; what is wrong with the
    account does.
    """
    if table.name in context.failures:
        return
    try:
        read = read_slice(table, piece, context)
    except (VendorDataError, VendorError, VendorUnreachableError) as error:
        if getattr(error, "status", None) in OF_THE_ACCOUNT:
            raise
        # the first of those that are read at once
        if context.failures.setdefault(table.name, error) is error:
            log.warning("%s; its other slices wait for the next attempt", error)
        return
    load_slice(client, read)


def _in_zone(settings: BaseModel, context: LoadContext) -> LoadContext:
    """The context with the days of the zone that the account's reports are read in, where that is
    not the client's.
    """
    zone: str | None = getattr(settings, "timezone", None)
    return replace(context, zone=ZoneInfo(zone)) if zone else context


def plans(module: Any, settings: BaseModel, context: LoadContext) -> Mapping[str, Plan]:
    """What is due of each table, once it is asked; days are those of the context's zone."""
    source = getattr(module, context.source)
    arguments = _arguments(inspect.signature(source).parameters, settings, context)
    with said_of_client(context.source, context.client_id, list(arguments)):
        opened: DltSource = source(**arguments)
    due: dict[str, Plan] = {}
    for name, table in described_tables(module, [settings]).items():
        read = partial(_rows, opened.resources[name], context, list(arguments))
        due[name] = partial(slices_due, table, read, settings, context)
    return due


def _arguments(
    names: Mapping[str, inspect.Parameter], settings: BaseModel, context: LoadContext
) -> dict[str, Any]:
    """What a source function is given: the client's settings by name, and what a client's own
    reports are counted in, and the time by the warehouse's clock.

    The days that a run is asked for are given, too; those of one slice are its resource's. What the
    settings leave open is given as the function has it by default: dlt would look for it in
    settings that clients share.
    """
    clients = {
        "since": context.span.since,
        "until": context.span.until,
        "timezone": context.zone.key,
        "currency": context.currency,
        "now": context.started_at,
    }
    defaults = {name: parameter.default for name, parameter in names.items()}
    given = {
        **defaults,
        **clients,
        **{name: value for name, value in settings if value is not None},
    }
    if context.span.lookback_days is not None:
        given["lookback_days"] = context.span.lookback_days
    return {name: _plain(given[name]) for name in names}


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _rows(
    resource: DltResource,
    context: LoadContext,
    arguments: list[str],
    reading: Reading,
    **window: Any,
) -> Iterator[Row]:
    with said_of_client(context.source, context.client_id, arguments), _apart():
        failure: BaseException | None = None
        try:
            yield from resource(**window, reading=reading)
        except ResourceExtractionError as error:
            failure = error.__cause__ or error
        # raised out here: dlt's wrapper, whose cause it is, would become its context, and that a
        # circle
        if failure:
            raise failure


@contextmanager
def _apart() -> Generator[None]:
    """Read a resource in a context of its own: dlt's pool threads, told by their names, share one,
    which two resources that are read at once would mangle.
    """
    thread = threading.current_thread()
    name, thread.name = thread.name, f"reading-{thread.name}"
    try:
        yield
    finally:
        thread.name = name
