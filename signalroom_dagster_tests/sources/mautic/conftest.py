"""A client with a Mautic of its own, read into either warehouse or only into DuckDB."""

from collections.abc import Iterator

import pytest

from signalroom_dagster.sandbox import mautic
from signalroom_dagster.sandbox.mautic_data import MauticInstance
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.mautic.instances import configure, instance_of


@pytest.fixture
def instance() -> MauticInstance:
    return instance_of("713")


@pytest.fixture
def other() -> MauticInstance:
    return instance_of("cti")


@pytest.fixture
def server(instance: MauticInstance, other: MauticInstance) -> Iterator[VendorServer]:
    with serve(mautic.routes([instance, other])) as server:
        yield server


@pytest.fixture
def vendor(any_warehouse: Project, server: VendorServer, instance: MauticInstance) -> VendorServer:
    configure(any_warehouse, server, instance)
    return server


@pytest.fixture
def duck(project: Project, server: VendorServer, instance: MauticInstance) -> VendorServer:
    """The same with DuckDB only, for what does not touch the warehouse's own ways."""
    configure(project, server, instance)
    return server
