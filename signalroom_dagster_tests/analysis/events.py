"""Events for the tests of what comes after them."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from signalroom_dagster.events.contracts import Contract
from signalroom_dagster.events.stores.store import Received

KINDS = ("attribution", "audience", "creative")
CONTRACT = Contract("713", frozenset(KINDS), timedelta(hours=1))
BAD = b'{"campaigns": [{"campaign": "spring", "people": 3, "reached": 4}]}'
"""An audience that reached more people than it has."""


def payload(kind: str, number: int = 1) -> bytes:
    """A good result of one type; jobs of other numbers have other figures."""
    entries: Mapping[str, Mapping[str, Any]] = {
        "attribution": {"conversions": number, "revenue": f"{number}.5", "cost": 2},
        "audience": {"people": 100 + number, "reached": number},
        "creative": {"creative": "wide", "impressions": 1_000 + number, "clicks": number},
    }
    return json.dumps({"campaigns": [{"campaign": "spring", **entries[kind]}]}).encode()


def event(
    job: str,
    kind: str,
    body: bytes | None = None,
    *,
    contract: Contract = CONTRACT,
    at: datetime | None = None,
) -> Received:
    """One event of the job `j<number>`."""
    number = int("".join(filter(str.isdigit, job)) or 1)
    return Received(
        contract.tenant_id,
        job,
        kind,
        body or payload(kind, number),
        f"{job}-{kind}",
        at or datetime.now(UTC),
        contract,
    )


def whole(
    jobs: Iterable[str], *, contract: Contract = CONTRACT, at: datetime | None = None
) -> list[Received]:
    """All events of some jobs."""
    return [event(job, kind, contract=contract, at=at) for job in jobs for kind in KINDS]
