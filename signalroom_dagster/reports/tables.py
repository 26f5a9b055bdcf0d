"""The tables that reports are kept in, on both engines: what was said, and to whom it went.

They change only in short transactions of their own, each committed before or after something was sent.
"""

from signalroom_dagster.loading.tables import create_table, upsert
from signalroom_dagster.loading.warehouse import Query, lock, secure_table

SCHEMA = "reports"
REPORTS = "reports.reports"
DELIVERIES = "reports.deliveries"

REPORTS_COLUMNS = {
    "_client_id": "varchar NOT NULL",
    "report": "varchar NOT NULL",
    "date": "date NOT NULL",
    "version": "bigint NOT NULL",
    "template": "varchar NOT NULL",
    "inputs": "json NOT NULL",
    "subject": "varchar NOT NULL",
    "slack": "varchar NOT NULL",
    "text": "varchar NOT NULL",
    "html": "varchar",
    "sms": "varchar",
    "chart": "varchar",
    "alt": "varchar NOT NULL",
    "hash": "varchar NOT NULL",
    "created_at": "timestamp with time zone NOT NULL",
    "run_id": "varchar NOT NULL",
}
"""One row per (client, report, date, version), its key: a report made again with other words is a new version. `chart`
is a PNG as base64."""

DELIVERIES_COLUMNS = {
    "_client_id": "varchar NOT NULL",
    "report": "varchar NOT NULL",
    "date": "date NOT NULL",
    "channel": "varchar NOT NULL",
    "recipient": "varchar NOT NULL",
    "number": "bigint NOT NULL",
    "key": "varchar NOT NULL",
    "version": "bigint NOT NULL",
    "intent_at": "timestamp with time zone NOT NULL",
    "status": "varchar NOT NULL",
    "provider_id": "varchar",
    "error": "varchar",
    "settled_at": "timestamp with time zone",
    "run_id": "varchar NOT NULL",
}
"""One row per (client, report, date, channel, recipient, number), its key: 1 is the delivery, more are asked for.

`key` is the idempotency key. `status` is intended, sent, unknown, failed (certainly not sent) or skipped.
"""

REPORTS_KEY = ("_client_id", "report", "date", "version")
DELIVERIES_KEY = ("_client_id", "report", "date", "channel", "recipient", "number")

INSERT_REPORT = upsert(REPORTS, REPORTS_COLUMNS, REPORTS_KEY)
WRITE_DELIVERY = upsert(DELIVERIES, DELIVERIES_COLUMNS, DELIVERIES_KEY)


def create_report_tables(query: Query) -> None:
    """Both tables, where they are not there yet; within the caller's transaction."""
    lock(query, f"ddl|{SCHEMA}")
    query(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    query(create_table(REPORTS, REPORTS_COLUMNS, REPORTS_KEY))
    query(create_table(DELIVERIES, DELIVERIES_COLUMNS, DELIVERIES_KEY))
    for table in (REPORTS, DELIVERIES):
        secure_table(query, table)
