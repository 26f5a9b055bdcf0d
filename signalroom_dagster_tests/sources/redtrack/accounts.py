"""How the tests' clients reach their RedTrack accounts, and the days and sources that their data speaks of."""

from datetime import UTC, date, datetime

from signalroom_dagster.sandbox.vendor_server import VendorServer
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
