"""What reports said: each version of each, with the figures that it was made from. Nothing is ever
changed here.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from signalroom_dagster.reports.rendering import Rendered
from signalroom_dagster.reports.tables import DELIVERIES, INSERT_REPORT, REPORTS, SCHEMA
from signalroom_dagster.warehouse.access import Query, lock, table_exists


def store(
    query: Query,
    client_id: str,
    report: str,
    template: str,
    day: date,
    rendered: Rendered,
    inputs: Mapping[str, Any],
    run_id: str,
) -> int:
    """Keep a report; its version. The same words again are the version that is there."""
    lock(query, f"{REPORTS}|{client_id}|{report}|{day}")
    newest = query(
        f"SELECT version, hash FROM {REPORTS} WHERE _client_id = %s AND report = %s AND date = %s "
        "ORDER BY version DESC LIMIT 1",
        client_id,
        report,
        day,
    )
    version, known = newest[0] if newest else (0, None)
    if known == rendered.hash:
        return int(version)
    chart = base64.b64encode(rendered.chart).decode() if rendered.chart else None
    query(
        INSERT_REPORT,
        client_id,
        report,
        day,
        version + 1,
        template,
        json.dumps(inputs),
        rendered.subject,
        rendered.slack,
        rendered.text,
        rendered.html,
        rendered.sms,
        chart,
        rendered.alt,
        rendered.hash,
        datetime.now(UTC),
        run_id,
    )
    return int(version) + 1


def stored(query: Query, client_id: str, report: str, day: date, version: int) -> Rendered:
    """A version as it was made, to the byte."""
    sql = (
        f"SELECT subject, slack, text, html, sms, chart, alt FROM {REPORTS} "
        "WHERE _client_id = %s AND report = %s AND date = %s AND version = %s"
    )
    subject, slack, text, html, sms, chart, alt = query(sql, client_id, report, day, version)[0]
    picture = base64.b64decode(chart) if chart else None
    return Rendered(
        subject=subject, slack=slack, text=text, html=html, sms=sms, chart=picture, alt=alt
    )


def last_inputs(query: Query, client_id: str, report: str, day: date) -> Mapping[str, Any] | None:
    """What the last report of an earlier day was made from: of its versions the one that was sent,
    else the newest.
    """
    if not table_exists(query, SCHEMA, "reports"):
        return None
    rows = query(
        f"SELECT r.inputs FROM {REPORTS} AS r WHERE r._client_id = %s AND r.report = %s AND r.date"
        f" < %s ORDER BY r.date DESC, EXISTS (SELECT 1 FROM {DELIVERIES} AS d WHERE d._client_id ="
        " r._client_id AND d.report = r.report AND d.date = r.date AND d.version = r.version AND"
        " d.status = 'sent') DESC, r.version DESC LIMIT 1",
        client_id,
        report,
        day,
    )
    found = rows[0][0] if rows else None
    return json.loads(found) if isinstance(found, str) else found
