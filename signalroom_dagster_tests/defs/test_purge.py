"""What is older than it is kept goes, and nothing that is still told from goes with it."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from signalroom_dagster.defs.purge import purge_runs
from signalroom_dagster.loading.pipelines import complete_own_tables
from signalroom_dagster.loading.retention import purge_warehouse
from signalroom_dagster.reports.tables import create_report_tables
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project

ROW = "INSERT INTO everflow.restatements (_client_id, resource, day, key, seen_at, run_id) VALUES "
SENT = (
    "INSERT INTO reports.deliveries (_client_id, report, date, channel, recipient, number, key,"
    " version, intent_at, status, run_id) VALUES ('713', 'daily', '2025-03-02', 'sms', %s, 1, 'k',"
    " 1, %s, 'sent', 'r')"
)
TWO = dg.StaticPartitionsDefinition(["713", "cti"])


@dg.asset(partitions_def=TWO)
def by_client() -> None: ...


@dg.asset
def of_all() -> None: ...


def test_rows_go_after_the_days_that_their_table_keeps_them(any_warehouse: Project) -> None:
    any_warehouse.add_api_client("713", "everflow", api_key="x")
    old, young = datetime.now(UTC) - timedelta(days=401), datetime.now(UTC) - timedelta(days=399)
    with access.exclusive():
        complete_own_tables("everflow")
        create_report_tables()
    for moment in (old, young):
        ask(f"{ROW} ('713', 'daily_stats', '2025-03-02', 'k', %s, 'r')", moment)
        ask(SENT, str(moment), moment)
    assert purge_warehouse() == 1
    assert ask("SELECT seen_at > %s FROM everflow.restatements", old) == [(True,)]
    any_warehouse.set(RETENTION__DELIVERIES_DAYS="400", RETENTION__RESTATEMENTS_DAYS="0")
    ask(f"{ROW} ('713', 'daily_stats', '2025-03-02', 'k', %s, 'r')", old)
    assert purge_warehouse() == 1
    assert ask("SELECT count(*) FROM reports.deliveries") == [(1,)]
    assert ask("SELECT count(*) FROM everflow.restatements") == [(2,)]


@pytest.mark.usefixtures("project")
def test_runs_go_with_their_events_but_for_the_newest_of_each_partition() -> None:
    with dg.instance_for_test() as instance:
        made = [
            dg.materialize([by_client], instance=instance, partition_key=client).run_id
            for client in ("713", "cti", "713")
        ]
        whole = [dg.materialize([of_all], instance=instance).run_id for _ in range(2)]
        assert purge_runs(instance, datetime.now(UTC) - timedelta(days=1)) == 0
        assert purge_runs(instance, datetime.now(UTC) + timedelta(minutes=1)) == 2
        assert {run.run_id for run in instance.get_runs()} == {*made[1:], whole[1]}
        assert instance.all_logs(made[0]) == []
        assert instance.get_materialized_partitions(dg.AssetKey("by_client")) == {"713", "cti"}
