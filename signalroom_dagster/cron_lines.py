"""When something is due, as a setting: a cron line."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator


def _as_cron_line(value: str) -> str:
    from croniter import croniter

    if len(value.split()) != 5 or not croniter.is_valid(value):
        raise ValueError("not a cron line of five fields such as 15 7-23 * * *")
    return value


CronLine: TypeAlias = Annotated[str, AfterValidator(_as_cron_line)]
"""A cron line of five fields; the time zone is the client's."""
