"""How the tests' clients reach their RedTrack accounts, and the days and sources that their data
speaks of.
"""

from datetime import UTC, date, datetime
from pathlib import Path

from signalroom_dagster.loading.context import LoadContext
from signalroom_dagster.loading.slice_read import ReadSlice, read_slice
from signalroom_dagster.loading.windowed import plans
from signalroom_dagster.registry.accounts import settings_for
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources import redtrack
from signalroom_dagster_tests.projects import Project

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)
NOON, NEXT_NOON = datetime(2026, 3, 2, 17, tzinfo=UTC), datetime(2026, 3, 3, 17, tzinfo=UTC)
META, GOOGLE = "65aa00000000000000000001", "65aa00000000000000000002"
KEYS = {"713": "key-713-secret", "cti": "key-cti-secret"}


def add(project: Project, vendor: VendorServer, client_id: str = "713", **settings: str) -> None:
    """A client that reads an account of the stand-in, at full speed unless it says otherwise."""
    defaults = {
        "api_key": KEYS[client_id],
        "base_url": f"{vendor.url}/redtrack",
        "start_date": DAY.isoformat(),
        "end_date": NEXT.isoformat(),
        "reports_per_minute": "60000",
        "requests_per_minute": "60000",
        "account_timezone": "America/New_York",
    }
    project.add_api_client(client_id, "redtrack", **{**defaults, **settings})


def read(table: str, folder: Path) -> ReadSlice:
    """The first slice of one of client 713's tables, read and not loaded: for what the warehouse
    has no part in.
    """
    client = get_client("713")
    context = LoadContext(
        client_id=client.id,
        source="redtrack",
        zone=client.zone,
        currency=client.currency,
        start_date=client.start_date,
        run_id="run",
        work_dir=folder,
        ledger={},
        windows={},
        started_at=datetime.now(UTC),
    )
    piece = next(iter(plans(redtrack, settings_for("redtrack", client), context)[table]()))
    return read_slice(redtrack.TABLES[table], piece, context)
