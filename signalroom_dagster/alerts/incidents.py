"""Incidents: what is broken now, since when, how often it was seen, and how much of that has been
told.

Kept in a SQLite file of its own (`<DAGSTER_HOME>/incidents.sqlite`): not in the warehouse, which
may be what is down, and not in the event log, which a plain command-line run does not share. Each
change is one transaction, so of many processes that see the same failure exactly one opens the
incident.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from signalroom_dagster.alerts.incident_file import IncidentFile, Sql

Kind = Literal[
    "source",
    "table",
    "report",
    "check",
    "step",
    "tick",
    "stale",
    "files",
    "warehouse",
    "consumer",
    "definition",
]

FIRST_SUMMARY_SECONDS = 30 * 60.0
LONGEST_SUMMARY_SECONDS = 24 * 3_600.0
CLAIM_SECONDS = 120.0
KEPT_SECONDS = 90 * 24 * 3_600.0
MOST_TOUCHED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure. `run` is the Dagster run, or whatever else it is counted by; `said` is safe to
    be shown to anybody.

    `client` is empty for what is not one client's; `touches` says whom it hits then, as (client,
    subject).
    """

    kind: Kind
    subject: str
    client: str
    error: str
    run: str
    said: str = ""
    attempts: int = 0
    touches: tuple[str, str] | None = None
    concerns: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Failures of one kind, from the first to the recovery; times are epoch seconds, the details
    are the latest's.

    `told` is the number of failures that messages have covered, `in_doubt` whether the next one may
    be out already.
    """

    id: int
    kind: Kind
    subject: str
    client: str
    error: str
    said: str
    attempts: int
    run: str
    touched: tuple[tuple[str, str], ...]
    failures: int
    opened_at: float
    last_at: float
    closed_at: float | None
    told: int
    in_doubt: bool
    concerns: str = ""


class Incidents:
    """The incidents of a file. Whatever uses them raises NotBookedError when the file cannot be
    used.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = IncidentFile(path)
        self._clock = clock

    def note(self, failure: Failure) -> bool:
        """Count a failure, opening an incident when it is the first of its kind; False when the run
        was counted.
        """
        return self._file.change(lambda sql: _note(sql, failure, self._clock()))

    def recovered(self, kind: Kind, subject: str, client: str, *, announce: bool = True) -> int:
        """Close what is open of this; the number of incidents. Costs one look when nothing is
        open.
        """
        about = (kind, subject, client)
        if not any((each.kind, each.subject, each.client) == about for each in self.open()):
            return 0
        now = self._clock()
        values: dict[str, Any] = {"kind": kind, "subject": subject, "client": client, "now": now}
        values["tell_at"] = now if announce else None
        closing = (
            "UPDATE incidents SET closed_at = :now, tell_at = :tell_at WHERE closed_at IS NULL"
            " AND (kind, subject, client) = (:kind, :subject, :client)"
        )
        return self._file.change(lambda sql: sql(closing, values).rowcount)

    def open(self) -> list[Incident]:
        """What is broken now, the oldest first."""
        if not self._file.path.exists():
            return []
        asking = "SELECT * FROM incidents WHERE closed_at IS NULL ORDER BY opened_at"
        return self._file.change(lambda sql: [_incident(row) for row in sql(asking, {})])

    def claim(self) -> Incident | None:
        """An incident that something is to be told of, kept from other processes until it is
        settled or released.

        It stays in doubt until then: whoever claims it after a crash has to look whether the
        message is out.
        """
        if not self._file.path.exists():
            return None
        return self._file.change(lambda sql: _claim(sql, self._clock()))

    def settle(self, incident: Incident) -> None:
        """Its message, as it was claimed, is out; repeats are summed up after a pause that doubles
        each time.
        """
        values = {
            "id": incident.id,
            "told": incident.failures,
            "longest": LONGEST_SUMMARY_SECONDS,
            "was_closed": incident.closed_at is not None,
            "now": self._clock(),
        }
        settling = (
            "UPDATE incidents SET told = :told, in_doubt = 0, claimed_until = 0,"
            " pause = min(pause * 2, :longest), tell_at = CASE WHEN :was_closed THEN NULL"
            " WHEN closed_at IS NOT NULL THEN :now ELSE :now + pause END WHERE id = :id"
        )
        self._file.change(lambda sql: sql(settling, values))

    def release(self, incident: Incident, seconds: float, *, in_doubt: bool = False) -> None:
        """Its message is not out, and is to be tried again after so many seconds."""
        values = {"id": incident.id, "until": self._clock() + seconds, "in_doubt": in_doubt}
        releasing = (
            "UPDATE incidents SET claimed_until = :until, in_doubt = :in_doubt WHERE id = :id"
        )
        self._file.change(lambda sql: sql(releasing, values))


def _note(sql: Sql, failure: Failure, now: float) -> bool:
    values = {**asdict(failure), "now": now, "oldest": now - KEPT_SECONDS}
    sql("DELETE FROM noted WHERE at < :oldest", values)
    sql("DELETE FROM incidents WHERE closed_at < :oldest", values)
    noted = sql(
        "INSERT OR IGNORE INTO noted (run, kind, subject, client, at)"
        " VALUES (:run, :kind, :subject, :client, :now)",
        values,
    )
    if not noted.rowcount:
        return False
    row = sql(
        "SELECT id, touched FROM incidents WHERE (kind, subject, client, error)"
        " = (:kind, :subject, :client, :error) AND closed_at IS NULL",
        values,
    ).fetchone()
    values["touched"] = _touched(json.loads(row["touched"] or "[]") if row else [], failure)
    if row:
        sql(
            "UPDATE incidents SET failures = failures + 1, said = :said, attempts = :attempts,"
            " run = :run, touched = :touched, last_at = :now WHERE id = :id",
            {**values, "id": row["id"]},
        )
    else:
        sql(
            "INSERT INTO incidents (kind, subject, client, error, said, attempts, run, touched,"
            " concerns, last_at, opened_at, tell_at, failures, pause) VALUES (:kind, :subject,"
            " :client, :error, :said, :attempts, :run, :touched, :concerns, :now, :now, :now, 1,"
            " :pause)",
            {**values, "pause": FIRST_SUMMARY_SECONDS},
        )
    return True


def _claim(sql: Sql, now: float) -> Incident | None:
    row = sql(
        "SELECT * FROM incidents WHERE tell_at <= :now AND claimed_until <= :now"
        " AND (failures > told OR closed_at IS NOT NULL) ORDER BY tell_at LIMIT 1",
        {"now": now},
    ).fetchone()
    if row is None:
        return None
    sql(
        "UPDATE incidents SET claimed_until = :until, in_doubt = 1 WHERE id = :id",
        {"id": row["id"], "until": now + CLAIM_SECONDS},
    )
    return _incident(row)


def _touched(earlier: Iterable[Any], failure: Failure) -> str:
    """Whom an incident hits, the new one included; cut at a number that a message can name."""
    pairs = [tuple(pair) for pair in earlier]
    new = failure.touches or ((failure.client, failure.subject) if failure.client else None)
    if new and new not in pairs:
        pairs.append(new)
    return json.dumps(pairs[:MOST_TOUCHED])


def _incident(row: Any) -> Incident:
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(Incident)}
    values["touched"] = tuple(tuple(pair) for pair in json.loads(row["touched"] or "[]"))
    values["in_doubt"] = bool(row["in_doubt"])
    return Incident(**values)
