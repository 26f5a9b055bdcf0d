"""How work travels through dlt: a source offers it and marks its ticket for import, a load job
redeems the ticket.

The work is done in the load job, in the same process: a file or a slice is read while the database
takes another one, and whatever a load job commits stays committed when a later one fails.
"""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

_offered: dict[str, Callable[[], Any]] = {}


def offer(job: Callable[[], Any], folder: Path) -> Path:
    """Leave a job to be redeemed; the ticket for it is a file, as dlt wants to import one."""
    ticket = uuid.uuid4().hex
    _offered[ticket] = job
    path = folder / f"{ticket}.csv"
    path.write_text(ticket)
    return path


def redeem(path: Path) -> Any:
    """Do what was offered for a ticket. Raises what the job raises; it can then be asked again."""
    ticket = path.read_text()
    done = _offered[ticket]()
    del _offered[ticket]
    return done
