"""Leases in SQL: a row with an expiry by the database's clock, so that a pooler in between does not
matter.
"""

from datetime import timedelta

from signalroom_dagster.events.stores.sessions import Session
from signalroom_dagster.events.stores.store import Lease

_TAKE = """
INSERT INTO events.lease (name, holder, renewed_at, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, renewed_at = excluded.renewed_at, expires_at = excluded.expires_at
WHERE lease.holder = excluded.holder OR lease.expires_at <= excluded.renewed_at
RETURNING 1
"""
_RENEW = "UPDATE events.lease SET renewed_at = ?, expires_at = ? WHERE name = ? AND holder = ?"


def take(session: Session, name: str, holder: str, length: timedelta) -> bool:
    """Take a lease that is free, over, or one's own."""
    now = session.now()
    return bool(session.rows(_TAKE, name, holder, now, now + length))


def renew(session: Session, name: str, holder: str, length: timedelta) -> bool:
    """Hold on to it unless somebody else took it."""
    now = session.now()
    return bool(session.run(_RENEW, now, now + length, name, holder))


def held(session: Session, name: str) -> Lease | None:
    """Who holds it, or held it last."""
    found = session.rows(
        "SELECT holder, renewed_at, expires_at FROM events.lease WHERE name = ?", name
    )
    if not found:
        return None
    holder, renewed_at, expires_at = found[0]
    expires = session.time(expires_at)
    return Lease(holder, session.time(renewed_at), expires, expires <= session.now())
