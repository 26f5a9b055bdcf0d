"""A project at PostHog: asking it a query, and reading its paged lists.

https://posthog.com/docs/api/queries
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from signalroom_dagster.limits import Limit, account_name
from signalroom_dagster.sources.http import Api, VendorDataError, VendorError
from signalroom_dagster.sources.tables import Row

PAGE = 100
LISTS_PER_MINUTE, LISTS_AT_ONCE = 240, 2
_ZONE = re.compile(r"'([^']+)'")


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found: each row's cells in the order of `columns`; `types` are ClickHouse's, by
    column.
    """

    columns: Sequence[str]
    types: Mapping[str, str]
    cells: Sequence[Sequence[Any]]

    @property
    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows by column name."""
        for cells in self.cells:
            yield dict(zip(self.columns, cells, strict=True))

    def moment(self, row: Row, column: str) -> datetime:
        """A cell as an instant; one without an offset is in the zone that the column's type names,
        else UTC.

        Raises ValueError for what is no date and time.
        """
        moment = datetime.fromisoformat(str(row[column]))
        if moment.tzinfo:
            return moment.astimezone(UTC)
        named = _ZONE.search(self.types.get(column, ""))
        return moment.replace(tzinfo=ZoneInfo(named[1]) if named else UTC).astimezone(UTC)


@dataclass(frozen=True)
class Project:
    """A project by its number. Queries have a pace of their own, `queries`; everything else keeps
    to that of `api`.
    """

    api: Api
    queries: Limit
    number: int

    @property
    def path(self) -> str:
        """Where everything of the project stands."""
        return f"/api/projects/{self.number}"

    def query(self, name: str, hogql: str, columns: Sequence[str]) -> Found:
        """What a HogQL query finds now; `name` is what PostHog's own log calls it.

        Raises as `ask` does, and VendorDataError for an answer from the cache or without the
        columns.
        """
        path = f"{self.path}/query/"
        body = {
            "query": {"kind": "HogQLQuery", "query": hogql},
            "refresh": "force_blocking",
            "name": f"signalroom_{name}",
        }
        answer = self.ask("POST", path, limit=self.queries, body=body)
        if answer.get("is_cached"):
            raise VendorDataError(
                self.api.about("POST", path, "answered from its cache, though asked not to")
            )
        named: list[str] = list(answer.get("columns") or ())
        missing = [name for name in columns if name not in named]
        rows = answer.get("results")
        if missing or not isinstance(rows, list):
            raise VendorDataError(
                self.api.about("POST", path, f"answered without {', '.join(missing) or 'results'}")
            )
        broken = [not isinstance(row, list) or len(row) != len(named) for row in rows]
        if rows and all(broken):
            raise VendorDataError(
                self.api.about("POST", path, "gives rows that have not one cell for each column")
            )
        nothing: list[Any] = [None] * len(named)
        cells = [nothing if is_broken else row for row, is_broken in zip(rows, broken, strict=True)]
        return Found(named, _types(named, answer.get("types") or ()), cells)

    def pages(self, name: str, **params: Any) -> Iterator[Mapping[str, Any]]:
        """Every page of a list. Of `next` only the parameters are used, so the key never goes to
        another host.

        Raises as `ask` does, and VendorDataError when the pages go in a circle.
        """
        path = f"{self.path}/{name}/"
        wanted: dict[str, Any] = {"limit": str(PAGE), **params}
        asked: list[Mapping[str, Any]] = []
        while wanted not in asked:
            answer = self.ask("GET", path, params=wanted)
            yield answer
            if not (following := answer.get("next")):
                return
            asked.append(wanted)
            wanted = {**params, **dict(parse_qsl(urlsplit(str(following)).query))}
        raise VendorDataError(
            self.api.about("GET", path, "names as next a page that it has already given")
        )

    def ask(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        """The JSON object of one request. Raises as `Api.ask` does; a 404 says where to look for
        the project.
        """
        try:
            answer = self.api.ask(method, path, **how)
        except VendorError as error:
            if error.status != 404:
                raise
            said = (
                f"{error}; check project_id and host in [sources.posthog]: a project in the EU is"
                " at https://eu.posthog.com"
            )
            raise VendorError(said, 404) from None
        if not isinstance(answer, dict):
            raise VendorDataError(
                self.api.about(method, path, "answered JSON that is not an object")
            )
        return cast("dict[str, Any]", answer)


def open_project(api_key: str, project_id: int, host: str, queries_per_minute: int) -> Project:
    """A project at PostHog, which counts requests by project."""
    account = account_name("posthog", host, str(project_id))
    api = Api(
        source="posthog",
        base_url=host,
        key_name="api_key",
        limit=Limit(f"{account}__lists", LISTS_PER_MINUTE, burst=20, at_once=LISTS_AT_ONCE),
        secrets=(api_key,),
        headers={"Authorization": f"Bearer {api_key}"},
        words=said_by,
    )
    queries = Limit(
        f"{account}__queries", queries_per_minute, burst=max(1, queries_per_minute // 10)
    )
    return Project(api, queries, project_id)


def said_by(body: Any) -> str:
    """What PostHog says of an error, without the rest of the body."""
    return (
        f"{body.get('code', '')}: {body.get('detail', '')}"
        if isinstance(body, dict) and "detail" in body
        else ""
    )


def _types(columns: Sequence[str], types: Sequence[Any]) -> dict[str, str]:
    """Types by column: PostHog gives pairs of name and type, in older versions the types alone."""
    pairs = [entry if isinstance(entry, list) else [None, entry] for entry in types]
    return {column: str(pair[-1]) for column, pair in zip(columns, pairs, strict=False)}
