"""A client with a Mautic of its own, read into either warehouse or only into DuckDB.

One server serves every test; what it tells of is made anew for each.
"""

from collections.abc import Iterator

import pytest

from signalroom_dagster.sandbox import mautic
from signalroom_dagster.sandbox.mautic_data import MauticInstance
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.mautic.instances import configure, instance_of

SERVED = {client_id: instance_of(client_id) for client_id in ("713", "cti")}


@pytest.fixture(scope="package")
def running() -> Iterator[VendorServer]:
    with serve(mautic.routes(SERVED.values())) as server:
        yield server


@pytest.fixture
def server(running: VendorServer) -> VendorServer:
    """The server as if it had just been started."""
    for client_id, served in SERVED.items():
        vars(served).update(vars(instance_of(client_id)))
    running.requests.clear()
    running.faults.clear()
    return running


@pytest.fixture
def instance(server: VendorServer) -> MauticInstance:
    return SERVED["713"]


@pytest.fixture
def other(server: VendorServer) -> MauticInstance:
    return SERVED["cti"]


@pytest.fixture
def vendor(any_warehouse: Project, server: VendorServer, instance: MauticInstance) -> VendorServer:
    configure(any_warehouse, server, instance)
    return server


@pytest.fixture
def duck(project: Project, server: VendorServer, instance: MauticInstance) -> VendorServer:
    """The same with DuckDB only, for what does not touch the warehouse's own ways."""
    configure(project, server, instance)
    return server
