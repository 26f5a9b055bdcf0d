"""Asking for finished jobs again, in the words of run configuration and of the command line."""

from collections.abc import Collection
from datetime import UTC, datetime

from signalroom_dagster.errors import WrongRequestError
from signalroom_dagster.events.stores.store import Store


def replay(
    store: Store,
    client_id: str,
    jobs: Collection[str] | None,
    since: str | None,
    until: str | None,
    dead_letters: bool,
) -> int:
    """Make finished jobs ready again: all, these, or those whose last event came in [since, until);
    how many.

    Raises ConfigurationError for what is no moment, RetentionError for what is no longer kept.
    """
    return store.replay(
        client_id, jobs or None, as_moment(since), as_moment(until), dead_letters=dead_letters
    )


def as_moment(text: str | None) -> datetime | None:
    """A moment as people write it, UTC unless it says otherwise. Raises ConfigurationError."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise WrongRequestError(f"{text!r} is not a moment: write it as 2026-03-01T12:00") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC) if moment else None
