"""A stand-in for Everflow's network API: the same answers, limits and traps, over the sandbox's own
market.

Everything is answered from `EverflowNetwork`, which a test may change between two reads: rows
appear, vanish and are repriced. https://developers.everflow.io/
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from signalroom_dagster.registry.clients import load_clients
from signalroom_dagster.sandbox.everflow_data import (
    FIGURES,
    EverflowNetwork,
    everflow_key,
    sandbox_network,
)
from signalroom_dagster.sandbox.market import MARKETS, span

ZONES = {80: "America/New_York", 67: "UTC", 90: "America/Los_Angeles", 55: "Europe/Berlin"}
CLICKS_DAYS = timedelta(days=14)
LONGEST_TABLE = timedelta(days=366)
PAGE_SIZE = 50
REPORTS_AT_ONCE = 10


class TooManyError(Exception):
    """More reports at once than an account may have under way."""


def settings(client_id: str, url: str) -> Mapping[str, str]:
    """What points a client at the stand-in."""
    # the sandbox's week grows old
    kept = dict.fromkeys(("conversions_kept_days", "clicks_kept_days"), "10000")
    return {"api_key": everflow_key(client_id), "base_url": f"{url}/everflow", **span(), **kept}


def routes(networks: Iterable[EverflowNetwork] | None = None) -> list[BaseRoute]:
    """The vendor's paths, below `/everflow`; of the sandbox's clients when no networks are
    given.
    """
    by_key = {network.key: network for network in networks or map(sandbox_network, MARKETS)}
    endpoints: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "/v1/networks", _network),
        ("GET", "/v1/meta/timezones", _timezones),
        ("POST", "/v1/networks/reporting/entity/table", _table),
        ("POST", "/v1/networks/reporting/conversions", _conversions),
        ("POST", "/v1/networks/reporting/clicks/stream", _clicks),
        ("POST", "/v1/networks/affiliatestable", _affiliates),
        ("GET", "/v1/networks/offers", _offers),
        ("GET", "/v1/networks/advertisers", _advertisers),
    ]
    return [
        Route(f"/everflow{path}", _endpoint(by_key, answer), methods=[how])
        for how, path, answer in endpoints
    ]


def _endpoint(
    networks: Mapping[str, EverflowNetwork], answer: Callable[..., Any]
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> JSONResponse:
        key = request.headers.get("X-Eflow-API-Key", "")
        if key and any(network.affiliate_key == key for network in networks.values()):
            return JSONResponse({"error": "Access to this resource is forbidden"}, 403)
        network = networks.get(key)
        if network is None:
            return JSONResponse({"error": "No Authentication Method Found"}, 401)
        body = await request.body()
        try:
            if "/reporting/" in request.url.path:
                await _take_a_while(network)
            answered = answer(network, request, json.loads(body) if body else {})
        except TooManyError as error:
            return JSONResponse({"error": str(error)}, 429)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(
            answered, headers={"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "49"}
        )

    return endpoint


async def _take_a_while(network: EverflowNetwork) -> None:
    if network.under_way >= REPORTS_AT_ONCE:
        raise TooManyError("too many concurrent reporting requests")
    network.under_way += 1
    network.most_at_once = max(network.most_at_once, network.under_way)
    try:
        await asyncio.sleep(network.seconds)
    finally:
        network.under_way -= 1


def _network(network: EverflowNetwork, request: Request, body: Any) -> Any:
    return {"network_id": 1, "name": "Sandbox network"}


def _timezones(network: EverflowNetwork, request: Request, body: Any) -> Any:
    return {
        "timezones": [
            {"timezone_id": number, "timezone": name} for number, name in _zones().items()
        ]
    }


def _zones() -> Mapping[int, str]:
    """Some time zones, and those of the registry's clients: one that is new there is tried in its
    own.
    """
    own = sorted({client.timezone for client in load_clients().values()} - {*ZONES.values()})
    return {**ZONES, **dict(enumerate(own, start=max(ZONES) + 1))}


def _table(network: EverflowNetwork, request: Request, body: Any) -> Any:
    first, last, _ = _span(body, ("from", "to", "timezone_id", "currency_id", "columns"))
    if last - first > LONGEST_TABLE:
        raise ValueError("date range is limited to one year")
    names = [column["column"] for column in body["columns"]]
    wanted = {} if network.ignore_filters else _wanted(body)
    groups: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(lambda: dict.fromkeys(FIGURES, 0))
    for (day, affiliate, advertiser), figures in network.stats.items():
        place = {"date": day, "affiliate": affiliate, "advertiser": advertiser}
        inside = first.date() <= day <= last.date()
        if inside and all(str(place[kind]) in ids for kind, ids in wanted.items()):
            group = groups[tuple(place[name] for name in names)]
            for name, amount in figures.items():
                group[name] += amount
    order = range(len(names))[:: -1 if network.columns_turned else 1]
    rows = [
        {
            "columns": [_column(network, names[i], place[i]) for i in order],
            "reporting": {**figures, "cvr": 16.667, "margin": 25},
            "usm_columns": [],
            "custom_metric_columns": [],
        }
        for place, figures in groups.items()
    ]
    shown = None if network.null_table and not rows else rows[: network.cut]
    return {
        "table": shown,
        "incomplete_results": network.tell_cut and len(rows) > network.cut,
        "currency_id": "USD",
    }


def _column(network: EverflowNetwork, name: str, value: Any) -> dict[str, str]:
    if name == "date":
        midnight = datetime.combine(value, time.min, ZoneInfo(network.date_zone))
        label = {"label": value.isoformat()} if network.label_dates else {}
        return {"column_type": "date", "id": str(int(midnight.timestamp())), **label}
    labels = network.affiliates if name == "affiliate" else network.advertisers
    return {"column_type": name, "id": str(value), "label": labels.get(value, "")}


def _conversions(network: EverflowNetwork, request: Request, body: Any) -> Any:
    first, last, zone = _span(
        body, ("from", "to", "timezone_id", "show_conversions", "show_events")
    )
    if network.conversions_kept_days and first.date() <= _days_ago(
        network.conversions_kept_days, zone
    ):
        raise ValueError(f"date range is limited to the prior {network.conversions_kept_days} days")
    rows = [
        row
        for row in network.conversions
        if _inside(row["conversion_unix_timestamp"], first, last, zone)
    ]
    answer = _paged(network, request, "conversions", _filtered(network, rows, body))
    if network.arriving:
        network.conversions.insert(0, network.arriving.pop())
    return answer


def _clicks(network: EverflowNetwork, request: Request, body: Any) -> Any:
    first, last, zone = _span(body, ("from", "to", "timezone_id"))
    if last - first > CLICKS_DAYS:
        raise ValueError("date range is limited to 14 days")
    kept = network.clicks_kept_days
    oldest = datetime.combine(_days_ago(kept, zone), time.max) if kept else datetime.min
    rows = [
        row
        for row in network.clicks
        if _inside(row["unix_timestamp"], max(first, oldest), last, zone)
    ]
    newest_first = sorted(rows, key=lambda row: row["unix_timestamp"], reverse=True)
    return {network.clicks_key: _filtered(network, newest_first, body)[: network.clicks_cut]}


def _affiliates(network: EverflowNetwork, request: Request, body: Any) -> Any:
    rows = [
        _entity("network_affiliate_id", number, name) for number, name in network.affiliates.items()
    ]
    return _paged(network, request, "affiliates", rows)


def _offers(network: EverflowNetwork, request: Request, body: Any) -> Any:
    rows = [
        {
            **_entity("network_offer_id", number, name),
            "network_advertiser_id": network.offer_advertisers.get(number, 0),
            "offer_status": "active",
            "destination_url": "https://example.test/",
        }
        for number, name in network.offers.items()
    ]
    return _paged(network, request, "offers", rows)


def _advertisers(network: EverflowNetwork, request: Request, body: Any) -> Any:
    rows = [
        {
            **_entity("network_advertiser_id", number, name),
            "verification_token": "sandbox-secret-token",
        }
        for number, name in network.advertisers.items()
    ]
    return _paged(network, request, "advertisers", rows)


def _entity(id_key: str, number: int, name: str) -> dict[str, Any]:
    return {
        id_key: number,
        "network_id": 1,
        "name": name,
        "account_status": "active",
        "network_employee_id": 2,
        "default_currency_id": "USD",
        "time_created": 1_736_520_000,
        "time_saved": 1_764_000_000,
    }


def _paged(
    network: EverflowNetwork, request: Request, name: str, rows: list[dict[str, Any]]
) -> Any:
    """A page of a list; while `unstable` lasts, a row slips from one page to the one before it has
    been read.
    """
    page = int(request.query_params.get("page", 1))
    asked = int(request.query_params.get("page_size", PAGE_SIZE))
    size = min(asked, network.largest_page)
    if network.unstable and page > 1 and len(rows) > size:
        network.unstable -= 1
        rows = [rows[-1], *rows[:-1]]
    shown = rows[(page - 1) * size : page * size]
    told = size if network.echo_page_size else asked
    return {name: shown, "paging": {"page": page, "page_size": told, "total_count": len(rows)}}


def _filtered(
    network: EverflowNetwork, rows: list[dict[str, Any]], body: Any
) -> list[dict[str, Any]]:
    wanted = {} if network.ignore_filters else _wanted(body)
    ids = {"advertiser": "network_advertiser_id", "affiliate": "network_affiliate_id"}
    return [
        row
        for row in rows
        if all(
            str(row["relationship"][kind][ids[kind]]) in numbers for kind, numbers in wanted.items()
        )
    ]


def _wanted(body: Any) -> Mapping[str, set[str]]:
    """The filters that are understood; others are ignored without a word."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for entry in body.get("query", {}).get("filters", []):
        if entry.get("resource_type") in ("advertiser", "affiliate") and isinstance(
            entry.get("filter_id_value"), str
        ):
            wanted[entry["resource_type"]].add(entry["filter_id_value"])
    return wanted


def _span(body: Any, required: Iterable[str]) -> tuple[datetime, datetime, ZoneInfo]:
    missing = [name for name in required if name not in body]
    zones = _zones()
    if missing or body["timezone_id"] not in zones:
        raise ValueError(f"invalid request: {', '.join(missing) or 'timezone_id'}")
    zone = ZoneInfo(zones[body["timezone_id"]])
    return datetime.fromisoformat(body["from"]), datetime.fromisoformat(body["to"]), zone


def _inside(seconds: int, first: datetime, last: datetime, zone: ZoneInfo) -> bool:
    return first <= datetime.fromtimestamp(seconds, zone).replace(tzinfo=None) <= last


def _days_ago(days: int, zone: ZoneInfo) -> date:
    return datetime.now(zone).date() - timedelta(days=days)
