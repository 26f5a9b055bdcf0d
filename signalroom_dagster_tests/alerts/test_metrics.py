"""What Prometheus is told of every client's sources."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from signalroom_dagster.alerts import metrics, telling
from signalroom_dagster.alerts.incidents import Failure
from signalroom_dagster.alerts.metrics import SourceFigures
from signalroom_dagster.loading.pipelines import run_load
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.triggers import FinishedRun
from signalroom_dagster_tests.projects import Project, orders, write_export


class Figures:
    """The figures as a registry collects them."""

    def __init__(self) -> None:
        self._figures = SourceFigures()

    def collect(self) -> list[Metric]:
        return [*self._figures()]


def scraped() -> str:
    registry = CollectorRegistry()
    registry.register(Figures())
    return generate_latest(registry).decode()


def test_rows_age_and_open_incidents_are_told_and_a_dagster_that_is_away(project: Project) -> None:
    project.set(SIGNALROOM_WEBSERVER_URL="http://127.0.0.1:9")
    write_export(
        project.add_client("713") / "orders-create/report_2026-03-01.csv", orders([1, 2, 3])
    )
    run_load("s3_exports", get_client("713"), "run")
    for run in ("r1", "r2"):
        telling.incidents().note(
            Failure(kind="source", subject="redtrack", client="713", error="VendorError", run=run)
        )
    text = scraped()
    assert 'signalroom_source_rows{client="713",source="s3_exports"} 3.0' in text
    assert 'signalroom_source_stale{client="713",source="s3_exports"} 0.0' in text
    assert (
        'signalroom_open_incident_failures{client="713",kind="source",subject="redtrack"} 2.0'
        in text
    )
    assert "signalroom_warehouse_up 1.0" in text and "signalroom_dagster_up 0.0" in text


def test_a_warehouse_that_is_away_takes_nothing_else_with_it(project: Project) -> None:
    project.set(SIGNALROOM_WEBSERVER_URL="http://127.0.0.1:9")
    project.use_postgres("postgresql://nobody@127.0.0.1:9/none")
    project.add_client("713")
    assert "signalroom_warehouse_up 0.0" in scraped()


def test_of_runs_the_last_ones_time_counts_and_how_the_latest_ended(project: Project) -> None:
    runs = [
        FinishedRun("everflow", "713", "SUCCESS", 12.5),
        FinishedRun("everflow", "713", "FAILURE", 99.0),
        FinishedRun("everflow", "cti", "SUCCESS", 3.0),
    ]
    seconds, ended = metrics._of_finished(runs)
    assert {tuple(sample.labels.values()): sample.value for sample in seconds.samples} == {
        ("713", "everflow"): 12.5,
        ("cti", "everflow"): 3.0,
    }
    assert {tuple(sample.labels.values()): sample.value for sample in ended.samples} == {
        ("713", "everflow", "success"): 1,
        ("713", "everflow", "failure"): 1,
        ("cti", "everflow", "success"): 1,
    }
