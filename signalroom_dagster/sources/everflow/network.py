"""One client's network at Everflow, as the reports need it: its zone's number, its filters, and whose a row is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.sources.context import SourceContext
from signalroom_dagster.sources.everflow.settings import Settings
from signalroom_dagster.sources.http import Api, VendorDataError

AT_ONCE = 4  # of the ten reports that an account may have under way
UTC_NAMES = ("UTC", "Etc/UTC")


@dataclass(frozen=True)
class Network:
    """A client's account and how it is configured. Days are those of `context.zone`."""

    api: Api
    settings: Settings
    context: SourceContext

    @cached_property
    def zone_ids(self) -> Mapping[str, int]:
        """Everflow's number of each time zone, by its IANA name."""
        known = rows_of(self, self.api.get("/v1/meta/timezones"), "timezones")
        return {str(entry["timezone"]): int(entry["timezone_id"]) for entry in known if "timezone_id" in entry}

    def zone_id(self, *names: str) -> int:
        """The number of a time zone, by the first name that is known; the reports' own without a name.

        Raises ConfigurationError for one that Everflow does not know.
        """
        wanted = names or (self.context.zone.key,)
        for name in wanted:
            if name in self.zone_ids:
                return self.zone_ids[name]
        raise ConfigurationError(
            f"client {self.context.client_id}, source everflow: Everflow knows no time zone {' or '.join(wanted)}; set "
            f"`timezone` in [sources.everflow.clients.{self.context.client_id}] to one it knows"
        )

    def filters(self) -> list[dict[str, str]]:
        """The filter list of a report: the client's advertiser.

        Of several advertisers none is sent, because what two filters of one kind mean is not documented: their rows
        are picked out of the answer, as they are anyway.
        """
        wanted = self.settings.advertiser_ids if len(self.settings.advertiser_ids) == 1 else []
        return [filter_on("advertiser", number) for number in wanted]

    def is_ours(self, advertiser_id: Any) -> bool:
        """Whether a row is of one of the client's advertisers: Everflow ignores filters that it does not understand."""
        return not self.settings.advertiser_ids or int(advertiser_id or 0) in self.settings.advertiser_ids

    def ours(self, rows: Iterable[Mapping[str, Any]], moment: str) -> Iterator[Mapping[str, Any]]:
        """The client's rows of a raw report, each with its `date`: the day of the named field's epoch seconds.

        Raises VendorDataError for a row without that field.
        """
        for row in rows:
            parties = row.get("relationship") or {}
            if self.is_ours((parties.get("advertiser") or {}).get("network_advertiser_id")):
                if not isinstance(row.get(moment), int):
                    raise VendorDataError(self.said(f"a row without its {moment}"))
                yield {**row, "date": datetime.fromtimestamp(row[moment], UTC).astimezone(self.context.zone).date()}

    def said(self, what: str) -> str:
        """A sentence on this network."""
        return f"client {self.context.client_id}, source everflow: {what}"


def filter_on(kind: str, number: int) -> dict[str, str]:
    """A filter as the reports want it, its id as text; any other shape is ignored without a word."""
    return {"resource_type": kind, "filter_id_value": str(number)}


def rows_of(network: Network, answer: Any, *names: str) -> Sequence[Mapping[str, Any]]:
    """The rows of an answer, under the first of the names it has; null is an empty list.

    Raises VendorDataError for an answer of another shape: taken for an empty one it would empty a table.
    """
    present = [name for name in names if name in answer] if isinstance(answer, dict) else []
    found = answer[present[0]] if present else None
    if present and found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in cast("list[Any]", found)):
        raise VendorDataError(network.said(f"an answer without {' or '.join(names)}"))
    return cast("list[Mapping[str, Any]]", found)
