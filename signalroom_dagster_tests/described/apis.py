"""A stand-in for two APIs that are described as data, with the faults that APIs have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

CRM = """
title = "A CRM"
about = "People and deals. https://crm.example/docs"

[client]
base_url = "https://crm.example"
auth = { type = "bearer", token = "{api_key}" }
paginator = { type = "cursor", cursor_path = "next", cursor_param = "after" }

[resources.contacts]
about = "Every contact as it is now."
endpoint = { path = "/v1/contacts", params = { limit = 2 }, data_selector = "items" }
primary_key = "id"
complete = { total = "total" }
columns = { id = "bigint", name = "text", score = "decimal details.score" }
"""
ADS = """
title = "Ads"
about = "What campaigns cost. https://ads.example/docs"

[client]
base_url = "https://ads.example"
auth = { type = "api_key", name = "X-Key", api_key = "{api_key}" }
paginator = { type = "offset", limit = 2 }

[resources.costs]
about = "What each campaign cost on each day."
primary_key = ["date", "campaign_id"]
complete = { total = "meta.total" }
columns = { date = "date", campaign_id = "bigint campaign.id", cost = "decimal" }

[resources.costs.endpoint]
path = "/v2/costs"
params = { from = "{since}", to = "{until}" }
data_selector = "rows"

[resources.costs.window]
day = "date"
longest = 3
"""


@dataclass
class Vendor:
    """What an account at the stand-in holds, and what is wrong with its answers."""

    contacts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    costs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    change: Callable[[str, Any], Any] = lambda path, answer: answer
    """What becomes of an answer, by the path with its query."""
    most: int = 1_000_000
    """Rows that a page has at most, whatever is asked for."""
    answers: dict[str, Any] = field(default_factory=dict[str, Any])
    """What is answered below `/any/`, by path, whoever asks: JSON, or what makes a response."""


def routes(vendors: Mapping[str, Vendor]) -> list[BaseRoute]:
    """Both APIs, for accounts by their keys."""

    async def contacts(request: Request) -> Response:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return _answer(request, vendors.get(key), _contacts)

    async def costs(request: Request) -> Response:
        return _answer(request, vendors.get(request.headers.get("X-Key", "")), _costs)

    async def anything(request: Request) -> Response:
        answer = vendors["key-713"].answers[request.path_params["path"]]
        return answer(request) if callable(answer) else JSONResponse(answer)

    anywhere = Route("/any/{path:path}", anything, methods=["GET", "POST"])
    return [Route("/v1/contacts", contacts), Route("/v2/costs", costs), anywhere]


def _answer(request: Request, vendor: Vendor | None, answer: Any) -> Response:
    if vendor is None:
        return JSONResponse({"error": "no such key"}, 401)
    body = answer(vendor, request.query_params)
    given = vendor.change(f"{request.url.path}?{request.url.query}", body)
    return given if isinstance(given, Response) else JSONResponse(given)


def _contacts(vendor: Vendor, asked: Mapping[str, str]) -> Any:
    start, size = int(asked.get("after", 0)), min(int(asked["limit"]), vendor.most)
    end = start + size
    more = {"next": str(end)} if end < len(vendor.contacts) else {}
    return {"items": vendor.contacts[start:end], "total": len(vendor.contacts), **more}


def _costs(vendor: Vendor, asked: Mapping[str, str]) -> Any:
    rows = [row for row in vendor.costs if asked["from"] <= row["date"] <= asked["to"]]
    start, size = int(asked["offset"]), min(int(asked["limit"]), vendor.most)
    return {"rows": rows[start : start + size], "meta": {"total": len(rows)}}


def contact(number: int, **more: Any) -> dict[str, Any]:
    """A contact as the CRM sends it."""
    return {"id": number, "name": f"Contact {number}", "details": {"score": number / 4}, **more}


def cost(day: date, campaign: int, amount: float = 12.5) -> dict[str, Any]:
    """What a campaign cost on a day, as the vendor sends it."""
    return {"date": day.isoformat(), "campaign": {"id": campaign}, "cost": amount}


DAY = date(2026, 3, 2)
DAYS = [DAY + timedelta(days=number) for number in range(5)]
