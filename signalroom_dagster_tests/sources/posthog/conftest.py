"""A stand-in PostHog with one project."""

from collections.abc import Iterator

import pytest

from signalroom_dagster.sandbox import posthog
from signalroom_dagster.sandbox.posthog_data import PosthogProject
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve


@pytest.fixture
def at() -> PosthogProject:
    """The project, empty, in a zone that is neither UTC nor the client's."""
    return PosthogProject(key="phx_key-713", id=41, zone="America/Los_Angeles")


@pytest.fixture
def other() -> PosthogProject:
    """Another client's project, empty."""
    return PosthogProject(key="phx_key-cti", id=42)


@pytest.fixture
def vendor(at: PosthogProject, other: PosthogProject) -> Iterator[VendorServer]:
    """PostHog, with both projects."""
    with serve(posthog.routes([at, other])) as server:
        yield server
