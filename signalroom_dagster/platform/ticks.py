"""Schedules and sensors as Dagster remembers them: which are off, and how the last tick ended."""

from collections.abc import Container, Iterator
from dataclasses import dataclass

import dagster as dg

TICKS_LOOKED_AT = 3


@dataclass(frozen=True, slots=True)
class LastTick:
    """The last tick of a schedule or sensor that has ended; `moment` (epoch) is None before it.

    `error` is the class of what it failed with, empty when it did not.
    """

    kind: str
    name: str
    is_off: bool
    id: int = 0
    moment: float | None = None
    error: str = ""


def last_ticks(
    instance: dg.DagsterInstance, names: Container[str] | None = None
) -> Iterator[LastTick]:
    """The last tick of every schedule and sensor that Dagster knows, or of those named so."""
    for state in instance.all_instigator_state():
        name, kind = state.instigator_name, state.instigator_type.value.lower().replace("_", " ")
        if names is not None and name not in names:
            continue
        if state.status.value == "STOPPED":
            yield LastTick(kind, name, is_off=True)
            continue
        ticks = instance.get_ticks(
            state.instigator_origin_id, state.selector_id, limit=TICKS_LOOKED_AT
        )
        tick = next((tick for tick in ticks if tick.status.value != "STARTED"), None)
        if tick is None:
            yield LastTick(kind, name, is_off=False)
            continue
        error = tick.error.cause or tick.error if tick.error else None
        words = (error.cls_name if error else None) or "unknown error"
        failed = words if tick.status.value == "FAILURE" else ""
        yield LastTick(kind, name, False, int(tick.tick_id), tick.timestamp, failed)
