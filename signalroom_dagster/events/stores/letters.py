"""Dead letters in SQL."""

from collections.abc import Collection, Sequence

from signalroom_dagster.events.stores.sessions import Session
from signalroom_dagster.events.stores.store import DeadLetter

_COLUMNS = "id, stage, reason, tenant_id, job_id, analysis_type, message_id, body, received_at"
_BURY = f"""
INSERT INTO events.dead_letter ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET received_at = excluded.received_at, replayed_at = NULL
"""
_OPEN = f"""
SELECT {_COLUMNS} FROM events.dead_letter
WHERE replayed_at IS NULL AND (? IS NULL OR tenant_id = ?)
ORDER BY received_at, job_id, id LIMIT ? OFFSET ?
"""


def bury(session: Session, letters: Sequence[DeadLetter]) -> None:
    """Keep letters; in the order of their ids, so that two gateways with the same ones do not block
    each other.
    """
    session.many(
        _BURY,
        [
            (
                one.id,
                one.stage,
                str(one.reason),
                one.tenant_id,
                one.job_id,
                one.analysis_type,
                one.message_id,
                one.body,
                one.received_at,
            )
            for one in sorted(letters, key=lambda letter: letter.id)
        ],
    )


def open_letters(
    session: Session, tenant_id: str | None, limit: int, skip: int
) -> list[DeadLetter]:
    """See Store.letters."""
    return [
        DeadLetter(letter, stage, reason, tenant, job, name, message, bytes(body), session.time(at))
        for letter, stage, reason, tenant, job, name, message, body, at in session.rows(
            _OPEN, tenant_id, tenant_id, limit, skip
        )
    ]


def replayed(session: Session, letter_ids: Collection[str]) -> None:
    """These were dealt with."""
    now = session.now()
    session.many(
        "UPDATE events.dead_letter SET replayed_at = ? WHERE id = ?",
        [(now, one) for one in letter_ids],
    )
