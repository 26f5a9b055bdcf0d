"""Fixtures of the Everflow tests: one stand-in for all of them, as new for each."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.sandbox import everflow
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.everflow.networks import DAY, NEXT, fresh_network

_networks = {client_id: EverflowNetwork(f"key-{client_id}") for client_id in ("713", "cti")}


@pytest.fixture(scope="session")
def _server() -> Iterator[VendorServer]:
    with serve(everflow.routes(_networks.values())) as server:
        yield server


@pytest.fixture
def vendor(_server: VendorServer, project: Project) -> VendorServer:
    """The stand-in, without requests, faults and traffic."""
    _server.requests.clear()
    _server.faults.clear()
    for network in _networks.values():
        vars(network).update(vars(fresh_network(network.key)))
    return _server


@pytest.fixture
def network(vendor: VendorServer) -> EverflowNetwork:
    """The network of client 713."""
    return _networks["713"]


@pytest.fixture
def other(vendor: VendorServer) -> EverflowNetwork:
    """The network of client cti."""
    return _networks["cti"]


@pytest.fixture
def settings(vendor: VendorServer) -> Callable[..., Settings]:
    """Settings of client 713, for reading without a warehouse: two days in March unless said
    otherwise.
    """

    def make(**values: Any) -> Settings:
        given: dict[str, Any] = {
            "api_key": "key-713",
            "base_url": f"{vendor.url}/everflow",
            "requests_per_minute": 1_000_000,
            "conversions_kept_days": 10_000,
            "clicks_kept_days": 10_000,
            "start_date": DAY,
            "end_date": NEXT,
            **values,
        }
        return Settings(**given)

    return make


@pytest.fixture
def add(vendor: VendorServer, project: Project) -> Callable[..., None]:
    """Adds a client to the project; with the settings of those that read without a warehouse."""

    def client(client_id: str = "713", **values: str) -> None:
        given = {
            "api_key": f"key-{client_id}",
            "base_url": f"{vendor.url}/everflow",
            "requests_per_minute": "1000000",
            "conversions_kept_days": "10000",
            "clicks_kept_days": "10000",
            "start_date": DAY.isoformat(),
            "end_date": NEXT.isoformat(),
            **values,
        }
        project.add_api_client(client_id, "everflow", **given)

    return client


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where slices are read to."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder
