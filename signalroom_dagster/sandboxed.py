"""Whether a process belongs to the sandbox or to a test, and still has the settings that it was
given.

Dagster's commands read `.env` of the folder they are started in, over the environment of their
process: there, a demo would find the production warehouse. So a process that is meant for invented
data carries a mark, which holds a digest of each of its settings; `config` has them compared before
it names a warehouse, event store, channel or account.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from signalroom_dagster.errors import ConfigurationError

MARK = "SIGNALROOM_SANDBOX"
PREFIXES = (
    "SIGNALROOM_",
    "DESTINATION__",
    "SUPABASE_",
    "SOURCES__",
    "NOTIFICATIONS__",
    "EVENTS__",
    "DAGSTER_HOME",
)
"""What the variables begin with that say what is opened, and with which account."""


def only(settings: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that opens what `settings` name and nothing else, with the
    mark.
    """
    neutral = {name: value for name, value in inherited.items() if not name.startswith(PREFIXES)}
    return {**neutral, **settings, MARK: json.dumps(_digests(settings))}


def check_sandbox() -> None:
    """Raises ConfigurationError in a marked process whose settings are no longer those that it was
    given.

    Called before anything is named that could be opened: a warehouse, an event store, a channel, an
    account.
    """
    mark = os.environ.get(MARK)
    if not mark:
        return
    given, now = json.loads(mark), _digests(os.environ)
    if changed := sorted(
        name for name in given.keys() | now.keys() if given.get(name) != now.get(name)
    ):
        raise ConfigurationError(
            f"this process belongs to the sandbox, but {', '.join(changed)} no longer has the"
            " sandbox's value: nothing is opened. Dagster's commands read .env in the folder they"
            f" are started in, which is {Path.cwd()}: start this one in a folder that has none"
        )


def _digests(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: hashlib.blake2b(value.encode(), digest_size=8).hexdigest()
        for name, value in environment.items()
        if name.startswith(PREFIXES) and name != MARK
    }
