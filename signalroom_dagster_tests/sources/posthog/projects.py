"""PostHog projects for tests, and what came of a failed load."""

from datetime import UTC, date, datetime, timedelta

import pytest

from signalroom_dagster.retries import root_error
from signalroom_dagster.sandbox.posthog_data import PosthogProject
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster_tests.loads import load
from signalroom_dagster_tests.projects import Project

DAY = date(2026, 3, 2)
NEXT = date(2026, 3, 3)


def noon(day: date = DAY, **later: float) -> datetime:
    """Noon of a day in UTC, or so much later; the test's clients are in New York."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(**later)


def add_project(at: Project, vendor: VendorServer, known: PosthogProject, client_id: str = "713", **more: str) -> None:
    """A client with a project at the stand-in, for DAY and NEXT."""
    settings = {"start_date": DAY.isoformat(), "end_date": NEXT.isoformat(), "page_rows": "3"}
    settings |= {"queries_per_minute": "6000"}
    settings |= {"api_key": known.key, "project_id": str(known.id), "host": f"{vendor.url}/posthog"}
    at.add_api_client(client_id, "posthog", **{**settings, **more})


def failed_load(*resources: str, client_id: str = "713") -> Exception:
    """What one attempt at a load raises, without dlt's wrappers."""
    with pytest.raises(Exception) as caught:  # noqa: B017, PT011
        load("posthog", client_id, *resources)
    return root_error(caught.value)
