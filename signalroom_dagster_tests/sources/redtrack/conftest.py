"""One client's RedTrack account behind the stand-in, and a project that reads it as fast as it can."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from signalroom_dagster.sandbox import redtrack
from signalroom_dagster.sandbox.redtrack_data import Hit, RedTrackAccount, conversion_row, source_row
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.redtrack.accounts import GOOGLE, KEYS, META, NEXT_NOON, NOON, add


@pytest.fixture
def account() -> RedTrackAccount:
    return RedTrackAccount(
        key=KEYS["713"],
        sources=[source_row(META, "Test Meta A ", "facebook"), source_row(GOOGLE, "Test Google B", "google")],
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
        reports_a_minute=0,
    )


@pytest.fixture
def other() -> RedTrackAccount:
    """Another client's account, with the same source ids."""
    return RedTrackAccount(
        key=KEYS["cti"],
        sources=[source_row(META, "Lessons Meta", "facebook")],
        traffic=[Hit(NOON, META, 5, Decimal("9.99"))],
        conversions=[conversion_row("c1", NOON, META, payout=49)],
        reports_a_minute=0,
    )


@pytest.fixture
def vendor(project: Project, account: RedTrackAccount, other: RedTrackAccount) -> Iterator[VendorServer]:
    """The stand-in, with client 713 reading it into whichever warehouse the test has chosen."""
    with serve(redtrack.routes([account, other])) as server:
        add(project, server)
        yield server
