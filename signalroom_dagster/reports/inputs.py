"""Whether the sources of a report cover its day, and waiting until they do."""

import time
from collections.abc import Callable, Sequence

from signalroom_dagster.freshness.coverage import Coverage, coverage
from signalroom_dagster.reports.subscriptions import ReportDay
from signalroom_dagster.warehouse.access import (
    LOCK_WAIT_SECONDS,
    connected,
    exclusive,
    wait_until_reachable,
)
from signalroom_dagster.warehouse.errors import DestinationUnreachableError


def stale_sources(due: ReportDay, lock_seconds: float = LOCK_WAIT_SECONDS) -> Sequence[Coverage]:
    """The sources behind a report that do not cover its day whole; holds the warehouse for a
    moment.
    """
    with exclusive(lock_seconds), connected() as query:
        reach = coverage(query, due.client, due.tables, due.day)
    return [item for item in reach if item.state(due.day) != "whole"]


def wait_for_inputs(
    due: ReportDay,
    wait_minutes: float,
    check_seconds: float,
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> Sequence[Coverage]:
    """Return once every source covers the day whole, or after so many minutes; the sources that
    then still do not.

    Holds nothing between two looks, so that what is waited for can be loaded. The time that a
    warehouse is away is no part of the wait. Raises DestinationLostError when it stays away.
    """
    give_up = time.monotonic() + wait_minutes * 60
    while True:
        began = time.monotonic()
        wait_until_reachable(say)
        try:
            stale = stale_sources(due)
        except DestinationUnreachableError as error:
            say(f"{error}; asking again")
            pause(check_seconds)
            give_up += time.monotonic() - began
            continue
        if not stale or time.monotonic() >= give_up:
            return stale
        titles = ", ".join(item.title for item in stale)
        say(f"{due.name} of client {due.client.id} waits for {titles} to cover {due.day}")
        pause(min(check_seconds, max(0.0, give_up - time.monotonic())))
