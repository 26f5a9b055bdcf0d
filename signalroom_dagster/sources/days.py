"""Days in a time zone, and what a client may configure of a source that is read by day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from pydantic import BaseModel, PositiveInt

ONE_DAY = timedelta(days=1)
LOOKBACK_DAYS = 2


class DaySettings(BaseModel):
    """What every source that is read by day lets its configuration say.

    `lookback_days` are read again each time, today included: one number, or one by resource.
    `start_date` is where a first load begins (the client's own by default), `end_date` the last day
    there is, for an account that was closed.
    """

    lookback_days: PositiveInt | dict[str, PositiveInt] = 2
    start_date: date | None = None
    end_date: date | None = None

    def lookback_of(self, resource: str) -> int:
        """How many days of a resource are read again each time."""
        days = self.lookback_days
        return days.get(resource, LOOKBACK_DAYS) if isinstance(days, dict) else days


def day_of(moment: datetime, zone: tzinfo) -> date:
    """The day of an instant in a time zone."""
    return moment.astimezone(zone).date()


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins in a time zone, as an instant in UTC; days of a clock change have 23 or 25
    hours.
    """
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def each_day(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included; none when they are the wrong way round."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)
