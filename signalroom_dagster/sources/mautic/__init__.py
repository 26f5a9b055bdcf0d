"""Mautic's REST API: who the contacts are, which e-mails and campaigns reached them, and what they
did with them.

Columns and keys stand in `tables.toml`. Contacts and statistics are read by change and merged, and
whole now and then; e-mails and campaigns are read whole each time. Times are UTC.

Quirks: paging by offset loses rows, so every list is read by id; counts come as text; a collection
is an object by id, a list, or an empty one of the other kind; `limit=0` means everything; a search
for what is no command becomes a search for text; names to order by are columns for contacts and
properties for the others; failures of statistics are a 200.

https://devdocs.mautic.org/en/5.x/rest_api/
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import dlt
from dlt.extract import DltResource

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.limits import Limit, account_name
from signalroom_dagster.sources.http import Api
from signalroom_dagster.sources.mautic.account import Account, words
from signalroom_dagster.sources.mautic.contacts import as_stored, read_contacts
from signalroom_dagster.sources.mautic.email_stats import read_email_stats
from signalroom_dagster.sources.mautic.instance import Instance
from signalroom_dagster.sources.mautic.messages import read_campaigns, read_emails
from signalroom_dagster.sources.mautic.settings import Policy, Settings, policies_of
from signalroom_dagster.sources.resources import changes_resource, list_resource
from signalroom_dagster.sources.tables import read_tables

TITLE = "Mautic"
TABLES = read_tables(__name__)


@dlt.source(name="mautic", max_table_nesting=0)
def mautic(
    base_url: str = dlt.config.value,
    client_id: str = dlt.secrets.value,
    client_secret: str = dlt.secrets.value,
    fields: Mapping[str, Policy] | None = None,
    hash_key: str | None = None,
    since: date | str | None = None,
    timezone: str = "UTC",
    lookback_days: int = 14,
    overlap_minutes: int = 10,
    page_size: int = 200,
    stats_page_size: int = 500,
    requests_per_minute: int = 120,
    requests_at_once: int = 1,
) -> Iterable[DltResource]:
    """All contacts and e-mail statistics, merged by their ids, and lists of all e-mails and
    campaigns.

    `fields` says what becomes of contacts' fields, `hash_key` is for those that are hashed: see
    `settings`. A resource that is called with the `cursor` of an earlier reading reads what changed
    since: a few minutes earlier, or from the day `since` (ISO; in `timezone`) where that is earlier
    still; statistics of e-mails sent in the last `lookback_days`, too.
    """
    policies = policies_of(fields or {}, is_keyed=bool(hash_key))
    if not hash_key and "hash" in policies.values():
        raise ConfigurationError(
            "source mautic: a field's policy is hash, and there is no key; check hash_key"
        )
    instance = Instance(
        account=open_account(
            base_url, client_id, client_secret, requests_per_minute, requests_at_once
        ),
        zone=ZoneInfo(timezone),
        since=date.fromisoformat(since) if isinstance(since, str) else since,
        overlap=timedelta(minutes=overlap_minutes),
        lookback_days=lookback_days,
    )
    stored = as_stored(policies, hash_key or "")
    yield changes_resource(TABLES["contacts"], partial(read_contacts, instance, page_size, stored))
    yield list_resource(TABLES["emails"], partial(read_emails, instance.account))
    yield list_resource(TABLES["campaigns"], partial(read_campaigns, instance.account))
    yield changes_resource(
        TABLES["email_stats"], partial(read_email_stats, instance, stats_page_size)
    )


def probe(settings: Settings) -> str:
    """Get a token and ask for one contact in short: the cheapest call that needs both."""
    number, secret = (
        settings.client_id.get_secret_value(),
        settings.client_secret.get_secret_value(),
    )
    account = open_account(
        settings.base_url, number, secret, settings.requests_per_minute, settings.requests_at_once
    )
    return f"{account.get('/api/contacts', {'limit': 1, 'minimal': 1}).get('total')} contacts"


def open_account(
    base_url: str,
    client_id: str,
    client_secret: str,
    requests_per_minute: int,
    requests_at_once: int,
) -> Account:
    """An account at a Mautic. The pace is the server's, whoever shares it."""
    limit = Limit(
        account_name("mautic", base_url),
        requests_per_minute,
        burst=max(1, requests_per_minute // 6),
        at_once=requests_at_once,
    )
    api = Api(
        source="mautic",
        base_url=base_url,
        key_name="client_id and client_secret",
        limit=limit,
        secrets=(client_secret, client_id),
        words=words,
    )
    return Account(api, client_id, client_secret)
