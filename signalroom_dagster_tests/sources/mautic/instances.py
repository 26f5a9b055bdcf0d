"""A Mautic of a test's own, and a client that reads it: into a warehouse, or for what does not
depend on one, not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from signalroom_dagster.loading.context import LoadContext
from signalroom_dagster.loading.spans import Span
from signalroom_dagster.loading.windowed import plans
from signalroom_dagster.sandbox.mautic_data import MauticInstance, contact_row, email_row, stat_row
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sections import source_settings
from signalroom_dagster.sources import mautic
from signalroom_dagster.sources.mautic.account import Account
from signalroom_dagster.sources.mautic.settings import Settings
from signalroom_dagster.sources.resources import Reading
from signalroom_dagster.warehouse.windows import Window
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project

ADDED = datetime(2026, 3, 2, 15, tzinfo=UTC)


def ago(**how_long: float) -> datetime:
    """A moment so long before now."""
    return datetime.now(UTC) - timedelta(**how_long)


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def sql(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def instance_of(client_id: str) -> MauticInstance:
    """Three contacts, two e-mails sent to each, nothing opened."""
    instance = MauticInstance(client_id, f"id-{client_id}", f"secret-{client_id}")
    for number in (1, 2, 3):
        instance.contacts[number] = contact_row(
            number, ADDED, email=f"c{number}@example.test", firstname="Ada"
        )
    instance.emails = {5: email_row(5, "Welcome"), 6: email_row(6, "Letter")}
    rows = [(contact, email) for contact in (1, 2, 3) for email in (5, 6)]
    instance.stats = {
        n: stat_row(n, email, contact, ADDED) for n, (contact, email) in enumerate(rows, 9001)
    }
    return instance


def configure(
    project: Project, server: VendorServer, instance: MauticInstance, **settings: str
) -> None:
    """Point the client of the instance's name at it."""
    project.add_api_client(
        instance.name,
        "mautic",
        base_url=f"{server.url}/mautic/{instance.name}",
        client_id=instance.client_id,
        client_secret=instance.client_secret,
        requests_per_minute="60000",
        **settings,
    )


def account_of(client_id: str) -> Account:
    """The client's account at its Mautic."""
    settings = source_settings(Settings, "mautic", client_id)
    number, secret = (
        settings.client_id.get_secret_value(),
        settings.client_secret.get_secret_value(),
    )
    pace, at_once = settings.requests_per_minute, settings.requests_at_once
    return mautic.open_account(settings.base_url, number, secret, pace, at_once)


@dataclass
class Read:
    """What reading a resource of client 713 gives: rows by the table's columns, and what was learnt
    beside them.
    """

    rows: list[Mapping[str, Any]]
    reading: Reading
    replaces: str
    why: str

    @property
    def ids(self) -> list[int]:
        return [row["id"] for row in self.rows]


def read(
    resource: str, *, after: Read | None = None, swept: datetime | None = None, **asked: Any
) -> Read:
    """Read as a load would, from nothing or after an earlier reading of now, and a sweep of now or
    then.
    """
    now = datetime.now(UTC)
    windows: Mapping[date, Window] = {}
    if after:
        windows = {now.date(): Window(now, "before", 0, after.reading.cursor, swept or now)}
    context = LoadContext(
        client_id="713",
        source="mautic",
        zone=ZoneInfo("America/New_York"),
        currency="USD",
        start_date=ADDED.date(),
        run_id="now",
        work_dir=Path(),
        ledger={},
        windows={resource: windows},
        started_at=now,
        span=Span(**asked),
    )
    settings = source_settings(Settings, "mautic", "713")
    (piece,) = plans(mautic, settings, context)[resource]()
    reading = Reading(began=now)
    return Read(list(piece.rows(reading)) if piece.rows else [], reading, piece.replaces, piece.why)


def touch(instance: MauticInstance, number: int, at: datetime, **values: Any) -> None:
    """Change a contact as a user of Mautic does."""
    instance.contacts[number] |= {"dateModified": iso(at), **values}


def ids(table: str, client_id: str = "713") -> list[int]:
    return [
        row[0]
        for row in ask(f"SELECT id FROM mautic.{table} WHERE _client_id = %s ORDER BY 1", client_id)
    ]


def swept_days_ago(resource: str, days: int) -> None:
    """Let the last sweep of a resource be older than it is."""
    ask("UPDATE mautic.windows SET swept_at = %s WHERE resource = %s", ago(days=days), resource)
