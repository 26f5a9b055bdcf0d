"""Events as the gateway hands them to a store, and a moment that all of them agree on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from signalroom_dagster.events.contracts import Contract
from signalroom_dagster.events.stores.store import JobKey, Received

NOW = datetime.now(UTC).replace(microsecond=123456)
TYPES = ("attribution", "audience", "creative")
CONTRACT = Contract("713", frozenset(TYPES), timedelta(minutes=30))


def received(
    job_id: str,
    analysis_type: str = "attribution",
    payload: bytes = b'{"score": 1}',
    *,
    at: datetime = NOW,
    contract: Contract = CONTRACT,
) -> Received:
    return Received(contract.tenant_id, job_id, analysis_type, payload, "", at, contract)


def whole(*job_ids: str, at: datetime = NOW, contract: Contract = CONTRACT) -> list[Received]:
    """Everything that these jobs need."""
    return [
        received(job, name, at=at, contract=contract)
        for job in job_ids
        for name in sorted(contract.required)
    ]


def keys(*job_ids: str, tenant_id: str = "713") -> Sequence[JobKey]:
    return [JobKey(tenant_id, job) for job in job_ids]
