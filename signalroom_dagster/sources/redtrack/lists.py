"""Campaigns, traffic sources and offers: short lists, read whole each time.

https://api.redtrack.io/docs/index.html
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from signalroom_dagster.sources.days import is_read
from signalroom_dagster.sources.redtrack.account import Account
from signalroom_dagster.sources.redtrack.paging import each_once, name_of
from signalroom_dagster.sources.slicing import Answer, Slice
from signalroom_dagster.sources.tables import Row

LISTS = ("campaigns", "sources", "offers")
PAGE_SIZES = (1000, 499)
MOMENTS = ("created_at", "updated_at", "expires_at")
_NUMBER = re.compile(r"[0-9]{1,18}")


def plan_list(account: Account, name: str) -> Iterator[Slice]:
    """The whole list, in the place of what is there; once in a run."""
    if not is_read(account.context, name):
        yield Slice(days=(account.context.today,), read=partial(_read, account, name), replaces="client")


def _read(account: Account, name: str) -> Answer:
    listing = account.whole_list(f"/{name}", name_of, PAGE_SIZES)
    answer = Answer([_row(account, name, row) for row in each_once(listing.rows)])
    if listing.counted is not None:
        answer.totals[account.context.today] = listing.counted
    return answer


def _row(account: Account, name: str, row: Row) -> Mapping[str, Any]:
    moments = {moment: account.moment(row.get(moment)) for moment in MOMENTS}
    return {**row, **moments, **(_everflow_ids(row.get("url")) if name == "offers" else {})}


def _everflow_ids(url: Any) -> Mapping[str, str | None]:
    """The offer and affiliate that an offer's link names at Everflow; None for a link without, or with a macro."""
    try:
        asked = dict(parse_qsl(urlsplit(str(url or "")).query))
    except ValueError:
        asked = {}
    found = {name.lower(): value for name, value in asked.items() if _NUMBER.fullmatch(value)}
    return {"everflow_offer_id": found.get("oid"), "everflow_affiliate_id": found.get("affid")}
