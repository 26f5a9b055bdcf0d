"""A Mautic of a test's own, and a client that reads it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from signalroom_dagster.sandbox.mautic_data import MauticInstance, contact_row, email_row, stat_row
from signalroom_dagster.sandbox.vendor_server import VendorServer
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
        instance.contacts[number] = contact_row(number, ADDED, email=f"c{number}@example.test", firstname="Ada")
    instance.emails = {5: email_row(5, "Welcome"), 6: email_row(6, "Letter")}
    rows = [(contact, email) for contact in (1, 2, 3) for email in (5, 6)]
    instance.stats = {n: stat_row(n, email, contact, ADDED) for n, (contact, email) in enumerate(rows, 9001)}
    return instance


def configure(project: Project, server: VendorServer, instance: MauticInstance, **settings: str) -> None:
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


def touch(instance: MauticInstance, number: int, at: datetime, **values: Any) -> None:
    """Change a contact as a user of Mautic does."""
    instance.contacts[number] |= {"dateModified": iso(at), **values}


def ids(table: str, client_id: str = "713") -> list[int]:
    return [row[0] for row in ask(f"SELECT id FROM mautic.{table} WHERE _client_id = %s ORDER BY 1", client_id)]


def swept_days_ago(resource: str, days: int) -> None:
    """Let the last sweep of a resource be older than it is."""
    ask("UPDATE mautic.windows SET swept_at = %s WHERE resource = %s", ago(days=days), resource)
