"""Contacts: what changed, and now and then all of them, because nothing says which ones were
deleted or merged.

A contact's `dateModified` is empty until its first change, so new ones are asked for by
`dateAdded`. Neither moves when only points, activity or do-not-contact change: those are as old as
the last sweep for contacts left alone else.

https://devdocs.mautic.org/en/5.x/rest_api/contacts.html
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from signalroom_dagster.kinds import UNREADABLE, as_text
from signalroom_dagster.sources.mautic.instance import Instance, whole_list
from signalroom_dagster.sources.mautic.mark import Mark, mark_of
from signalroom_dagster.sources.mautic.nested import entries, picked
from signalroom_dagster.sources.mautic.pages import Listing, in_utc
from signalroom_dagster.sources.mautic.settings import OTHERS, Policy
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.tables import Row

UTM = ("id", "dateAdded", "utmCampaign", "utmContent", "utmMedium", "utmSource", "utmTerm")
DO_NOT_CONTACT = (
    "id",
    "reason",
    "channel",
    "channelId",
)  # `comments` hold bounces' texts, with addresses


def read_contacts(
    instance: Instance,
    page_size: int,
    stored: Callable[[Row], Row],
    cursor: str | None,
    began: datetime,
) -> Answer:
    """All contacts, or what changed since the reading that left the cursor began."""
    listing = Listing(instance.account, "/api/contacts", "contacts", page_size)
    if cursor is None:
        return whole_list(listing, stored, began)
    since = in_utc(instance.changed_since(mark_of(cursor)))
    rows = (
        stored(row)
        for column in ("dateModified", "dateAdded")
        for _, row in listing.rows((column, "gte", since))
    )
    return Answer(rows, cursor=str(Mark(began)))


def as_stored(policies: Mapping[str, Policy], hash_key: str) -> Callable[[Row], Row]:
    """A function from a contact to what may be stored of its lists and fields."""
    field_of = _fields(policies, hash_key.encode())

    def stored(contact: Row) -> Row:
        groups = contact.get(
            "fields"
        )  # PHP writes an empty object as a list, here and one level below
        fields = groups.get("all") if isinstance(groups, Mapping) else None
        return {
            **contact,
            "tags": [
                tag.get("tag") if isinstance(tag, Mapping) else tag
                for tag in entries(contact.get("tags"))
            ],
            "doNotContact": picked(contact.get("doNotContact"), DO_NOT_CONTACT),
            "utmtags": picked(contact.get("utmtags"), UTM),
            "fields": field_of(fields) if isinstance(fields, Mapping) else {},
        }

    return stored


def _fields(policies: Mapping[str, Policy], key: bytes) -> Callable[[Row], Row]:
    """A function to the fields that have a value, by alias, as the policy has them."""

    def allowed(fields: Row) -> Row:
        found: dict[str, Any] = {}
        for alias, value in fields.items():
            policy = policies.get(alias.lower(), policies[OTHERS])
            if policy != "drop" and value not in (None, ""):
                found[alias] = _digest(value, key) if policy == "hash" else value
        return found

    return allowed


def _digest(value: Any, key: bytes) -> Any:
    """As `s3_exports` hashes a column: equal values stay joinable within one client, under one key.
    What cannot be read is no number, which its cell is cleaned of.
    """
    try:
        return hmac.digest(key, str(as_text(value)).encode(), "sha256").hex()
    except UNREADABLE:
        return Decimal("NaN")
