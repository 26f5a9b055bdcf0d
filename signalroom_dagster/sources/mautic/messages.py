"""E-mails and campaigns: short lists whose counters change without a date of change, so they are
read whole each time.

A list of e-mails leaves out the variants of A/B tests; their parents name them, and they are read
one by one.

https://devdocs.mautic.org/en/5.x/rest_api/emails.html ·
https://devdocs.mautic.org/en/5.x/rest_api/campaigns.html
"""

from collections.abc import Iterator, Mapping

from signalroom_dagster.sources.http import VendorDataError, VendorError
from signalroom_dagster.sources.mautic.account import Account
from signalroom_dagster.sources.mautic.instance import whole_list
from signalroom_dagster.sources.mautic.nested import entries, id_of, picked
from signalroom_dagster.sources.mautic.pages import Listing
from signalroom_dagster.sources.resources import Answer
from signalroom_dagster.sources.set_aside import LeftOut
from signalroom_dagster.sources.tables import Row

PAGE_SIZE = 50  # rows come with the whole text of each e-mail
SEGMENT = ("id", "name", "alias")
EVENT = (
    "id",
    "name",
    "description",
    "parent",
    "type",
    "eventType",
    "order",
    "decisionPath",
    "channel",
    "channelId",
    "triggerMode",
    "triggerDate",
    "triggerInterval",
    "triggerIntervalUnit",
)


def read_campaigns(account: Account) -> Answer:
    """Every campaign."""
    return whole_list(Listing(account, "/api/campaigns", "campaigns", PAGE_SIZE), _campaign)


def _campaign(row: Row) -> Row:
    """A campaign with what may be stored of its events: their properties hold addresses and keys of
    webhooks.
    """
    events = picked(row.get("events"), EVENT)
    for event in events:
        event["parent"] = id_of(event.get("parent"))
    segments, forms = picked(row.get("lists"), SEGMENT), picked(row.get("forms"), SEGMENT)
    return {**row, "events": events, "segments": segments, "forms": forms}


def read_emails(account: Account) -> Answer:
    """Every e-mail, variants included; Mautic does not count those, so each counts as one."""
    listing = Listing(account, "/api/emails", "emails", PAGE_SIZE)
    parents: dict[int, int] = {}
    listed: set[int] = set()

    def stored(row: Row) -> Row:
        if number := id_of(row):
            listed.add(number)
            children = [id_of(entry) for entry in entries(row.get("variantChildren"))]
            parents.update({child: number for child in children if child})
        return _email(row, id_of(row.get("variantParent")))

    whole, answer = whole_list(listing, stored), Answer(())

    def rows() -> Iterator[Row | LeftOut]:
        yield from whole.rows
        variants = 0
        for child, parent in parents.items():
            if child not in listed and (row := _variant(account, child)):
                variants += 1
                yield _email(row, parent)
        answer.counted = (whole.counted or 0) + variants

    answer.rows = rows()
    return answer


def _variant(account: Account, number: int) -> Row | None:
    """One e-mail by its id; None for one that has been deleted since its parent was read."""
    path = f"/api/emails/{number}"
    try:
        found = account.get(path, {}).get("email")
    except VendorError as error:
        if error.status == 404:
            return None
        raise
    if not isinstance(found, Mapping):
        raise VendorDataError(account.api.about("GET", path, "answered without an email"))
    return found


def _email(row: Row, parent: int | None) -> Row:
    segments, translated = picked(row.get("lists"), SEGMENT), id_of(row.get("translationParent"))
    return {
        **row,
        "variant_parent_id": parent,
        "translation_parent_id": translated,
        "segments": segments,
    }
