"""What reports said: each version of each, with the figures that it was made from. Nothing is ever
changed here.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from signalroom_dagster.reports.rendering import Rendered
from signalroom_dagster.reports.subscriptions import ReportDay
from signalroom_dagster.reports.tables import DELIVERIES, REPORTS, SCHEMA
from signalroom_dagster.warehouse.access import Query, lock, table_exists
from signalroom_dagster.warehouse.bookkeeping import write_row

_NEWEST = f"""
SELECT version, hash FROM {REPORTS.name}
WHERE _client_id = %s AND report = %s AND date = %s
ORDER BY version DESC LIMIT 1
"""
_STORED = f"""
SELECT subject, slack, text, html, sms, chart, alt FROM {REPORTS.name}
WHERE _client_id = %s AND report = %s AND date = %s AND version = %s
"""
_LAST_INPUTS = f"""
SELECT inputs FROM {REPORTS.name} AS made
WHERE _client_id = %s AND report = %s AND date < %s
ORDER BY
    date DESC,
    EXISTS (
        SELECT 1 FROM {DELIVERIES.name} AS sent
        WHERE sent._client_id = made._client_id AND sent.report = made.report
            AND sent.date = made.date AND sent.version = made.version AND sent.status = 'sent'
    ) DESC,
    version DESC
LIMIT 1
"""


def store(
    query: Query, due: ReportDay, rendered: Rendered, inputs: Mapping[str, Any], run_id: str
) -> int:
    """Keep a report; its version. The same words again are the version that is there."""
    address = due.client.id, due.name, due.day
    lock(query, "|".join((REPORTS.name, *map(str, address))))
    newest = query(_NEWEST, *address)
    version, newest_hash = newest[0] if newest else (0, None)
    if newest_hash == rendered.hash:
        return int(version)
    row = {
        "_client_id": due.client.id,
        "report": due.name,
        "date": due.day,
        "version": version + 1,
        "template": due.template.name,
        "inputs": json.dumps(inputs),
        **asdict(rendered),
        "chart": base64.b64encode(rendered.chart).decode() if rendered.chart else None,
        "hash": rendered.hash,
        "created_at": datetime.now(UTC),
        "run_id": run_id,
    }
    write_row(query, REPORTS, row)
    return int(version) + 1


def stored(query: Query, client_id: str, report: str, day: date, version: int) -> Rendered:
    """A version as it was made, to the byte."""
    row = query(_STORED, client_id, report, day, version)[0]
    subject, slack, text, html, sms, chart, alt = row
    picture = base64.b64decode(chart) if chart else None
    return Rendered(
        subject=subject, slack=slack, text=text, html=html, sms=sms, chart=picture, alt=alt
    )


def last_inputs(query: Query, due: ReportDay) -> Mapping[str, Any] | None:
    """What the last report of an earlier day was made from: of its versions the one that was sent,
    else the newest.
    """
    if not table_exists(query, SCHEMA, "reports"):
        return None
    rows = query(_LAST_INPUTS, due.client.id, due.name, due.day)
    inputs = rows[0][0] if rows else None
    return json.loads(inputs) if isinstance(inputs, str) else inputs
