"""One load of one source for one client: its own pipeline, its own scratch folder, and what came of
it.
"""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signalroom_dagster import logs, sections
from signalroom_dagster.errors import WrongRequestError
from signalroom_dagster.loading import files, native, windowed
from signalroom_dagster.loading.context import LoadContext, Planned
from signalroom_dagster.loading.destinations import destination
from signalroom_dagster.loading.scratch import scratch_folder
from signalroom_dagster.loading.spans import Span, check_span
from signalroom_dagster.loading.table_shapes import fit_tables
from signalroom_dagster.naming import pipeline_name, staging_schema
from signalroom_dagster.reference.load import create_reference_tables, load_reference
from signalroom_dagster.registry import accounts, catalog
from signalroom_dagster.registry.clients import Client
from signalroom_dagster.registry.configured_sources import is_configured
from signalroom_dagster.registry.source_folders import is_windowed
from signalroom_dagster.retries import decide, repeated, root_error
from signalroom_dagster.warehouse.access import (
    Query,
    connected,
    create_own_tables,
    exclusive,
    held,
    kept_open,
    now,
    table_exists,
    told,
    wait_until_reachable,
)
from signalroom_dagster.warehouse.bookkeeping import kept_beside
from signalroom_dagster.warehouse.ledger import read_ledger
from signalroom_dagster.warehouse.migrations import OwnTable
from signalroom_dagster.warehouse.table_columns import read_table_columns
from signalroom_dagster.warehouse.windows import read_windows

if TYPE_CHECKING:
    from dlt import Pipeline
    from dlt.extract import DltSource

log = logging.getLogger(__name__)

WHOLE = Span()
"""No span asked for: the source chooses what to read."""


@dataclass(frozen=True, slots=True)
class Load:
    """A source opened for one client, and the pipeline to run it with; `failures` are known once it
    has run.
    """

    source: "DltSource"
    pipeline: "Pipeline"
    notes: Mapping[str, Mapping[str, str]]
    failures: Mapping[str, Exception]

    def check_failures(self) -> None:
        """Raises what went wrong with a single resource, after the others were loaded; what may
        pass comes first.
        """
        for error in sorted(
            self.failures.values(), key=lambda error: decide(error, 1).wait is None
        ):
            raise error


@contextmanager
def open_load(
    source: str,
    client: Client,
    run_id: str,
    span: Span = WHOLE,
    resources: Sequence[str] = (),
    on_commit: Callable[[str], None] = lambda table: None,
) -> Generator[Load]:
    """Open a source and a pipeline that nobody else shares; both end with the block.

    The caller holds `warehouse.exclusive()`. State is never resumed: the scratch folder is new each
    time, and what has been loaded is read from the warehouse. Raises ConfigurationError and
    DestinationUnreachableError.
    """
    import dlt

    module: Any = catalog.source_module(source)
    settings = accounts.settings_for(source, client)
    check_span(source, span, client)
    sections.anchor_dlt()
    scratch = scratch_folder(pipeline_name(source, client.id))
    with (
        _in_our_words(client, source),
        scratch as folder,
        kept_open(),
        closing(destination(staging_schema(source, client.id))) as warehouse,
        _held(source, client) as check,
    ):
        complete_own_tables(source)
        unfit = fit_tables(source)
        with connected() as query:
            context = _context(source, client, run_id, folder, query, span)
        context = replace(context, failures=dict(unfit), on_commit=on_commit)
        warehouse.courier = context.courier
        pipeline = dlt.pipeline(
            pipeline_name(source, client.id) + ("__days" if span.is_asked else ""),
            pipelines_dir=str(folder / "dlt"),
            destination=warehouse,
            dataset_name=source,
        )
        try:
            with (
                logs.about(client=client.id, source=source, run_id=run_id),
                _opened(client, module, settings, context, resources) as opened,
            ):
                if is_configured(module):
                    warehouse.load = native.staged_load(context, opened, check)
                    # days that are read again leave it as it is where the next load goes on
                    pipeline.config.restore_from_destination = not span.is_asked
                yield Load(opened, pipeline, context.notes, context.failures)
        finally:
            pipeline.deactivate()


@contextmanager
def _in_our_words(client: Client, source: str) -> Generator[None]:
    """Tell a driver's error, and a full disk of this machine, with client and source; what is told
    already stays.
    """
    try:
        yield
    except Exception as error:
        root = root_error(error)
        if (ours := told(root, f"client {client.id}, source {source}")) is root:
            raise
        raise ours from None


def run_load(
    source: str,
    client: Client,
    run_id: str,
    resources: Sequence[str] = (),
    span: Span = WHOLE,
    on_commit: Callable[[str], None] = lambda table: None,
) -> None:
    """One attempt without Dagster: waits for the warehouse, then loads.

    Raises ConfigurationError for an unknown resource, and what the load raises.
    """
    wait_until_reachable(log.warning)
    if catalog.is_reference(source):
        with exclusive():
            load_reference(source, client)
        return
    with exclusive(), open_load(source, client, run_id, span, resources, on_commit) as load:
        known = list(load.source.resources)
        if unknown := [name for name in resources if name not in known]:
            raise WrongRequestError(
                f"{source} of client {client.id} has no resource {', '.join(unknown)} (there are:"
                f" {', '.join(known)})"
            )
        load.pipeline.run(load.source.with_resources(*resources) if resources else load.source)
        load.check_failures()


def run_with_retries(
    source: str,
    client: Client,
    run_id: str,
    resources: Sequence[str] = (),
    span: Span = WHOLE,
    on_commit: Callable[[str], None] = lambda table: None,
) -> None:
    """Load, and try again as `retries` says. Raises the last attempt's error."""
    load = partial(run_load, source, client, run_id, resources, span, on_commit)
    repeated(load, f"client {client.id}, source {source}")


def preview_load(
    source: str,
    client: Client,
    resources: Sequence[str] = (),
    span: Span = WHOLE,
    run_id: str = "preview",
) -> list[Planned]:
    """What a load would do now, and why; loads nothing. Raises ConfigurationError as the load
    would.

    What `run_id` has committed already is left out.
    """
    check_span(source, span, client)
    if catalog.is_reference(source):
        with exclusive():
            differences = load_reference(source, client, dry_run=True)
        return [Planned(found.table, found.summary, "as the file says") for found in differences]
    with (
        exclusive(),
        connected() as query,
        scratch_folder(pipeline_name(source, client.id)) as folder,
    ):
        if any(table_exists(query, source, table.own_name) for table in own_tables(source)):
            complete_own_tables(source)
        module, settings = catalog.source_module(source), accounts.settings_for(source, client)
        context = _context(source, client, run_id, folder, query, span)
        planned = _previewed(client, module, settings, context)
        return [item for item in planned if not resources or item.resource in resources]


@contextmanager
def _held(source: str, client: Client) -> Generator[Callable[[], object]]:
    """Hold off other loads of a client's source that is loaded whole or not at all."""
    if not is_configured(catalog.source_module(source)):
        yield lambda: None
        return
    with held(f"{source}|{client.id}|native") as check:
        yield check


@contextmanager
def _opened(
    client: Client, module: Any, settings: Any, context: LoadContext, resources: Sequence[str]
) -> Generator["DltSource"]:
    if is_configured(module):
        with native.opened(module, client, resources, context.span, context.today) as opened:
            yield opened
    else:
        yield _lane(module).open_source(module, settings, context)


def _previewed(client: Client, module: Any, settings: Any, context: LoadContext) -> list[Planned]:
    if not is_configured(module):
        return [*_lane(module).preview(module, settings, context)]
    with native.opened(module, client, (), context.span, context.today) as opened:
        return [*native.preview(opened)]


def _lane(module: Any) -> Any:
    """The module that opens and previews a source's loads."""
    return windowed if is_windowed(module) else files


def create_tables(source: str) -> None:
    """Every table that a source declares, empty and typed, where it is not there yet."""
    if catalog.is_reference(source):
        create_reference_tables(source)
        return
    schema = catalog.known_outline(source).discover_schema()
    schema._bump_version()  # pyright: ignore[reportPrivateUsage]  # dlt stores no schema that is not marked complete
    with exclusive(), closing(destination()) as warehouse:
        fit_tables(source)
        dataset = warehouse.spec()._bind_dataset_name(source)  # pyright: ignore[reportPrivateUsage]
        with warehouse.client(schema, dataset) as client:
            client.initialize_storage()
            if is_configured(catalog.source_module(source)):
                client.create_declared()
            else:
                client.update_stored_schema()
            client.secure_tables()
        complete_own_tables(source)


def complete_own_tables(source: str) -> None:
    """What the tables that loads keep in a source's schema lack, of an earlier release too."""
    create_own_tables(source, own_tables(source))


def own_tables(source: str) -> Sequence[OwnTable]:
    """The tables that loads keep beside a source's data."""
    return kept_beside((facts.load or "" for facts in catalog.table_facts(source).values()), source)


def _context(
    source: str, client: Client, run_id: str, folder: Path, query: Query, span: Span
) -> LoadContext:
    return LoadContext(
        client_id=client.id,
        source=source,
        zone=client.zone,
        currency=client.currency,
        start_date=client.start_date,
        run_id=run_id,
        work_dir=folder,
        ledger=read_ledger(query, source, client.id),
        tables=read_table_columns(
            query, source, client.id, catalog.tables_loaded_by(source, "files")
        ),
        windows=read_windows(query, source, client.id),
        started_at=now(query),
        span=span,
    )
