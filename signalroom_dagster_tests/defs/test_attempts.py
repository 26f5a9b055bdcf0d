"""What becomes of an attempt that is ended from outside."""

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from dlt.common.exceptions import DltException, SignalReceivedException

from signalroom_dagster.defs.attempts import attempt


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
