"""Takes dead letters in again: those that are good events by now, because a contract or a client was put right."""

from signalroom_dagster.events import intake
from signalroom_dagster.events.intake import Contracts, ForbiddenError, Sender
from signalroom_dagster.events.stores.contract import DeadLetter, Outcome, Received, Store

AT_ONCE = 1_000
_FINAL = (Outcome.CONFLICT, Outcome.TOO_LATE)


def resubmit(store: Store, contracts: Contracts, tenant_id: str) -> tuple[int, int]:
    """How many of a tenant's letters were stored as events, and how many stay what they are.

    A letter that was another payload for a stored event stays one: what came first stands. Raises StoreError.
    """
    sender = intake.sent_now(frozenset({tenant_id}))
    letters = [one for one in store.letters(tenant_id, AT_ONCE) if one.stage == "ingest"]
    good: list[str] = []
    for one in letters:
        if one.reason not in _FINAL and (events := _events(one, sender, contracts)):
            store.append(events)
            good.append(one.id)
    store.replayed(good)
    return len(good), len(letters) - len(good)


def _events(one: DeadLetter, sender: Sender, contracts: Contracts) -> list[Received]:
    try:
        found = intake.from_json(one.body, sender, contracts)
    except ForbiddenError:
        return []
    return [] if found.letters else found.events
