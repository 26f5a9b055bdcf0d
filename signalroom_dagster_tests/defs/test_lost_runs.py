"""Lost runs: reported again when Dagster overlooked them, and never tried a sixth time."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from signalroom_dagster.defs import lost_runs
from signalroom_dagster.defs.lost_runs import build_lost_runs_sensor
from signalroom_dagster.platform.attempts import attempt
from signalroom_dagster_tests.defs.test_alerts import lost_run
from signalroom_dagster_tests.projects import Project


@pytest.fixture
def instance(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(lost_runs, "OVERLOOKED_AFTER", timedelta(seconds=-5))
    with dg.instance_for_test() as made:
        yield made


def failures(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int:
    return len(
        instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    )


def look(instance: dg.DagsterInstance) -> str:
    found: Any = build_lost_runs_sensor()(dg.build_sensor_context(instance=instance))
    return found.skip_message


def test_a_lost_run_that_nobody_started_again_is_reported_once_more(
    instance: dg.DagsterInstance,
) -> None:
    run = lost_run(instance, remote=True, **{"dagster/will_retry": "true"})
    assert look(instance) == f"reported once more: {run.run_id}"
    assert failures(instance, run) == 2
    assert look(instance) == "reported once more: nothing"
    copied = {"dagster/will_retry": "true", "signalroom/reported_again": run.run_id}
    successor = lost_run(instance, remote=True, **copied)
    assert look(instance) == f"reported once more: {successor.run_id}"


@pytest.mark.parametrize(
    ("remote", "tags"),
    [
        (True, {"dagster/will_retry": "true", "dagster/auto_retry_run_id": "another"}),
        (True, {"dagster/will_retry": "false"}),
        (False, {"dagster/will_retry": "true"}),
    ],
)
def test_a_run_that_is_started_again_or_cannot_be_is_left_alone(
    instance: dg.DagsterInstance, remote: bool, tags: dict[str, str]
) -> None:
    run = lost_run(instance, remote=remote, **tags)
    assert look(instance) == "reported once more: nothing"
    assert failures(instance, run) == 1


def test_the_daemon_is_given_time_to_start_it_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost_runs, "OVERLOOKED_AFTER", timedelta(minutes=1))
    lost_run(instance, remote=True, **{"dagster/will_retry": "true"})
    assert look(instance) == "reported once more: nothing"


def test_a_run_that_crashed_in_its_fifth_attempt_is_not_tried_a_sixth_time(
    instance: dg.DagsterInstance,
) -> None:
    tried: list[int] = []

    @dg.op
    def load(context: dg.OpExecutionContext) -> None:
        with attempt(context, "client 713, source everflow"):  # pyright: ignore[reportArgumentType]
            tried.append(context.retry_number)

    @dg.job
    def everflow() -> None:
        load()

    crashed = create_run_for_test(instance, job_name="everflow", status=dg.DagsterRunStatus.STARTED)
    for number in range(5):
        happened = dg.DagsterEventType.STEP_RESTARTED if number else dg.DagsterEventType.STEP_START
        instance.report_dagster_event(
            dg.DagsterEvent(happened.value, job_name="everflow", step_key="load"), crashed.run_id
        )
    tags = {"dagster/retry_number": "1", "dagster/parent_run_id": crashed.run_id}
    result = everflow.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
    assert not result.success
    assert tried == []
    error = result.failure_data_for_node("load")
    assert error and error.user_failure_data
    assert error.user_failure_data.description == (
        "client 713, source everflow: 5 attempts failed, the last with its run"
    )
