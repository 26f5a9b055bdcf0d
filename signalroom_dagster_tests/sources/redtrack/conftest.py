"""One client's RedTrack account behind the stand-in, and a project that reads it as fast as it
can.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from signalroom_dagster.sandbox import redtrack
from signalroom_dagster.sandbox.redtrack_data import (
    Hit,
    RedTrackAccount,
    conversion_row,
    source_row,
)
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.redtrack.accounts import (
    GOOGLE,
    KEYS,
    META,
    NEXT_NOON,
    NOON,
    add,
)

ACCOUNTS = {client_id: RedTrackAccount(key=key) for client_id, key in KEYS.items()}


@pytest.fixture(scope="session")
def server() -> Iterator[VendorServer]:
    """The stand-in, started once; `account` and `other` give its accounts their content anew."""
    with serve(redtrack.routes(ACCOUNTS.values())) as server:
        yield server


@pytest.fixture
def account() -> RedTrackAccount:
    return _anew(
        "713",
        sources=[
            source_row(META, "Test Meta A ", "facebook"),
            source_row(GOOGLE, "Test Google B", "google"),
        ],
        traffic=[
            Hit(NOON, META, 1523, Decimal("7825.5")),
            Hit(NOON, GOOGLE, 11, Decimal("50.47")),
            Hit(NOON, "", 3),
            Hit(NEXT_NOON, META, 7, Decimal(27)),
        ],
        conversions=[
            conversion_row("c1", NOON, META, payout=75),
            conversion_row("c2", NOON, GOOGLE, type="Lead", default_type=0, payout=2.5),
            conversion_row("c3", NEXT_NOON, META, payout=75),
        ],
    )


@pytest.fixture
def other() -> RedTrackAccount:
    """Another client's account, with the same source ids."""
    return _anew(
        "cti",
        sources=[source_row(META, "Lessons Meta", "facebook")],
        traffic=[Hit(NOON, META, 5, Decimal("9.99"))],
        conversions=[conversion_row("c1", NOON, META, payout=49)],
    )


@pytest.fixture
def vendor(
    project: Project, server: VendorServer, account: RedTrackAccount, other: RedTrackAccount
) -> VendorServer:
    """The stand-in, with client 713 reading it into whichever warehouse the test has chosen."""
    server.requests.clear()
    server.faults.clear()
    add(project, server)
    return server


def _anew(client_id: str, **content: Any) -> RedTrackAccount:
    account = ACCOUNTS[client_id]
    account.__dict__.update(
        RedTrackAccount(key=account.key, reports_a_minute=0, **content).__dict__
    )
    return account
