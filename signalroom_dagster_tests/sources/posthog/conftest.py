"""A stand-in PostHog with two projects, empty at the start of each test."""

from collections.abc import Iterator

import pytest

from signalroom_dagster.sandbox import posthog
from signalroom_dagster.sandbox.posthog_data import PosthogProject
from signalroom_dagster.sandbox.vendor_server import VendorServer, serve

OURS, THEIRS = PosthogProject("phx_key-713", 41), PosthogProject("phx_key-cti", 42)


@pytest.fixture(scope="session")
def running() -> Iterator[VendorServer]:
    with serve(posthog.routes([OURS, THEIRS])) as server:
        yield server


@pytest.fixture
def vendor(running: VendorServer) -> VendorServer:
    """PostHog, with both projects."""
    running.requests.clear()
    running.faults.clear()
    return running


@pytest.fixture
def at() -> PosthogProject:
    """Client 713's project, in a zone that is neither UTC nor the client's."""
    return emptied(OURS, "America/Los_Angeles")


@pytest.fixture
def other() -> PosthogProject:
    """Client cti's project."""
    return emptied(THEIRS, "UTC")


def emptied(known: PosthogProject, zone: str) -> PosthogProject:
    vars(known).update(vars(PosthogProject(known.key, known.id, zone=zone)))
    return known
