"""The run queue tells every run's account, queue, priority and longest time, wherever the run comes
from.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from signalroom_dagster.config import project_dir
from signalroom_dagster_tests.projects import Project

REPORT = """
[[reports]]
name = "morning"
template = "daily_performance"
slack = "#reporting"
"""


@pytest.fixture
def instance(project: Project, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster with the project's own settings, and a client whose report reads Everflow, RedTrack
    and the mapping.
    """
    settings = (Path(__file__).parents[2] / "dagster.yaml").read_text()
    project.add_api_client("713", "everflow")
    project.add_api_client("713", "mautic")
    project.add_client("cti")
    entry = project.root / "data" / "clients" / "713" / "client.toml"
    entry.write_text(entry.read_text() + REPORT)
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(settings)
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made


def submitted(
    instance: dg.DagsterInstance,
    job: str = "__ASSET_JOB",
    *keys: str,
    tags: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Mapping[str, str]:
    """The tags of a run once it is in the queue."""
    where = RemoteRepositoryOrigin(
        GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1), "__repository__"
    )
    run = dg.DagsterRun(
        job_name=job,
        tags={"dagster/partition": "713", **(tags or {})},
        run_config=config,
        asset_selection=frozenset(dg.AssetKey(key.split("/")) for key in keys) or None,
        remote_job_origin=RemoteJobOrigin(where, job),
    )
    instance.add_run(run)
    instance.run_coordinator.submit_run(dg.SubmitRunContext(run, workspace=None))  # pyright: ignore[reportArgumentType]
    queued = instance.get_run_by_id(run.run_id)
    assert queued and queued.status == dg.DagsterRunStatus.QUEUED
    return queued.tags


def test_a_load_belongs_to_its_account_however_it_was_started(instance: dg.DagsterInstance) -> None:
    by_job, by_asset = (
        submitted(instance, "everflow"),
        submitted(instance, "__ASSET_JOB", "everflow/daily_stats"),
    )
    for tags in (by_job, by_asset):
        assert tags["signalroom/account"] == "everflow:713"
        assert tags["signalroom/queue"] == "api"
        assert tags["dagster/max_runtime"] == "1800"
        assert tags["signalroom/source"] == "everflow"
    assert submitted(instance, "s3_exports")["signalroom/queue"] == "files"
    report = submitted(instance, "__ASSET_JOB", "reports/morning")
    assert report["signalroom/report"] == "morning"


def test_what_the_morning_report_reads_comes_before_what_it_does_not_and_backfills_last(
    instance: dg.DagsterInstance,
) -> None:
    priorities = {
        "report": submitted(instance, "morning_report")["dagster/priority"],
        "model": submitted(instance, "__ASSET_JOB", "public/orders")["dagster/priority"],
        "everflow": submitted(instance, "everflow")["dagster/priority"],
        "mautic": submitted(instance, "mautic").get("dagster/priority", "0"),
        "backfill": submitted(instance, "everflow", tags={"dagster/backfill": "abc"})[
            "dagster/priority"
        ],
    }
    assert sorted(priorities, key=lambda name: int(priorities[name]), reverse=True) == [
        "report",
        "model",
        "everflow",
        "mautic",
        "backfill",
    ]


def test_a_report_that_a_client_subscribes_to_later_counts_at_once(
    project: Project, instance: dg.DagsterInstance
) -> None:
    entry = project.root / "data" / "clients" / "713" / "client.toml"
    whole = entry.read_text()
    entry.write_text(whole.replace(REPORT, ""))
    assert "dagster/priority" not in submitted(instance, "everflow")
    entry.write_text(whole)
    assert "dagster/priority" in submitted(instance, "everflow")


def test_many_days_may_take_longer_and_a_tag_that_somebody_set_stays(
    instance: dg.DagsterInstance,
) -> None:
    config = {"ops": {"load_everflow": {"config": {"since": "2026-03-01", "until": "2026-03-21"}}}}
    assert submitted(instance, "everflow", config=config)["dagster/max_runtime"] == str(3 * 1800)
    assert (
        submitted(instance, "everflow", tags={"dagster/max_runtime": "60"})["dagster/max_runtime"]
        == "60"
    )


def test_a_report_may_take_as_long_as_it_waits_and_an_hour_more(
    project: Project, instance: dg.DagsterInstance
) -> None:
    assert submitted(instance, "morning_report")["dagster/max_runtime"] == "7200"
    project.set(REPORTS__WAIT_MINUTES="240")
    assert submitted(instance, "morning_report")["dagster/max_runtime"] == str(300 * 60)
    asked = {"ops": {"report_morning": {"config": {"wait_minutes": 0}}}}
    assert submitted(instance, "morning_report", config=asked)["dagster/max_runtime"] == "3600"
    both = submitted(instance, "__ASSET_JOB", "everflow/daily_stats", "reports/morning")
    assert both["dagster/max_runtime"] == str(1800 + 300 * 60)


def test_models_wait_in_no_queue_and_several_sources_share_no_account(
    instance: dg.DagsterInstance,
) -> None:
    assert "signalroom/queue" not in submitted(instance, "__ASSET_JOB", "public/orders")
    several = submitted(instance, "__ASSET_JOB", "everflow/daily_stats", "redtrack/daily_spend")
    assert several["signalroom/queue"] == "api" and "signalroom/account" not in several


def test_the_limits_of_the_project_hold_for_these_tags(instance: dg.DagsterInstance) -> None:
    queue = instance.get_concurrency_config().run_queue_config
    assert queue and queue.max_concurrent_runs == 16
    limited = {
        (limit["key"], limit["value"] if isinstance(limit["value"], str) else "each"): limit[
            "limit"
        ]
        for limit in queue.tag_concurrency_limits
    }
    assert limited == {
        ("signalroom/account", "each"): 1,
        ("signalroom/daily_sync", "each"): 1,
        ("signalroom/queue", "api"): 6,
        ("signalroom/queue", "files"): 2,
        ("signalroom/queue", "reports"): 6,
    }
    assert project_dir() != Path(__file__).parents[2]
