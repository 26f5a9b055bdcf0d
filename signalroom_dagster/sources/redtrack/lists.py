"""Campaigns, traffic sources and offers: short lists, read whole each time.

https://api.redtrack.io/docs/index.html
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from signalroom_dagster.sources.redtrack.account import Account
from signalroom_dagster.sources.redtrack.paging import each_once, name_of
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.tables import Row

LISTS = ("campaigns", "sources", "offers")
PAGE_SIZES = (1000, 499)
MOMENTS = ("created_at", "updated_at", "expires_at")
_NUMBER = re.compile(r"[0-9]{1,18}")


def read_entity(account: Account, name: str) -> Answer:
    """The whole list, and how many rows it has by RedTrack's own count."""
    listing = account.whole_list(f"/{name}", name_of, PAGE_SIZES)
    return Answer(
        [_row(account, name, row) for row in each_once(listing.rows)], counted=listing.counted
    )


def _row(account: Account, name: str, row: Row) -> Mapping[str, Any]:
    moments = {moment: account.moment(row.get(moment)) for moment in MOMENTS}
    return {**row, **moments, **(_everflow_ids(row.get("url")) if name == "offers" else {})}


def _everflow_ids(url: Any) -> Mapping[str, str | None]:
    """The offer and affiliate that an offer's link names at Everflow; None for a link without, or
    with a macro.
    """
    try:
        asked = dict(parse_qsl(urlsplit(str(url or "")).query))
    except ValueError:
        asked = {}
    found = {name.lower(): value for name, value in asked.items() if _NUMBER.fullmatch(value)}
    return {"everflow_offer_id": found.get("oid"), "everflow_affiliate_id": found.get("affid")}
