"""Which days a load was asked for."""

from dataclasses import dataclass
from datetime import date, datetime

from signalroom_dagster.errors import WrongRequestError
from signalroom_dagster.registry.catalog import is_read_by_day
from signalroom_dagster.registry.clients import Client


@dataclass(frozen=True, slots=True)
class Span:
    """Which days a run was asked to read; what is None is the source's own choice. Days are the
    client's.
    """

    since: date | None = None
    until: date | None = None
    lookback_days: int | None = None

    def __post_init__(self) -> None:
        """Raises WrongRequestError for a span that ends before it begins, and for a look back of no
        day.
        """
        if self.lookback_days is not None and self.lookback_days < 1:
            raise WrongRequestError(
                f"lookback_days is {self.lookback_days}: 1 reads today again, 2 yesterday, too"
            )
        if self.since and self.until and self.since > self.until:
            raise WrongRequestError(
                f"the days from {self.since} to {self.until} are none: the first is after the last"
            )

    @property
    def is_asked(self) -> bool:
        """Whether anything was asked for."""
        return bool(self.since or self.until or self.lookback_days is not None)


def as_day(text: str | None) -> date | None:
    """A day as it is written in run configuration and on the command line. Raises WrongRequestError
    for others.
    """
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise WrongRequestError(f"{text!r} is not a day: write it as YYYY-MM-DD") from None


def check_span(source: str, span: Span, client: Client | None = None) -> None:
    """Raises WrongRequestError when days are asked for of a source that is not read by day, or for
    days that for the client are all still to come: nothing would be read, and all look well.
    """
    if span.is_asked and not is_read_by_day(source):
        raise WrongRequestError(
            f"{source} is not read by day: it always loads whatever is new, leave out the dates"
        )
    today = datetime.now(client.zone).date() if client else None
    if client and span.since and today and span.since > today:
        raise WrongRequestError(
            f"the days since {span.since} are still to come: client {client.id} is at {today}"
        )
