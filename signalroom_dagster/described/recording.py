"""Answers of a described API, kept as a stand-in: without keys, and without what is a person's.

Of each row only the fields that a column reads are kept; those that the file calls `personal` are
replaced, one value by one stand-in wherever it comes. Secrets, mail addresses and the vendor's own
address are taken out of everything else.
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, cast
from urllib.parse import urlsplit

from dlt.sources.helpers.rest_client.auth import APIKeyAuth

from signalroom_dagster.described.accounts import account_of, reader_of
from signalroom_dagster.described.asking import Account, Answer, Exchange
from signalroom_dagster.described.files import HEADER, Api
from signalroom_dagster.described.readers import Reader
from signalroom_dagster.described.selecting import rows_at
from signalroom_dagster.redaction import GONE
from signalroom_dagster.sources.tables import Row

BASE = "{base_url}"
"""What stands in a recording for the address that answers."""
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")


def record(api: Api, given: Mapping[str, Any], day: date) -> list[dict[str, Any]]:
    """Read every table, of those that are read by day one day, and give what was asked and
    answered, fit to be kept. Raises as reading does.
    """
    account = replace(account_of(api, given), exchanges=[])
    readers = [reader_of(api, name, account, given) for name in api.tables]
    for reader in readers:
        answer = reader.read_days([day]) if reader.resource.window else reader.read_list()
        deque(answer.rows, maxlen=0)
    keeper = _Keeper(account, readers)
    return [keeper.kept(exchange) for exchange in account.exchanges or []]


@dataclass(frozen=True, slots=True)
class _Keeper:
    account: Account
    readers: Sequence[Reader]
    names: dict[str, str] = field(default_factory=dict[str, str])

    def kept(self, exchange: Exchange) -> dict[str, Any]:
        """One request and its answer, as they are kept."""
        base = urlsplit(self.account.base_url).path.rstrip("/")
        answer, rows = exchange.answer, dict[int, Row]()
        for reader in self.readers:
            for row in rows_at(reader.resource.endpoint.data_selector, answer.body) or []:
                if isinstance(row, Mapping):
                    rows[id(row)] = self._row(cast("Row", row), reader)
        return {
            "method": exchange.method,
            "path": self._text(exchange.path.removeprefix(base)),
            "query": self._clean(exchange.query, {}) | self._hidden(),
            "json": self._clean(exchange.json or None, {}),
            "headers": self._headers(answer),
            "answer": self._clean(answer.body, rows),
        }

    def _row(self, row: Row, reader: Reader) -> dict[str, Any]:
        """A row with the fields that somebody reads, and nobody's name in them."""
        window = reader.resource.window
        paths = [[*column.path] for column in reader.table.columns]
        kept = _only(row, [*paths, window.moment.split(".")] if window else paths)
        for path in reader.resource.personal:
            *above, last = path.split(".")
            place: Any = kept
            for step in above:
                place = place.get(step) if isinstance(place, dict) else None
            if isinstance(place, dict) and place.get(last) not in (None, ""):
                value = str(cast("dict[str, Any]", place)[last])
                place[last] = self.names.setdefault(value, f"personal-{len(self.names) + 1}")
        return kept

    def _clean(self, value: Any, rows: Mapping[int, Row]) -> Any:
        """A value without secrets, its rows as they are kept."""
        if id(value) in rows:
            return self._clean(rows[id(value)], {})
        if isinstance(value, Mapping):
            entries = cast("Row", value).items()
            return {name: self._clean(each, rows) for name, each in entries}
        if isinstance(value, list):
            return [self._clean(each, rows) for each in cast("list[Any]", value)]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        text = text.replace(self.account.base_url.rstrip("/"), BASE)
        return _MAIL.sub(GONE, self.account.api.without_secrets(text))

    def _hidden(self) -> dict[str, str]:
        """The key, where it stands in the address."""
        auth = self.account.auth
        if isinstance(auth, APIKeyAuth) and auth.location in ("query", "param"):
            return {auth.name: GONE}
        return {}

    def _headers(self, answer: Answer) -> dict[str, str]:
        """The headers that a description looks at."""
        names = {"link"}
        for reader in self.readers:
            names.add(str(reader.paginator.get("cursor_key", "next")).lower())
            if (complete := reader.resource.complete) and complete.total.startswith(HEADER):
                names.add(complete.total.removeprefix(HEADER).lower())
        items = answer.headers.items()
        return {name: self._text(value) for name, value in items if name.lower() in names}


def _only(row: Row, paths: Sequence[Sequence[str]]) -> dict[str, Any]:
    """A row with these fields alone."""
    below: dict[str, list[Sequence[str]]] = {}
    for step, *rest in paths:
        below.setdefault(step, []).append(rest)
    kept: dict[str, Any] = {}
    for name, rests in below.items():
        value = row.get(name)
        is_table = isinstance(value, Mapping) and all(rests)
        if name in row:
            kept[name] = _only(cast("Row", value), rests) if is_table else value
    return kept
