"""What the sandbox's buckets should hold, generated once for all tests of this folder."""

from functools import cache

from signalroom_dagster.sandbox.exports import exports_of


@cache
def bucket(client_id: str) -> dict[str, bytes]:
    """Every object of one client's bucket by key."""
    return dict(exports_of(client_id))
