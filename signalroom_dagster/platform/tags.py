"""The run tags that two parts agree on: Dagster's own, and those by which `dagster.yaml` limits
runs.
"""

PARTITION_TAG = "dagster/partition"
BACKFILL_TAG = "dagster/backfill"
PRIORITY_TAG = "dagster/priority"
MAX_RUNTIME_TAG = "dagster/max_runtime"
PARENT_RUN_TAG = "dagster/parent_run_id"
MAX_RETRIES_TAG = "dagster/max_retries"
RETRY_NUMBER_TAG = "dagster/retry_number"
WILL_RETRY_TAG = "dagster/will_retry"
RETRIED_BY_TAG = "dagster/auto_retry_run_id"
REASON_TAG = "dagster/failure_reason"

SOURCE_TAG, MODEL_TAG, REPORT_TAG = "signalroom/source", "signalroom/model", "signalroom/report"
"""On ops and jobs: the source that is loaded, the model's table as <schema>/<table>, the report.
What alerts are about is read from them.
"""
ACCOUNT_TAG = "signalroom/account"
"""Which vendor account a run uses, as <source>:<client>: one run of each at a time."""
QUEUE_TAG = "signalroom/queue"
"""Which queue a run waits in: api, files or reports."""
SYNC_TAG = "signalroom/daily_sync"
"""The client whose sources a `daily_sync` loads: one run of each client at a time."""
SUPERVISED_TAG = "signalroom/supervised"
"""On runs that a sensor looks after: it starts the next one, and tells when that does not help."""
DUE_TAG = "signalroom/due"
"""Which tick of which client's report a run makes, as <client>:<report>:<moment>."""
REPORTED_AGAIN_TAG = "signalroom/reported_again"
"""The run whose failure was reported a second time, because Dagster had overlooked it."""


def account(source: str, client_id: str) -> str:
    """The value of ACCOUNT_TAG."""
    return f"{source}:{client_id}"
