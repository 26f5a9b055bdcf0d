"""Mautic's REST API: who the contacts are, which e-mails and campaigns reached them, and what they did with them.

Columns and keys stand in `tables.toml`. Contacts and statistics are read by change and merged, and whole now and then;
e-mails and campaigns are read whole each time. Times are UTC.

Quirks: paging by offset loses rows, so every list is read by id; counts come as text; a collection is an object by id,
a list, or an empty one of the other kind; `limit=0` means everything; a search for what is no command becomes a search
for text; names to order by are columns for contacts and properties for the others; failures of statistics are a 200.

https://devdocs.mautic.org/en/5.x/rest_api/
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import dlt
from dlt.extract import DltResource, DltSource

from signalroom_dagster.limits import Limit, account_name
from signalroom_dagster.sources.context import Planned, SourceContext
from signalroom_dagster.sources.http import Api
from signalroom_dagster.sources.mautic.account import Account, words
from signalroom_dagster.sources.mautic.contacts import plan_contacts
from signalroom_dagster.sources.mautic.email_stats import plan_email_stats
from signalroom_dagster.sources.mautic.instance import Instance
from signalroom_dagster.sources.mautic.messages import plan_campaigns, plan_emails
from signalroom_dagster.sources.mautic.settings import Settings
from signalroom_dagster.sources.slicing import Plan, planned, table_resources
from signalroom_dagster.sources.tables import read_tables

TITLE = "Mautic"
TABLES = read_tables(__name__)


@dlt.source(name="mautic", max_table_nesting=0)
def mautic(plans: Mapping[str, Plan] | None = None, context: SourceContext | None = None) -> Iterable[DltResource]:
    """Every table of `tables.toml`; without plans an outline that asks nothing."""
    yield from table_resources(TABLES, plans, context)


def outline(configured: Iterable[Settings]) -> DltSource:
    """Every resource, whoever uses it."""
    return mautic()


def open_source(settings: Settings, context: SourceContext) -> DltSource:
    """The client's own source; asks nothing until its slices are loaded."""
    return mautic(_plans(settings, context), context)


def preview(settings: Settings, context: SourceContext) -> Iterator[Planned]:
    """Whether a load would read all of a table or what changed, and since when."""
    return planned(_plans(settings, context), context)


def probe(settings: Settings, client_id: str) -> str:
    """Get a token and ask for one contact in short: the cheapest call that needs both."""
    answer = open_account(settings, client_id).get("/api/contacts", {"limit": 1, "minimal": 1})
    return f"{answer.get('total')} contacts"


def open_account(settings: Settings, client_id: str) -> Account:
    """The client's account at its Mautic. The pace is the server's, whichever clients share it."""
    number, secret = settings.client_id.get_secret_value(), settings.client_secret.get_secret_value()
    section, pace = f"SOURCES__MAUTIC__CLIENTS__{client_id.upper()}", settings.requests_per_minute
    api = Api(
        source="mautic",
        client_id=client_id,
        base_url=settings.base_url,
        key_name=f"{section}__CLIENT_ID and {section}__CLIENT_SECRET",
        limit=Limit(
            account_name("mautic", settings.base_url), pace, burst=max(1, pace // 6), at_once=settings.requests_at_once
        ),
        secrets=(secret, number),
        words=words,
    )
    return Account(api, number, secret)


def _plans(settings: Settings, context: SourceContext) -> Mapping[str, Plan]:
    instance = Instance(open_account(settings, context.client_id), settings, context)
    return {
        "contacts": partial(plan_contacts, instance),
        "emails": partial(plan_emails, instance),
        "campaigns": partial(plan_campaigns, instance),
        "email_stats": partial(plan_email_stats, instance),
    }
