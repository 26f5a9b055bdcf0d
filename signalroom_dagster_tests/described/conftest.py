"""Fixtures of the described APIs: one stand-in for all, with new accounts for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from signalroom_dagster.described.modules import module_of
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster_tests.described import apis
from signalroom_dagster_tests.described.apis import Vendor

_vendors: dict[str, Vendor] = {}


@pytest.fixture(scope="session")
def _server() -> Iterator[VendorServer]:
    with serve(apis.routes(_vendors)) as server:
        yield server


@pytest.fixture
def server(_server: VendorServer) -> VendorServer:
    """The stand-in, without requests and faults."""
    _server.requests.clear()
    _server.faults.clear()
    _vendors.clear()
    _vendors.update({f"key-{client}": Vendor() for client in ("713", "cti")})
    return _server


@pytest.fixture
def vendor(server: VendorServer) -> Vendor:
    """The account of client 713."""
    return _vendors["key-713"]


@pytest.fixture
def other(server: VendorServer) -> Vendor:
    """The account of client cti."""
    return _vendors["key-cti"]


@pytest.fixture
def described(tmp_path: Path) -> Callable[[str, str], ModuleType]:
    """Makes a module of a description's text."""

    def module(name: str, text: str) -> ModuleType:
        (tmp_path / f"{name}.toml").write_text(text)
        return module_of(tmp_path / f"{name}.toml")

    return module
