"""A look at a described API, be it a draft: what is asked, what comes, what the file could say."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from signalroom_dagster.config import shown
from signalroom_dagster.described.accounts import account_of, reader_of
from signalroom_dagster.described.asking import Account, Exchange
from signalroom_dagster.described.braces import client_names
from signalroom_dagster.described.files import Api, read_description
from signalroom_dagster.described.proposals import proposal, rows_in
from signalroom_dagster.described.readers import Reader
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.tables import Row, Table

PAGES = 2
"""How many pages are asked for: the second shows whether the paginator leads on."""


@dataclass(frozen=True, slots=True)
class Look:
    """What came of one resource: the requests in words, the first rows, what was wrong, and the
    lines that its description lacks.
    """

    resource: str
    requests: Sequence[str]
    rows: Sequence[Row]
    problem: str = ""
    lines: Sequence[str] = field(default_factory=list[str])


def draft_of(file: Path) -> Api:
    """What a file says so far. Raises ConfigurationError for what is wrong in it, not for what is
    missing.
    """
    description = read_description(file, shown(file))
    tables = {
        name: Table(name=name, about="", key=(), columns=()) for name in description.resources
    }
    try:
        return Api(file.stem, description, client_names(description), tables)
    except ConfigurationError as error:
        raise ConfigurationError(f"{shown(file)}: {error}") from None


def looks_at(
    api: Api, given: Mapping[str, Any], day: date | None, resources: Sequence[str] = ()
) -> Iterator[Look]:
    """Ask for the first pages of each resource; of one that is read by day, for a day (yesterday).

    Raises what asking raises, ConfigurationError for a resource that there is not.
    """
    if unknown := [name for name in resources if name not in api.tables]:
        there_are = ", ".join(api.tables)
        raise ConfigurationError(f"no resource {unknown[0]} in {api.name} (there are: {there_are})")
    for name in resources or api.tables:
        account = replace(account_of(api, given), exchanges=[])
        reader = reader_of(api, name, account, given)
        if not reader.paginator:
            reader = replace(reader, paginator={"type": "single_page"})
        yield _look(api, reader, day)


def _look(api: Api, reader: Reader, day: date | None) -> Look:
    name, resource = reader.table.name, reader.resource
    day = day or datetime.now(reader.zone).date() - timedelta(days=1)
    rows: list[Row] = []
    problem = ""
    try:
        for page in itertools.islice(reader.pages([day] if resource.window else []), PAGES):
            rows += page.rows
    except VendorDataError as error:
        problem = str(error)
    exchanges = reader.account.exchanges or []
    if not exchanges:
        return Look(name, [], [], problem)
    first = exchanges[0].answer
    selector, guessed = rows_in(first, resource.endpoint.data_selector)
    rows = list(guessed) if selector != resource.endpoint.data_selector else rows
    lines = list(proposal(name, api.description, resource, first, rows))
    asked = [_words(reader.account, exchange) for exchange in exchanges]
    return Look(name, asked, rows, problem, lines)


def _words(account: Account, exchange: Exchange) -> str:
    """A request and what it brought, without keys."""
    query = urlencode(exchange.query, doseq=True, safe=":/,")
    asked = f"{exchange.method} {exchange.path}" + (f"?{query}" if query else "")
    body = f" {json.dumps(exchange.json, default=str)}" if exchange.json else ""
    size = len(json.dumps(exchange.answer.body, default=str))
    return f"{account.api.without_secrets(asked + body)} -> {size:,} bytes of JSON"
