"""Affiliates, offers and advertisers: short lists, read whole each time.

https://developers.everflow.io/docs/network/affiliates/
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from signalroom_dagster.sources.everflow.network import Network
from signalroom_dagster.sources.slicing import Answer, Slice


class Entity(NamedTuple):
    """Where a list is read, and by what its rows are told apart."""

    method: str
    path: str
    id_key: str


ENTITIES: Mapping[str, Entity] = {
    "affiliates": Entity("POST", "/v1/networks/affiliatestable", "network_affiliate_id"),
    "offers": Entity("GET", "/v1/networks/offers", "network_offer_id"),
    "advertisers": Entity("GET", "/v1/networks/advertisers", "network_advertiser_id"),
}


def plan_entity(network: Network, name: str) -> Iterator[Slice]:
    """The whole list, in the place of what is there."""
    yield Slice(days=(network.context.today,), read=partial(_read, network, name), replaces="client")


def _read(network: Network, name: str) -> Answer:
    entity = ENTITIES[name]

    def page(number: int, size: int) -> Mapping[str, Any]:
        body = {} if entity.method == "POST" else None
        return network.api.ask(entity.method, entity.path, params={"page": number, "page_size": size}, body=body)

    rows, counted = network.whole_list(name, name, entity.id_key, page)
    return Answer(rows, totals={network.context.today: counted})
