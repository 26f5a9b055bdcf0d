"""PostHog projects for tests, and reading them without a warehouse."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from signalroom_dagster import sections
from signalroom_dagster.loading.context import LoadContext
from signalroom_dagster.loading.slice_read import read_slice
from signalroom_dagster.loading.windowed import plans
from signalroom_dagster.sandbox.posthog_data import PosthogProject
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources import posthog
from signalroom_dagster.sources.posthog.project import Project as Opened
from signalroom_dagster.sources.posthog.project import open_project
from signalroom_dagster_tests.projects import Project

DAY = date(2026, 3, 2)
NEXT = date(2026, 3, 3)


def noon(day: date = DAY, **later: float) -> datetime:
    """Noon of a day in UTC, or so much later; the test's clients are in New York."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(**later)


def add_project(
    at: Project, vendor: VendorServer, known: PosthogProject, client_id: str = "713", **more: str
) -> None:
    """A client with a project at the stand-in, for DAY and NEXT."""
    settings = {"start_date": DAY.isoformat(), "end_date": NEXT.isoformat(), "page_rows": "3"}
    settings |= {"api_key": known.key, "project_id": str(known.id), "host": f"{vendor.url}/posthog"}
    at.add_api_client(client_id, "posthog", **{**settings, "queries_per_minute": "6000", **more})


def settings_of(client_id: str = "713") -> posthog.Settings:
    """A client's settings as they are configured."""
    return sections.source_settings(posthog.Settings, "posthog", client_id)


def opened() -> Opened:
    """Client 713's project, to be asked."""
    settings = settings_of()
    key = settings.api_key.get_secret_value()
    return open_project(key, settings.project_id, settings.host, settings.queries_per_minute)


def read(at: Project, resource: str = "events", started_at: datetime | None = None) -> int:
    """Read client 713's table as a first load would that began now, or then; how many rows there
    were.
    """
    at.root.joinpath("read").mkdir(exist_ok=True)
    context = LoadContext(
        client_id="713",
        source="posthog",
        zone=ZoneInfo("America/New_York"),
        currency="USD",
        start_date=DAY,
        run_id="read",
        work_dir=at.root / "read",
        ledger={},
        windows={},
        started_at=started_at or datetime.now(UTC),
    )
    pieces = plans(posthog, settings_of(), context)[resource]()
    return sum(read_slice(posthog.TABLES[resource], piece, context).rows for piece in pieces)


def failed_read(at: Project, resource: str = "events") -> Exception:
    """What reading client 713's table raises."""
    with pytest.raises(Exception) as caught:  # noqa: B017, PT011
        read(at, resource)
    return caught.value
