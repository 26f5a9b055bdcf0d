"""One attempt is one step attempt: failures become Dagster's own retries, visible in the UI.

Not a RetryPolicy: its exponential waits are 1, 3, 7, 15 s without a cap, and it cannot tell errors
apart. What is retried stands in `signalroom_dagster.retries`.

https://docs.dagster.io/guides/build/ops/op-retries
"""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg

from signalroom_dagster.errors import ConfigurationError, SignalRoomError
from signalroom_dagster.platform.tags import PARENT_RUN_TAG, RETRY_NUMBER_TAG
from signalroom_dagster.redaction import redact_error
from signalroom_dagster.registry.clients import Client, get_client
from signalroom_dagster.retries import ATTEMPTS, decide, root_error

ERROR, ATTEMPTS_MADE, SAID, CONCERNS = "error", "attempts", "said", "concerns"
"""The metadata of a final failure."""

REFUSED_BY_DAGSTER = frozenset(
    {"DagsterInvalidInvocationError", "DagsterUnknownPartitionError", "ValidationError"}
)
"""What Dagster raises before an attempt: no such partition, or a wrong run configuration. By name,
since its event log keeps no more of an error.
"""


def client_of(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Client:
    """The client that a run is for. Raises dg.Failure for a run without a partition, or with one
    that is no client.
    """
    try:
        if context.has_partition_key:
            return get_client(context.partition_key)
        words = (
            "the run is for no one client: choose a partition, as in --partition 713, each client"
            " in a run of its own"
        )
    except ConfigurationError as error:
        words = str(error)
    metadata = {ERROR: "WrongRequestError", SAID: words, CONCERNS: "request"}
    raise dg.Failure(words, metadata=metadata, allow_retries=False)


@contextmanager
def attempt(context: dg.AssetExecutionContext, subject: str) -> Generator[None]:
    """Turn what the block raises into a retry, or into a failure that is not retried.

    `subject` says for which client and source, in every message. Attempts of the crashed runs that
    this run replaces count: five in all.
    """
    number = earlier_attempts(context) + context.retry_number + 1
    if number > ATTEMPTS:  # the run crashed in the last of them
        told = {ERROR: "Run lost", ATTEMPTS_MADE: ATTEMPTS}
        raise dg.Failure(
            f"{subject}: {ATTEMPTS} attempts failed, the last with its run",
            told,
            allow_retries=False,
        )
    try:
        yield
    except (dg.RetryRequested, dg.Failure, dg.DagsterExecutionInterruptedError):
        raise
    except Exception as error:
        redact_error(
            error
        )  # Dagster keeps its words, and those of what caused it, in the event log
        decision = decide(error, number)
        cause = root_error(error)
        if isinstance(cause, KeyboardInterrupt):
            raise dg.DagsterExecutionInterruptedError(f"{subject}: interrupted") from error
        said = f"{subject}: {type(cause).__name__}: {cause}"
        if decision.wait is None:
            raise dg.Failure(
                f"{said} ({decision.why})", metadata=_told(cause, number), allow_retries=False
            ) from error
        context.log.warning("%s (%s, again in %.0f s)", said, decision.why, decision.wait)
        raise dg.RetryRequested(max_retries=ATTEMPTS, seconds_to_wait=decision.wait) from error


def _told(cause: BaseException, number: int) -> dict[str, str | int]:
    """What an alert may say of a failure: our own errors' words without a vendor's, of all others
    the class alone.
    """
    told: dict[str, str | int] = {ERROR: type(cause).__name__, ATTEMPTS_MADE: number}
    if isinstance(cause, SignalRoomError):
        told |= {SAID: str(getattr(cause, "sentence", cause)), CONCERNS: cause.concerns}
    return told


def first_run_id(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The run that this one goes on from: itself, or the first of the crashed runs that it
    replaces.

    What a load commits is noted under this id, so that a restarted run goes on where the crashed
    one stopped. Runs that a person started again from the UI are runs of their own.
    """
    while run.tags.get(RETRY_NUMBER_TAG) and (parent := run.tags.get(PARENT_RUN_TAG)):
        earlier = instance.get_run_by_id(parent)
        if earlier is None:
            return parent
        run = earlier
    return run.run_id


def earlier_attempts(context: dg.AssetExecutionContext) -> int:
    """Attempts at this step in the crashed runs before this one."""
    step = context.op_execution_context.get_step_execution_context().step.key
    total = 0
    tags = context.run.tags
    while tags.get(RETRY_NUMBER_TAG) and (parent := tags.get(PARENT_RUN_TAG)):
        for stats in context.instance.get_run_step_stats(parent, [step]):
            total += max(1, stats.attempts or 0)
        run = context.instance.get_run_by_id(parent)
        tags = run.tags if run else {}
    return total
