"""What the Mautic stand-in tells of: one client's contacts, its e-mails and campaigns, and who got
and opened what.

Every buyer of the sandbox's market is a contact, welcomed by a campaign, and gets the weekly letter
in one of its two variants. All of it invented; addresses are at example.test.
"""

import functools
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

from signalroom_dagster.sandbox.market import MARKETS, Sale, sales_of
from signalroom_dagster.sandbox.people import Person, invent_people
from signalroom_dagster.sandbox.shops import SHOPS

WELCOME, LETTER, LETTER_B = 1, 2, 3
STAT_COLUMNS = (
    "id",
    "email_id",
    "lead_id",
    "list_id",
    "ip_id",
    "email_address",
    "date_sent",
    "is_read",
    "is_failed",
    "viewed_in_browser",
    "date_read",
    "tracking_hash",
    "retry_count",
    "source",
    "source_id",
    "open_count",
    "last_opened",
    "open_details",
)


@dataclass
class MauticInstance:
    """One client's Mautic: rows by id as the API tells them. `client_id` is the one of its
    credentials.

    The switches stand for what can go wrong: `token_seconds` is a token's life, `enabled` whether
    there is an API, `as_lists` the other form of collections, `largest_page` a limit nobody is told
    of, `unseen` ids that are counted and not shown, `ignores_where` a filter that never arrives,
    `stats_known` an answer with the tables there are instead of rows, `stats_error` what is
    reported with status 200. `after_page` is called with the path of each list that has been
    answered.
    """

    name: str
    client_id: str
    client_secret: str
    contacts: dict[int, dict[str, Any]] = field(default_factory=dict[int, Any])
    emails: dict[int, dict[str, Any]] = field(default_factory=dict[int, Any])
    campaigns: dict[int, dict[str, Any]] = field(default_factory=dict[int, Any])
    stats: dict[int, dict[str, Any]] = field(default_factory=dict[int, Any])
    tokens: dict[str, float] = field(default_factory=dict[str, float])
    token_seconds: float = 3600.0
    enabled: bool = True
    as_lists: bool = False
    largest_page: int | None = None
    unseen: frozenset[int] = frozenset()
    ignores_where: bool = False
    stats_known: bool = True
    stats_error: Mapping[str, Any] | None = None
    after_page: Callable[[str], None] | None = None

    def new_token(self) -> str:
        """A token that is good for `token_seconds`."""
        token = f"sandbox-token-{self.name}-{len(self.tokens) + 1}"
        self.tokens[token] = time.monotonic() + self.token_seconds
        return token


def sandbox_instance(client_id: str) -> MauticInstance:
    """A client's Mautic, told from the sandbox's market."""
    instance = MauticInstance(client_id, *mautic_credentials(client_id))
    category = SHOPS[client_id].category
    instance.emails = {
        WELCOME: email_row(WELCOME, f"{category} welcome", emailType="template"),
        LETTER: email_row(
            LETTER,
            f"{category} weekly letter",
            lists=[{"id": 1, "name": "Buyers", "alias": "buyers"}],
        ),
        LETTER_B: email_row(LETTER_B, f"{category} weekly letter, variant B", variantParent=LETTER),
    }
    instance.campaigns = {1: campaign_row(1, f"{category} onboarding", WELCOME)}
    sales = sorted(sales_of(client_id), key=lambda sale: sale.at)
    people = invent_people(len(sales), random.Random(f"{client_id} contacts"))
    for number, (sale, person) in enumerate(zip(sales, people, strict=True), 1):
        _add_buyer(instance, number, sale, person, MARKETS[client_id].offer_name)
    for number in instance.emails:
        of_email = [row for row in instance.stats.values() if row["email_id"] == str(number)]
        read = sum(row["is_read"] == "1" for row in of_email)
        instance.emails[number] |= {"sentCount": len(of_email), "readCount": read}
    return instance


def mautic_credentials(client_id: str) -> tuple[str, str]:
    """The client id and secret that the sandbox hands out for one client's Mautic."""
    return f"sandbox-mautic-{client_id}", f"sandbox-secret-{client_id}"


def _add_buyer(
    instance: MauticInstance, number: int, sale: Sale, person: Person, offer: str
) -> None:
    rng = random.Random(sale.conversion_id)
    now = datetime.now(UTC)  # yesterday's letters are still to be sent
    address = f"buyer{number:05d}@example.test"
    contact = contact_row(
        number,
        sale.at,
        email=address,
        firstname=person.first_name,
        lastname=person.last_name,
        phone=person.phone,
        address1=person.street,
        city=person.city,
        state=person.state,
        zipcode=person.postcode,
        last_offer=offer,
    )
    if rng.random() < 0.3 and (changed := sale.at + timedelta(minutes=rng.randrange(1, 600))) < now:
        contact["dateModified"] = _iso(changed)
    if rng.random() < 0.02:
        contact["doNotContact"] = [dnc_row(number)]
    if source := sale.click.source:
        contact["utmtags"] = [utm_row(number, sale.at, source.alias)]
    instance.contacts[number] = contact
    letter = rng.choice((LETTER, LETTER_B))
    for email, at in (
        (WELCOME, sale.at + timedelta(minutes=5)),
        (letter, sale.at + timedelta(days=1)),
    ):
        stat = stat_row(len(instance.stats) + 1, email, number, at, email_address=address)
        if rng.random() < 0.4:
            opened = at + timedelta(minutes=rng.randrange(1, 2_000))
            again = opened + timedelta(hours=rng.randrange(0, 30))
            if again < now:
                stat |= {
                    "is_read": "1",
                    "date_read": _sql(opened),
                    "last_opened": _sql(again),
                    "open_count": "2",
                }
                contact["lastActive"], contact["points"] = _iso(again), contact["points"] + 5
        elif rng.random() < 0.03:
            stat |= {"is_failed": "1", "retry_count": "1"}
        if at < now:
            instance.stats[int(stat["id"])] = stat


def contact_row(number: int, added: datetime, **fields: Any) -> dict[str, Any]:
    """A contact nobody has changed yet, with what the API sends and nobody should store."""
    groups: dict[str, Any] = {
        "core": [],
        "social": [],
        "personal": [],
        "professional": [],
        "all": [],
    }
    if fields:
        groups["core"] = {
            alias: {
                "id": str(place),
                "label": alias.title(),
                "alias": alias,
                "type": "text",
                "group": "core",
                "value": value,
            }
            for place, (alias, value) in enumerate(fields.items(), 1)
        }
        groups["all"] = {"id": number, **fields, "company": None}
    moments = dict.fromkeys(("dateAdded", "lastActive", "dateIdentified"), _iso(added))
    return {**_row("contact"), "id": number, **moments, "fields": groups}


def dnc_row(number: int) -> dict[str, Any]:
    """A contact that bounced, in the mail server's words."""
    return {**_row("doNotContact"), "id": number}


def utm_row(number: int, at: datetime, source: str) -> dict[str, Any]:
    """Where a contact came from."""
    return {**_row("utmTag"), "id": number, "dateAdded": _iso(at), "utmSource": source}


def email_row(number: int, name: str, **values: Any) -> dict[str, Any]:
    """An e-mail; `variantParent` is the id of its A/B test's first one."""
    return {**_row("email"), "id": number, "name": name, "subject": name, **values}


def campaign_row(number: int, name: str, email: int) -> dict[str, Any]:
    """A campaign that sends an e-mail and tells another system of it."""
    row: dict[str, Any] = {**_row("campaign"), "id": number, "name": name}
    row["events"]["11"]["channelId"] = email
    return row


def stat_row(
    number: int, email: int, contact: int, sent: datetime, **values: str | None
) -> dict[str, Any]:
    """An e-mail sent to a contact, not opened yet; every value is text, as the statistics tell
    it.
    """
    return {
        **_row("email_stat"),
        "id": str(number),
        "email_id": str(email),
        "lead_id": str(contact),
        "date_sent": _sql(sent),
        "tracking_hash": f"65f0{number:08x}",
        **values,
    }


def _row(kind: str) -> dict[str, Any]:
    """What all rows of a kind have alike; a copy of the caller's own."""
    return json.loads(_rows()[kind])


@functools.cache
def _rows() -> Mapping[str, str]:
    text = files("signalroom_dagster.sandbox").joinpath("mautic_rows.json").read_text("utf-8")
    return {kind: json.dumps(row) for kind, row in json.loads(text).items()}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _sql(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
