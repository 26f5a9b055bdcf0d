"""The tables that reports are kept in, on both engines: what was said, and to whom it went.

They change only in short transactions of their own, each committed before or after something was
sent.
"""

from signalroom_dagster.warehouse.access import create_own_tables
from signalroom_dagster.warehouse.migrations import OwnTable

SCHEMA = "reports"

REPORTS = OwnTable(
    "reports.reports",
    {
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
    },
    key=("_client_id", "report", "date", "version"),
)
"""A report that is made again with other words is a new version. `chart` is a PNG as base64."""

DELIVERIES = OwnTable(
    "reports.deliveries",
    {
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
    },
    key=("_client_id", "report", "date", "channel", "recipient", "number"),
)
"""`number` 1 is the delivery, more are asked for; `key` is the idempotency key. `status` is
intended, sent, unknown, failed (certainly not sent, and tried again), refused (certainly not sent,
and would be again) or skipped.
"""


def create_report_tables() -> None:
    """Both tables, where they are not there yet or lack something. The caller holds
    `warehouse.exclusive()`.
    """
    create_own_tables(SCHEMA, (REPORTS, DELIVERIES))
