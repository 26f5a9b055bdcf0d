"""Contacts: what changed, and now and then all of them, because nothing says which ones were deleted or merged.

A contact's `dateModified` is empty until its first change, so new ones are asked for by `dateAdded`. Neither moves
when only points, activity or do-not-contact change: those are as old as the last sweep for contacts left alone else.

https://devdocs.mautic.org/en/5.x/rest_api/contacts.html
"""

import hmac
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from signalroom_dagster.kinds import UNREADABLE, as_text
from signalroom_dagster.sources.days import is_read
from signalroom_dagster.sources.mautic.instance import Instance, swept
from signalroom_dagster.sources.mautic.mark import Mark, changed_since, is_sweep_due, latest_mark
from signalroom_dagster.sources.mautic.nested import entries, picked
from signalroom_dagster.sources.mautic.pages import Listing, in_utc
from signalroom_dagster.sources.mautic.settings import OTHERS, Settings
from signalroom_dagster.sources.slicing import Answer, Slice
from signalroom_dagster.sources.tables import Row

RESOURCE = "contacts"
UTM = ("id", "dateAdded", "utmCampaign", "utmContent", "utmMedium", "utmSource", "utmTerm")
DO_NOT_CONTACT = ("id", "reason", "channel", "channelId")  # `comments` hold bounces' texts, with addresses


def plan_contacts(instance: Instance) -> Iterator[Slice]:
    """All contacts, or what changed since the last reading began."""
    context, mark = instance.context, latest_mark(instance.context, RESOURCE)
    if is_read(context, RESOURCE):
        return
    if mark is None or is_sweep_due(context, RESOURCE, instance.settings.sweep_every_days):
        yield Slice(days=(context.today,), read=partial(_sweep, instance), replaces="client", why="all contacts")
        return
    since = changed_since(context, mark, instance.settings)
    read = partial(_changes, instance, since)
    yield Slice(days=(context.today,), read=read, replaces="keys", why=f"changed or new since {in_utc(since)} UTC")


def _sweep(instance: Instance) -> Answer:
    mark = Mark(instance.context.now())
    return swept(instance, _listing(instance), as_stored(instance.settings), mark)


def _changes(instance: Instance, since: datetime) -> Answer:
    mark, listing, stored = Mark(instance.context.now()), _listing(instance), as_stored(instance.settings)
    rows = (
        stored(row)
        for column in ("dateModified", "dateAdded")
        for _, row in listing.rows((column, "gte", in_utc(since)))
    )
    return Answer(rows, cursor=str(mark))


def _listing(instance: Instance) -> Listing:
    return Listing(instance.account, "/api/contacts", RESOURCE, instance.settings.page_size)


def as_stored(settings: Settings) -> Callable[[Row], Row]:
    """A function from a contact to what may be stored of its lists and fields."""
    field_of = _fields(settings)

    def stored(contact: Row) -> Row:
        groups = contact.get("fields")  # PHP writes an empty object as a list, here and one level below
        fields = groups.get("all") if isinstance(groups, Mapping) else None
        return {
            **contact,
            "tags": [tag.get("tag") if isinstance(tag, Mapping) else tag for tag in entries(contact.get("tags"))],
            "doNotContact": picked(contact.get("doNotContact"), DO_NOT_CONTACT),
            "utmtags": picked(contact.get("utmtags"), UTM),
            "fields": field_of(fields) if isinstance(fields, Mapping) else {},
        }

    return stored


def _fields(settings: Settings) -> Callable[[Row], Row]:
    """A function to the fields that have a value, by alias, as the policy has them."""
    policies = settings.policies
    key = settings.hash_key.get_secret_value().encode() if settings.hash_key else b""

    def allowed(fields: Row) -> Row:
        found: dict[str, Any] = {}
        for alias, value in fields.items():
            policy = policies.get(alias.lower(), policies[OTHERS])
            if policy != "drop" and value not in (None, ""):
                found[alias] = _digest(value, key) if policy == "hash" else value
        return found

    return allowed


def _digest(value: Any, key: bytes) -> Any:
    """As `s3_exports` hashes a column: equal values stay joinable within one client, under one key. What cannot be read
    is no number, which its cell is cleaned of."""
    try:
        return hmac.digest(key, str(as_text(value)).encode(), "sha256").hex()
    except UNREADABLE:
        return Decimal("NaN")
