"""One load of one source for one client: its own pipeline, its own scratch folder, and what came of it."""

import logging
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from signalroom_dagster import config
from signalroom_dagster.clients import Client
from signalroom_dagster.loading import catalog
from signalroom_dagster.loading.warehouse import connected, read_ledger
from signalroom_dagster.naming import pipeline_name
from signalroom_dagster.sources.context import SourceContext

if TYPE_CHECKING:
    from dlt import Pipeline
    from dlt.extract import DltSource

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Load:
    """A source opened for one client, and the pipeline to run it with."""

    source: "DltSource"
    pipeline: "Pipeline"


@contextmanager
def open_load(source: str, client: Client, run_id: str) -> Iterator[Load]:
    """Open a source and a pipeline that nobody else shares; both end with the block.

    The caller holds `warehouse.exclusive()`. State is never resumed: the scratch folder is new each time, and what
    has been loaded is read from the warehouse. Raises ConfigurationError and DestinationUnreachableError.
    """
    import dlt

    settings = catalog.settings_for(source, client)
    config.anchor_dlt()
    with connected() as query:
        ledger = read_ledger(query, source, client.id)
    with scratch_folder(pipeline_name(source, client.id)) as folder:
        context = SourceContext(
            client_id=client.id,
            zone=client.zone,
            run_id=run_id,
            work_dir=folder,
            ledger=ledger,
            started_at=datetime.now(UTC),
        )
        pipeline = dlt.pipeline(
            pipeline_name(source, client.id),
            pipelines_dir=str(folder / "dlt"),
            destination=destination(),
            dataset_name=source,
        )
        try:
            yield Load(catalog.source_module(source).open_source(settings, context), pipeline)
        finally:
            pipeline.deactivate()


def run_load(source: str, client: Client, run_id: str, resources: Sequence[str] = ()) -> None:
    """Load once, without Dagster. Raises ConfigurationError for an unknown resource, and what the load raises."""
    with open_load(source, client, run_id) as load:
        known = list(load.source.resources)
        if unknown := [name for name in resources if name not in known]:
            raise config.ConfigurationError(
                f"{source} of client {client.id} has no resource {', '.join(unknown)} (there are: {', '.join(known)})"
            )
        chosen = load.source.with_resources(*resources) if resources else load.source
        load.pipeline.run(chosen)


def destination() -> Any:
    """The configured warehouse as a dlt destination."""
    if config.destination_name() == "duckdb":
        from signalroom_dagster.loading.duckdb import SignalRoomDuckDb

        return SignalRoomDuckDb(credentials=str(config.duckdb_path()), destination_name="duckdb")
    from signalroom_dagster.loading.postgres import SignalRoomPostgres

    return SignalRoomPostgres(credentials=config.postgres_url(), destination_name="postgres")


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A new folder for one run, removed at its end; folders that killed runs left behind are removed first."""
    base = config.work_dir() / name
    base.mkdir(parents=True, exist_ok=True)
    for left in base.iterdir():
        _remove_if_abandoned(left)
    folder = base / uuid.uuid4().hex
    folder.mkdir()
    with FileLock(folder / ".lock"):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        with FileLock(folder / ".lock", timeout=0):
            log.info("removing what an interrupted run left in %s", folder.name)
            shutil.rmtree(folder, ignore_errors=True)
    except (Timeout, OSError):
        return
