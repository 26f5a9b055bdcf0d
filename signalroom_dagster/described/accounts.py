"""A client's account at a described API, made of plain arguments."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from signalroom_dagster.described.asking import Account, origin_of
from signalroom_dagster.described.authentication import TokenSession, authentication
from signalroom_dagster.described.braces import filled
from signalroom_dagster.described.files import Api
from signalroom_dagster.described.readers import Reader
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.limits import Limit, account_name
from signalroom_dagster.sources import http

BURST = 10


def account_of(api: Api, given: Mapping[str, Any]) -> Account:
    """An account, for these arguments. Raises ConfigurationError for an address that nothing secret
    should go to.
    """
    client, values = api.description.client, {name: given[name] for name in api.names}
    secrets = {name: str(values[name]) for name, is_secret in api.names.items() if is_secret}
    base_url, pace = str(given["base_url"]), int(given["requests_per_minute"])
    if not api.has_own_address:
        base_url = filled(base_url, values, in_address=True)
    try:
        transport = http.Api(
            source=api.name,
            base_url=origin_of(base_url),
            key_name=" and ".join(secrets) or "base_url",
            limit=Limit(
                account_name(api.name, base_url, *map(str, values.values())),
                pace,
                burst=min(BURST, pace),
            ),
            secrets=tuple(secrets.values()),
            headers=filled(client.headers, values),
        )
        session = TokenSession(transport, is_private=client.private)
        auth = authentication(filled(client.auth, values), session)
    except ConfigurationError as error:
        raise ConfigurationError(f"source {api.name}: {error}") from None
    return Account(api=transport, base_url=base_url, auth=auth, is_private=client.private)


def reader_of(api: Api, name: str, account: Account, given: Mapping[str, Any]) -> Reader:
    """What reads one table of an account."""
    resource, timezone = api.description.resources[name], given.get("timezone") or "UTC"
    return Reader(
        table=api.tables[name],
        resource=resource,
        paginator=api.description.paginator_of(resource) or {},
        account=account,
        values={**given, "timezone": timezone},
        zone=ZoneInfo(timezone),
    )
