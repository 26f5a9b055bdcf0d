"""When sources are read: `[sources.<source>.schedules]`, cron lines in the clients' time zones.

Each has a name of one's own, and is a cron line, or a table with `cron` and `lookback_days`.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from signalroom_dagster.cron_lines import CronLine
from signalroom_dagster.refused_values import kind_of, refusals
from signalroom_dagster.sections import raw_setting
from signalroom_dagster.settings_files import named_variable, worded

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class Cadence(BaseModel):
    """When a source is read, as a cron line in the clients' zone; and how many days again."""

    model_config = ConfigDict(extra="forbid")

    cron: CronLine
    lookback_days: int | None = Field(default=None, gt=0)


def cadences(source: str) -> Mapping[str, Cadence]:
    """The times at which a source is read, by name, but for those that `refused_cadences` names."""
    return {name: entry for name, entry in _entries(source).items() if isinstance(entry, Cadence)}


def refused_cadences(source: str) -> Mapping[str, str]:
    """What is wrong with each time that cannot be read: where it stands, and the key."""
    return {name: entry for name, entry in _entries(source).items() if isinstance(entry, str)}


def _entries(source: str) -> Mapping[str, Cadence | str]:
    section = raw_setting(dict[str, str | Cadence], "sources", source, "schedules") or {}
    if not isinstance(section, Mapping):
        what = f"is {kind_of(section)}, but no table of names and their cron lines"
        return {"schedules": f"[sources.{source}] schedules {what}"}
    return {
        name: _entry(source, name, item)
        for name, item in cast("Mapping[str, Any]", section).items()
    }


def _entry(source: str, name: str, item: Any) -> Cadence | str:
    if not _NAME.match(name):
        return f"[sources.{source}.schedules] {name}: a name is lower case with underscores"
    try:
        return Cadence.model_validate({"cron": item} if isinstance(item, str) else item)
    except ValidationError as error:
        section = ("sources", source, "schedules", name)
        return "; ".join(
            worded(each, section) + named_variable(each, Cadence, section)
            for each in refusals(error, Cadence)
        )
