"""Affiliates, offers and advertisers: short lists, read whole each time.

Affiliates are the network's, whoever they work for; offers and advertisers are narrowed to the
client's.

https://developers.everflow.io/docs/network/affiliates/
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from signalroom_dagster.sources.everflow.lists import whole_list
from signalroom_dagster.sources.everflow.network import WHOSE, Network
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.set_aside import LeftOut, key_of
from signalroom_dagster.sources.tables import Row


class Entity(NamedTuple):
    """Where a list is read, by what its rows are told apart, and what names the advertiser they
    belong to.
    """

    method: str
    path: str
    id_key: str
    owner: str | None


ENTITIES: Mapping[str, Entity] = {
    "affiliates": Entity("POST", "/v1/networks/affiliatestable", "network_affiliate_id", None),
    "offers": Entity("GET", "/v1/networks/offers", "network_offer_id", "network_advertiser_id"),
    "advertisers": Entity(
        "GET", "/v1/networks/advertisers", "network_advertiser_id", "network_advertiser_id"
    ),
}


def read_entity(network: Network, name: str) -> Answer:
    """The whole list, as far as it is of the wanted advertisers, and how many rows that is by
    Everflow's own count.
    """
    entity = ENTITIES[name]

    def page(number: int, size: int) -> Any:
        body = {} if entity.method == "POST" else None
        return network.api.ask(
            entity.method, entity.path, params={"page": number, "page_size": size}, body=body
        )

    found = whole_list(name, name, entity.id_key, page)
    ours = list(_ours(network, entity, found.rows))
    return Answer(ours, counted=found.counted - (len(found.rows) - len(ours)))


def _ours(network: Network, entity: Entity, rows: Iterable[Row]) -> Iterator[Row | LeftOut]:
    for row in rows:
        ours = network.is_ours(row.get(entity.owner)) if entity.owner else True
        if ours is None:
            yield LeftOut(WHOSE, key_of((entity.id_key,), (row.get(entity.id_key),)))
        elif ours:
            yield row
