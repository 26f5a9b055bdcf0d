"""Takes dead letters in again: those that are good events by now, because a contract or a client
was put right.
"""

from signalroom_dagster.events import intake
from signalroom_dagster.events.intake import Contracts, ForbiddenError, Sender, TooLargeError
from signalroom_dagster.events.stores.store import DeadLetter, Outcome, Received, Store

AT_ONCE = 500
_FINAL = (Outcome.CONFLICT, Outcome.TOO_LATE)


def resubmit(store: Store, contracts: Contracts, tenant_id: str) -> tuple[int, int]:
    """How many of a tenant's letters were stored as events, and how many stay what they are.

    A letter that was another payload for a stored event stays one: what came first stands. Raises
    StoreError.
    """
    sender = intake.sent_now(frozenset({tenant_id}))
    good = bad = passed = 0
    while letters := store.letters(tenant_id, AT_ONCE, passed):
        taken: list[str] = []
        for one in letters:
            if (
                one.stage == "ingest"
                and one.reason not in _FINAL
                and (events := _events(one, sender, contracts))
            ):
                store.append(events)
                taken.append(one.id)
        store.replayed(taken)
        good += len(taken)
        bad += sum(one.stage == "ingest" for one in letters) - len(taken)
        passed += len(letters) - len(taken)
    return good, bad


def _events(one: DeadLetter, sender: Sender, contracts: Contracts) -> list[Received]:
    try:
        found = intake.from_json(one.body, sender, contracts)
    except (ForbiddenError, TooLargeError):
        return []
    return [] if found.letters else found.events
