"""What becomes of an attempt that is ended from outside."""

from typing import Any

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from dlt.common.exceptions import DltException, SignalReceivedException

from signalroom_dagster.alerts import telling
from signalroom_dagster.defs.alerts import with_alerts
from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.platform.attempts import attempt
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.providers import Providers


def test_a_run_that_is_terminated_while_dlt_loads_ends_and_is_not_tried_again() -> None:
    tried = 0

    @dg.asset
    def slices(context: dg.AssetExecutionContext) -> None:
        nonlocal tried
        tried += 1
        with attempt(context, "client 713, source everflow"):
            raise DltException("a wrapper") from SignalReceivedException(2)

    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(DagsterExecutionInterruptedError):
            dg.materialize([slices], instance=instance)
        [run] = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.FAILURE
    assert tried == 1


KEY = dg.AssetKey(["everflow", "daily_stats"])
LOAD = "load_everflow"


@pytest.mark.parametrize(
    ("partition", "config", "words"),
    [
        (None, {}, "the run is for no one client: choose a partition"),
        ("nobody", {}, "no client 'nobody' in data/clients/ (there are: 713, "),
        ("cti", {}, "cti/client.toml: timezone: "),
        ("other", {}, "client other does not use everflow"),
        ("713", {"since": "2026-03-02", "until": "2026-03-01"}, "the first is after the last"),
        ("713", {"since": "2026-02-30"}, "'2026-02-30' is not a day"),
        ("713", {"since": "2999-01-01"}, "the days since 2999-01-01 are still to come"),
        ("713", {"lookback_days": 0}, "lookback_days is 0: 1 reads today again"),
    ],
)
def test_what_cannot_be_asked_for_is_answered_in_the_run_and_opens_no_incident(
    project: Project,
    providers: Providers,
    partition: str | None,
    config: dict[str, Any],
    words: str,
) -> None:
    for client in ("713", "cti"):
        project.add_api_client(client, "everflow", api_key="key")
    project.add_client("other")
    file = project.root / "data/clients/cti/client.toml"
    file.write_text(
        file.read_text().replace("New_York", "New_Yrok") if partition == "cti" else file.read_text()
    )
    definitions = dg.Definitions(
        assets=with_alerts([build_ingest_assets("everflow")]),
        resources=RESOURCES,
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            tags={"dagster/partition": partition} if partition else {},
            run_config={"ops": {LOAD: {"config": config}}},
            asset_selection=[KEY],
            raise_on_error=False,
        )
        failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert len(failures) == 1
    error = failures[0].error
    said = [each.message for each in (error, error and error.cause) if each]
    assert any(words in message for message in said), said
    assert telling.incidents().open() == [] and providers.outbox.of("slack") == []
