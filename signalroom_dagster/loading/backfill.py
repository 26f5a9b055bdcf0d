"""What a backfill would take, told before it starts: readings, requests, time, and the reports
whose figures change.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from signalroom_dagster.loading import pipelines
from signalroom_dagster.loading.spans import Span
from signalroom_dagster.registry import accounts
from signalroom_dagster.registry.clients import Client


@dataclass(frozen=True, slots=True)
class Quote:
    """One client's part of a backfill.

    `pieces` are the slices to be read, each committed by itself; `requests` are the fewest that
    they take, and `minutes` the fewest under the account's limit: how many pages there are, only
    the vendor knows.
    """

    tables: Sequence[str]
    pieces: int
    requests: int
    per_minute: int | None

    @property
    def minutes(self) -> float | None:
        """The fewest minutes, None where no limit is known."""
        return self.requests / self.per_minute if self.per_minute else None


def quote(source: str, client: Client, span: Span, run_id: str) -> Quote:
    """What reading a span again takes now, without what this backfill has committed already.

    Raises ConfigurationError as the load would.
    """
    planned = pipelines.preview_load(source, client, (), span, run_id)
    return Quote(
        tables=sorted({item.resource for item in planned}),
        pieces=len(planned),
        requests=sum(item.requests for item in planned),
        per_minute=accounts.requests_per_minute(source, client),
    )
