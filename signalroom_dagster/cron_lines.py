"""When something is due, as a setting: a cron line."""

import functools
import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

_MOST = (59, 23, 31, 12, 7)
"""The highest number of minutes, hours, days, months and days of the week."""
_CHANCE = re.compile(r"(?<![A-Z])[HR](?![A-Z])|W(?![A-Z])")
_STEP = re.compile(r"/(\d+)")


@functools.lru_cache(maxsize=1024)
def _as_cron_line(value: str) -> str:
    """Refuses what Dagster refuses, and what it takes to mean something else: a day that no month
    has, a time by chance (R, H), a step that is longer than its field.
    """
    from croniter import CroniterError, croniter

    fields = value.split()
    is_plain = len(fields) == 5 and value.isascii() and not _CHANCE.search(value.upper())
    try:
        if not is_plain or not croniter.is_valid(value):
            raise ValueError("not a cron line of five fields such as 15 7-23 * * *")
        croniter(value).get_next()
    except CroniterError:
        raise ValueError("a time that never comes: no such day is in its months") from None
    if any(
        int(step) > most
        for field, most in zip(fields, _MOST, strict=True)
        for step in _STEP.findall(field)
    ):
        raise ValueError("a step is longer than its field: it would come more often than it says")
    return value


CronLine: TypeAlias = Annotated[str, AfterValidator(_as_cron_line)]
"""A cron line of five fields; the time zone is the client's."""
