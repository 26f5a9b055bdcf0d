"""Every row of the failure table, and the tests that cause it; here stands what no other module
does.

Network timeout, rate limit, 5xx: retried, then the run fails and one alert is sent
    sources/test_http.py: a cut connection, a closed port and a timeout are retried
    defs/test_api_ingest.py: a vendor's Retry-After is waited for; what was committed is not asked
    for again defs/test_alerts.py: a plain run that fails for good alerts once, and its success is
    the recovery
Invalid credentials, bad configuration: fails at once, naming client, source and key, never a secret
    defs/test_api_ingest.py: a refused key is one attempt and names what to set; no failure shows
    the key or a person defs/test_ingest.py: missing configuration fails at once and names the key
    defs/test_commands.py: a materialization that fails on the command line alerts once
Postgres down: waited for, then the run fails clearly and the sensor or schedule asks again
    loading/test_postgres.py: a load waits for a Postgres that comes back; pauses grow to a minute
    here, and defs/test_schedules.py: a client whose load is not finished is left out, and asked for
    when it failed
Full disk, no writes taken, damaged file, unwritable folder: told with client, source and place;
nothing is lost
    loading/test_full_disks.py, loading/test_inspection.py
Run worker or machine lost, run past its longest time: run again, as if the load had happened once
    running/test_crashes.py: worker, code server, daemon, webserver, machine; five attempts; the
    longest time running/test_production.py: the pool slot of a killed worker
    defs/test_lost_runs.py: what Dagster overlooks is reported again
Partial load: never visible as complete; the next run repairs it
    loading/test_killed_loads.py, loading/test_killed_slices.py: kill -9 at every stage, connections
    ended all the time defs/test_ingest.py: a download cut short is never loaded in part
Bad file, bad row: quarantined with its reason; the rest loads; the check says so
    loading/test_file_load.py: only a file without the key column is quarantined
    sources/s3_exports/test_tagging.py: a record that cannot be read is rejected and the others load
    defs/test_ingest.py: rejected rows are a warning on the asset
"""

from collections.abc import Iterator
from functools import partial

import dagster as dg
import pytest

from signalroom_dagster.defs.alerts import with_alerts
from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.defs.test_new_files import Clock, Ticks, clock
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.postgres import PASSWORD, PostgresServer
from signalroom_dagster_tests.projects import Project, orders, write_export
from signalroom_dagster_tests.providers import Providers

__all__ = ["clock"]  # a fixture


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that can be stopped without harm to other tests."""
    made = PostgresServer().start()
    yield made
    made.remove()


@pytest.mark.slow
def test_a_postgres_that_stays_away_fails_the_run_with_one_alert_and_the_sensor_asks_again(
    project: Project,
    providers: Providers,
    server: PostgresServer,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        access, "wait_until_reachable", partial(access.wait_until_reachable, wait_seconds=3)
    )
    project.use_postgres(server.create_database("warehouse"))
    write_export(project.add_client("713") / "orders-create/report_2026-03-01.csv", orders([1, 2]))
    with dg.instance_for_test() as instance:
        ticks = Ticks(instance)
        assert ticks.tick() == ["713"]
        server.stop()
        failed = load(instance)
        [failure] = [event for event in failed.all_node_events if event.is_step_failure]
        assert not [event for event in failed.all_node_events if event.is_step_up_for_retry]
        said = failure.step_failure_data.error_display_string
        assert "client 713, source s3_exports: DestinationLostError: " in said
        assert "waited 3 s. The next schedule or sensor tick asks again" in said
        [alert] = providers.outbox.of("slack")
        assert alert.text.startswith("🔴 The warehouse cannot be used\nDestinationLostError: ")
        assert PASSWORD not in said + alert.text
        clock.now += 120
        assert ticks.tick() == ["713"]
        server.start()
        assert load(instance).success
        assert ticks.tick() == []
    assert ask("SELECT count(*), count(DISTINCT orders_id) FROM s3_exports.orders_create") == [
        (2, 2)
    ]
    assert providers.outbox.of("slack")[1].text.startswith("🟢 The warehouse works again")


def load(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """What the requested run would do."""
    definitions = dg.Definitions(
        assets=with_alerts([build_ingest_assets("s3_exports")]), resources=RESOURCES
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, partition_key="713", raise_on_error=False)
