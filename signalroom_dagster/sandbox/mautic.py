"""A stand-in for Mautic's REST API: the same answers, forms and traps, over the sandbox's own
market.

Everything is answered from `MauticInstance`, which a test may change between two reads, or between
two pages. https://devdocs.mautic.org/en/5.x/rest_api/
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from signalroom_dagster.sandbox.market import MARKETS
from signalroom_dagster.sandbox.mautic_data import (
    STAT_COLUMNS,
    MauticInstance,
    mautic_credentials,
    sandbox_instance,
)

PAGE_LIMIT, STATS_LIMIT = 30, 100
CONTACT_COLUMNS = {
    "id": "id",
    "date_added": "dateAdded",
    "date_modified": "dateModified",
    "last_active": "lastActive",
    "points": "points",
}
"""Contacts are ordered by SQL column; the property that each one comes from."""
_CONDITION = re.compile(r"where\[(\d+)\]\[(col|expr|val)\]")


class Refused(Exception):
    """An error answer: its status, type and message."""

    def __init__(self, status: int, message: str, kind: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"errors": [{"code": status, "message": message, "details": [], "type": kind}]}


def settings(client_id: str, url: str) -> Mapping[str, str]:
    """What points a client at the stand-in; each client has a Mautic of its own."""
    number, secret = mautic_credentials(client_id)
    return {"base_url": f"{url}/mautic/{client_id}", "client_id": number, "client_secret": secret}


def routes(instances: Iterable[MauticInstance] | None = None) -> list[BaseRoute]:
    """The vendor's paths, below `/mautic/<name>`; of the sandbox's clients when no instances are
    given.
    """
    found: list[BaseRoute] = []
    for instance in instances or map(sandbox_instance, MARKETS):
        root = f"/mautic/{instance.name}"
        endpoints: list[tuple[str, Callable[[MauticInstance, Request], Any]]] = [
            ("contacts", _contacts),
            ("emails", _emails),
            ("emails/{number:int}", _email),
            ("campaigns", _campaigns),
            ("stats/{table:path}", _stats),
        ]
        found.append(Route(f"{root}/oauth/v2/token", _token(instance), methods=["POST"]))
        found += [
            Route(f"{root}/api/{path}", _endpoint(instance, answer)) for path, answer in endpoints
        ]
    return found


def _token(instance: MauticInstance) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> JSONResponse:
        form = dict(parse_qsl((await request.body()).decode()))  # JSON is not understood
        if (form.get("client_id"), form.get("client_secret")) != (
            instance.client_id,
            instance.client_secret,
        ):
            said = {
                "message": "The client credentials are invalid",
                "code": 400,
                "type": "invalid_client",
            }
            return JSONResponse({"errors": [said]}, 400)
        if form.get("grant_type") != "client_credentials":
            return JSONResponse(
                {"error": "invalid_request", "error_description": "Invalid grant_type parameter"},
                400,
            )
        life = instance.token_seconds
        token = {
            "access_token": instance.new_token(),
            "expires_in": life,
            "token_type": "bearer",
            "scope": "",
        }
        return JSONResponse(token)

    return endpoint


def _endpoint(
    instance: MauticInstance, answer: Callable[[MauticInstance, Request], Any]
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> JSONResponse:
        try:
            _check_access(instance, request)
            body, status = answer(instance, request), 200
        except Refused as refused:
            body, status = refused.body, refused.status
        return JSONResponse(body, status, headers={"Mautic-Version": "5.1.0"})

    return endpoint


def _check_access(instance: MauticInstance, request: Request) -> None:
    if not instance.enabled:
        raise Refused(
            403, "API disabled. You need to enable the API in the API settings.", "api_disabled"
        )
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token not in instance.tokens:
        raise Refused(401, f"The access token provided is invalid: {token}", "invalid_grant")
    if time.monotonic() >= instance.tokens[token]:
        raise Refused(401, "The access token provided has expired.", "invalid_grant")


def _contacts(instance: MauticInstance, request: Request) -> Any:
    """Ordered by column, by last activity when not asked otherwise; the count is text, no rows are
    an object.
    """
    query = request.query_params
    order = query.get("orderBy", "last_active")
    if order not in CONTACT_COLUMNS:
        raise Refused(
            500,
            f"SQLSTATE[42S22]: Column not found: 1054 Unknown column 'l.{order}' in 'order clause'",
        )
    rows = [
        row
        for row in instance.contacts.values()
        if query.get("search", "").lower() in str(row["fields"]).lower()
    ]
    descending = (
        query.get("orderByDir", "desc" if "orderBy" not in query else "asc").lower() == "desc"
    )
    rows.sort(key=lambda row: row[CONTACT_COLUMNS[order]] or "", reverse=descending)
    rows = _where(instance, request, rows, _contact_property)
    shown = _shown(instance, request, rows, PAGE_LIMIT)
    listed: Any = shown if instance.as_lists and shown else {str(row["id"]): row for row in shown}
    return _page(instance, request, {"total": str(len(rows)), "contacts": listed})


def _contact_property(column: str) -> str:
    name = CONTACT_COLUMNS.get(column, column)
    if name not in CONTACT_COLUMNS.values():
        raise Refused(500, f"SQLSTATE[42S22]: Column not found: 1054 Unknown column 'l.{column}'")
    return name


def _emails(instance: MauticInstance, request: Request) -> Any:
    """Without variants of A/B tests: those stand in their parent alone."""
    children: dict[int, list[Any]] = {}
    for row in instance.emails.values():
        children.setdefault(row["variantParent"], []).append({"id": row["id"], "name": row["name"]})
    parents = [row for row in instance.emails.values() if row["variantParent"] is None]
    return _entities(
        instance,
        request,
        "emails",
        [{**row, "variantChildren": children.get(row["id"], [])} for row in parents],
    )


def _email(instance: MauticInstance, request: Request) -> Any:
    row = instance.emails.get(request.path_params["number"])
    if row is None:
        raise Refused(404, "Item was not found.")
    return {"email": row}


def _campaigns(instance: MauticInstance, request: Request) -> Any:
    return _entities(instance, request, "campaigns", list(instance.campaigns.values()))


def _entities(
    instance: MauticInstance, request: Request, name: str, rows: list[dict[str, Any]]
) -> Any:
    """Ordered by property; no rows are a list."""
    order = request.query_params.get("orderBy", "id")
    if rows and order not in rows[0]:
        raise Refused(500, f"[Semantical Error] no field named {order}")
    rows.sort(
        key=lambda row: row[order] or "",
        reverse=request.query_params.get("orderByDir", "").lower() == "desc",
    )
    rows = _where(instance, request, rows, str)
    shown = _shown(instance, request, rows, PAGE_LIMIT)
    listed = shown if instance.as_lists or not shown else {str(row["id"]): row for row in shown}
    return _page(instance, request, {"total": len(rows), name: listed})


def _stats(instance: MauticInstance, request: Request) -> Any:
    """Whatever goes wrong is told with status 200."""
    if request.path_params["table"] != "email_stats" or not instance.stats_known:
        return {
            "availableTables": ["email_stats", "page_hits"],
            "tableColumns": {"email_stats": STAT_COLUMNS},
        }
    if instance.stats_error:
        return {"errors": [instance.stats_error]}
    query = request.query_params
    order = query.get("order[0][col]", "id")
    try:
        rows = sorted(
            instance.stats.values(),
            key=lambda row: int(row[order]) if order == "id" else row[order] or "",
        )
        rows = _where(instance, request, rows, str)
    except KeyError as error:
        return {"errors": [{"message": f"Unknown column {error}", "code": 500}]}
    if query.get("order[0][dir]", "asc").lower() == "desc":
        rows.reverse()
    shown = _shown(instance, request, rows, STATS_LIMIT)
    return _page(instance, request, {"total": str(len(rows)), "stats": shown})


def _page(instance: MauticInstance, request: Request, body: dict[str, Any]) -> Any:
    if instance.after_page:
        instance.after_page(request.url.path)
    return body


def _shown(instance: MauticInstance, request: Request, rows: list[Any], usual: int) -> list[Any]:
    """A page by offset; a limit of 0 is none."""
    start, limit = (
        int(request.query_params.get("start") or 0),
        int(request.query_params.get("limit", usual) or 0),
    )
    shown = [row for row in rows if int(row["id"]) not in instance.unseen]
    return shown[start:][: min(limit or len(shown), instance.largest_page or len(shown))]


def _where(
    instance: MauticInstance,
    request: Request,
    rows: list[dict[str, Any]],
    property_of: Callable[[str], str],
) -> list[dict[str, Any]]:
    conditions: dict[str, dict[str, str]] = {}
    for name, value in request.query_params.items():
        if found := _CONDITION.fullmatch(name):
            conditions.setdefault(found[1], {})[found[2]] = value
    for condition in () if instance.ignores_where else conditions.values():
        column, expr, wanted = property_of(condition["col"]), condition["expr"], condition["val"]
        rows = [row for row in rows if _meets(row[column], expr, wanted)]
    return rows


def _meets(value: Any, expr: str, wanted: str) -> bool:
    """As SQL compares: numbers as numbers, times as text in UTC, nothing with NULL."""
    if value is None:
        return False
    numbers = str(value).isdigit()
    one, other = (
        (f"{int(value):020}", f"{int(wanted):020}") if numbers else (_in_utc(str(value)), wanted)
    )
    return {
        "gt": one > other,
        "gte": one >= other,
        "lt": one < other,
        "lte": one <= other,
        "eq": one == other,
    }[expr]


def _in_utc(text: str) -> str:
    if "T" not in text:
        return text
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S}"
