"""The SQL of docs/CUTOVER.md, on what the reports of a shadow mode leave."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.reports.dispatch import send_report
from signalroom_dagster.reports.report import make_report
from signalroom_dagster.reports.subscriptions import report_day
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.reports.morning import (
    DAY,
    FileSender,
    create_tables,
    earned,
    insert,
    mapped,
    read,
    spent,
    subscribe,
)

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "CUTOVER.md"


@pytest.mark.slow  # every table of a morning on Postgres
def test_the_guides_sql_tells_which_days_differ_from_the_old_systems(
    project: Project, postgres_url: str, tmp_path: Path
) -> None:
    project.use_postgres(postgres_url)
    subscribe(project)
    create_tables()
    mapped("meta", "G2 - Meta")
    days = [DAY - timedelta(days=number) for number in range(3)]
    for day in days:
        earned(day, "Northwind", 4, "400.10", "300.01")
        earned(day, "G2 - Meta", 1, "10.00", "0.00")
        spent(day, "meta", 7, "50.00")
    for source in ("everflow", "redtrack"):
        read(source, DAY - timedelta(days=13), DAY)
    for day in days:
        made = make_report(report_day(get_client("713"), "daily_ccw", day))
        send_report(made, "run", None)  # as the asset does it with `reports.send` off
    _, words, tables, difference = re.findall(r"```sql\n(.+?)```", GUIDE.read_text(), re.DOTALL)
    with access.transaction("test") as query:
        for statement in filter(str.strip, tables.split(";")):
            query(statement)
    old = {"_client_id": "713", "report": "daily_ccw", "conversions": 5, "revenue": "410.10"}
    insert(
        "cutover.old_reports",
        {**old, "date": days[0], "cost": "350.01"},
        {**old, "date": days[1], "cost": "700.02"},
    )
    told = ask(difference.rstrip().rstrip(";"))
    assert [(row[0], row[-1]) for row in told] == list(
        zip(days, ("same", "differs", "only new"), strict=True)
    )
    assert str(told[1][6]) == "-350.0100"
    sender = FileSender(tmp_path / "sent.jsonl")
    send_report(
        make_report(report_day(get_client("713"), "daily_ccw", DAY)),
        "switch",
        sender,
        channel="slack",
    )
    assert [item["channel"] for item in sender.sent] == ["slack"], (
        "what was not sent then can be sent after the switch"
    )
    assert [row[0] for row in ask(words.rstrip().rstrip(";"))] == days
