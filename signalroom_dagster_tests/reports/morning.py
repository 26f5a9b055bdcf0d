"""A client's morning: two weeks of figures that can be added up by hand, and a sender that writes
into a file.
"""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from signalroom_dagster.config import destination_name
from signalroom_dagster.loading import pipelines
from signalroom_dagster.notifications.message import BeforeCall, Message, UnknownOutcomeError
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.places import duckdb_path
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project

DAY = date(2026, 3, 2)
READ_AT = datetime(2026, 3, 3, 11, 15, tzinfo=UTC)  # 06:15 in New York, the day after
SOURCES = ("everflow", "redtrack", "affiliate_mapping")
REPORT = """
[[reports]]
name = "{name}"
template = "{template}"
params = {params}
schedule = "0 7 * * *"
slack = "#reporting"
email = ["ops@example.com"]
sms = ["+15550100001"]
"""


def subscribe(
    project: Project,
    client_id: str = "713",
    name: str = "daily_ccw",
    template: str = "daily_performance",
    params: str = "{ advertiser_id = 1 }",
) -> None:
    """One more report of a client."""
    for source in SOURCES:
        project.add_api_client(client_id, source)
    with (project.root / "data" / "clients" / client_id / "client.toml").open("a") as file:
        file.write(REPORT.format(name=name, template=template, params=params))


_empty: dict[str, bytes] = {}


def create_tables() -> None:
    """What the sources of a morning bring, empty. A warehouse in a file is made once and copied."""
    file = duckdb_path() if destination_name() == "duckdb" else None
    if file and not file.exists() and _empty:
        file.write_bytes(_empty["file"])
        return
    for source in SOURCES:
        pipelines.create_tables(source)
    if file and not _empty:
        ask("CHECKPOINT")
        _empty["file"] = file.read_bytes()


def insert(table: str, *rows: dict[str, Any]) -> None:
    with access.exclusive(), access.transaction("test") as query:
        for row in rows:
            places = ", ".join(["%s"] * len(row))
            query(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


def earned(
    day: date, label: str, conversions: int, revenue: str, payout: str, client: str = "713"
) -> None:
    """One affiliate's day, as Everflow tells it."""
    insert(
        "everflow.daily_stats",
        {
            "_client_id": client,
            "_loaded_at": READ_AT,
            "date": day,
            "affiliate_id": sum(map(ord, label)),
            "affiliate_label": label,
            "advertiser_id": 1,
            "advertiser_label": "ACME",
            "clicks": 100,
            "conversions": conversions,
            "revenue": revenue,
            "payout": payout,
        },
    )


def spent(day: date, source: str, clicks: int, cost: str, client: str = "713") -> None:
    """One channel's day, as RedTrack tells it."""
    insert(
        "redtrack.daily_spend",
        {
            "_client_id": client,
            "_loaded_at": READ_AT,
            "date": day,
            "source_id": source,
            "source_name": source,
            "clicks": clicks,
            "cost": cost,
        },
    )


def mapped(source: str, label: str | None, client: str = "713", advertiser: int | None = 1) -> None:
    """One line of the mapping; on DuckDB the client's tag is a column of its own."""
    row = {
        "client_id": client,
        "redtrack_source_id": source,
        "everflow_affiliate_label": label,
        "everflow_advertiser_id": advertiser,
        "everflow_affiliate_id": 1,
    }
    generated = ask(
        "SELECT is_generated FROM information_schema.columns WHERE column_name = '_client_id' "
        "AND table_name = 'affiliate_mapping'"
    )[0][0]
    insert(
        "public.affiliate_mapping", row if generated == "ALWAYS" else {**row, "_client_id": client}
    )


def read(source: str, first: date, last: date, at: datetime = READ_AT, client: str = "713") -> None:
    """Days that a source's daily table was read for, at an instant."""
    table = {"everflow": "daily_stats", "redtrack": "daily_spend"}[source]
    with access.exclusive(), access.transaction("test") as query:
        query(
            f"DELETE FROM {source}.windows WHERE _client_id = %s AND day BETWEEN %s AND %s",
            client,
            first,
            last,
        )
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    insert(
        f"{source}.windows",
        *(
            {
                "_client_id": client,
                "resource": table,
                "day": day,
                "rows": 1,
                "loaded_at": at,
                "run_id": "run",
            }
            for day in days
        ),
    )


class FileSender:
    """Writes what it sends into a file, one JSON a line, as a provider that remembers: the same
    e-mail key, once.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.errors: list[Exception] = []
        self.looks_up = False

    def send(self, message: Message, before: BeforeCall = lambda: None) -> str:
        """Append the message, or raise what the test wants raised."""
        before()
        if self.errors:
            raise self.errors.pop(0)
        if message.channel == "email" and (found := self._id_of(message)):
            return found
        with self.file.open("a") as file:
            file.write(
                json.dumps(
                    {
                        "channel": message.channel,
                        "to": message.recipient,
                        "key": message.key,
                        "text": message.text,
                        "pictures": len(message.pictures),
                    }
                )
                + "\n"
            )
        return f"id-{len(self.sent)}"

    def look_up(self, message: Message, since: datetime, others: Collection[str]) -> str | None:
        """The message's id, when this provider can tell."""
        if not self.looks_up or message.channel == "email":
            raise UnknownOutcomeError("it cannot be looked up")
        return self._id_of(message)

    @property
    def sent(self) -> Sequence[dict[str, Any]]:
        """What arrived, in order."""
        return (
            [json.loads(line) for line in self.file.read_text().splitlines()]
            if self.file.exists()
            else []
        )

    def _id_of(self, message: Message) -> str | None:
        keys = [item["key"] for item in self.sent]
        return f"id-{keys.index(message.key) + 1}" if message.key in keys else None
