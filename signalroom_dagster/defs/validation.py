"""`dagster definitions validate` and `dg check defs` refuse what a running code location leaves
out.

A deployment that is already running must not end for one client's typo; one that is being built
must.
"""

import os

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.declarations import problems
from signalroom_dagster.defs.assets.declared import everything_set_aside

VALIDATION = "DAGSTER_IS_DEFS_VALIDATION_CLI"
"""Set by both commands, for what loads otherwise."""


def refuse_what_is_set_aside() -> None:
    """Raises ConfigurationError with everything that cannot be read, while definitions are being
    validated.
    """
    if os.environ.get(VALIDATION) and (found := sorted({*everything_set_aside(), *problems()})):
        lines = [f"{item.client} {item.subject}: {item.problem}".strip() for item in found]
        raise ConfigurationError(
            "\n".join(["what is set aside, or would fail, while SignalRoom runs:", *lines])
        )
