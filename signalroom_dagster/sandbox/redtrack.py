"""A stand-in for RedTrack's API: the same answers, limits and traps, over the sandbox's own market.

Everything is answered from `RedTrackAccount`, which a test may change between two reads: costs
move, conversions come late, are edited and vanish. https://api.redtrack.io/docs/index.html
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from signalroom_dagster.sandbox.market import MARKETS, span
from signalroom_dagster.sandbox.redtrack_data import RedTrackAccount, redtrack_key, sandbox_account
from signalroom_dagster.sandbox.shops import ZONE

PER, MINUTE = 100, 60
UNAUTHORIZED = "invalid token: unauthorized"
DOCUMENTATION = "<!DOCTYPE html><html><head><title>Swagger UI</title></head><body></body></html>"
FIGURES = (
    "clicks",
    "unique_clicks",
    "impressions",
    "impressions_visible",
    "lp_views",
    "lp_clicks",
    "conversions",
    "total_conversions",
    "approved",
    "pending",
    "declined",
    "other",
    "transactions",
    "revenue",
    "total_revenue",
    "pub_revenue",
    "cost",
    "ok",
    "datacenter",
    "baddevice",
    "blacklist",
)


def settings(client_id: str, url: str) -> Mapping[str, str]:
    """What points a client at the stand-in."""
    return {
        "api_key": redtrack_key(client_id),
        "base_url": f"{url}/redtrack",
        "account_timezone": ZONE.key,
        **span(),
    }


def routes(accounts: Iterable[RedTrackAccount] | None = None) -> list[BaseRoute]:
    """The vendor's paths, below `/redtrack`; of the sandbox's clients when no accounts are
    given.
    """
    by_key = {account.key: account for account in accounts or map(sandbox_account, MARKETS)}
    endpoints: Mapping[str, Callable[[RedTrackAccount, Request], Any]] = {
        "/me/settings": lambda account, request: {"table_settings": []},
        "/report": _report,
        "/conversions": _conversions,
        "/sources": lambda account, request: _paged(account, request, account.sources),
        "/campaigns": lambda account, request: _paged(account, request, account.campaigns),
        "/offers": lambda account, request: _paged(account, request, account.offers),
    }
    known = [
        Route(f"/redtrack{path}", _endpoint(by_key, answer), methods=["GET"])
        for path, answer in endpoints.items()
    ]
    return [
        Route("/redtrack/report", _no_such_method, methods=["POST"]),
        *known,
        Route("/redtrack/{path:path}", _documentation, methods=["GET", "POST"]),
    ]


async def _no_such_method(request: Request) -> Response:
    return JSONResponse({"error": "not found"}, 404)


async def _documentation(request: Request) -> Response:
    return HTMLResponse(DOCUMENTATION)


def _endpoint(
    by_key: Mapping[str, RedTrackAccount], answer: Callable[[RedTrackAccount, Request], Any]
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        account = by_key.get(request.query_params.get("api_key", ""))
        if account is None:
            return JSONResponse({"error": UNAUTHORIZED}, 401)
        if request.url.path.endswith("/report") and _is_too_fast(account):
            return JSONResponse({"error": "too many requests"}, 429)
        try:
            return JSONResponse(answer(account, request))
        except (KeyError, ValueError) as error:
            return JSONResponse({"error": f"bad request: {error}"}, 400)

    return endpoint


def _is_too_fast(account: RedTrackAccount) -> bool:
    """Whether the account has had its reports of the last minute; counts this one if not."""
    now = account.clock()
    while account.reported and account.reported[0] <= now - MINUTE:
        account.reported.popleft()
    if account.reports_a_minute and len(account.reported) >= account.reports_a_minute:
        return True
    account.reported.append(now)
    return False


def _report(account: RedTrackAccount, request: Request) -> Any:
    """Figures by what `group` names; `group_by` and other words are ignored, and everything is one
    row then.
    """
    asked = request.query_params
    first, last = date.fromisoformat(asked["date_from"]), date.fromisoformat(asked["date_to"])
    wanted = asked.get("group", "").split(",") if account.honours_groups else []
    dimensions = [
        name
        for name in ("source", "date")
        if name in wanted and (name != "date" or account.honours_dates)
    ]
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for day, source, figures in _figures(account, ZoneInfo(asked.get("timezone") or account.zone)):
        if first <= day <= last:
            place = {"source": source, "date": day.isoformat()}
            group = groups.setdefault(
                tuple(place[name] for name in dimensions), dict.fromkeys(FIGURES, 0)
            )
            for name, amount in figures.items():
                group[name] += amount
    rows = [
        {
            **_place(account, dict(zip(dimensions, place, strict=True))),
            **_numbers(figures),
            "roi": -56.87,
            "cpa": 173.9,
        }
        for place, figures in groups.items()
    ]
    return _paged(account, request, rows)


def _figures(
    account: RedTrackAccount, zone: ZoneInfo
) -> Iterable[tuple[date, tuple[str, str], dict[str, Any]]]:
    """What each hit and each conversion adds, to which day of the zone and which source."""
    for hit in account.traffic:
        figures = {
            "clicks": hit.clicks,
            "unique_clicks": hit.clicks,
            "ok": hit.clicks,
            "cost": hit.cost,
        }
        yield hit.at.astimezone(zone).date(), (hit.source_id, hit.source_name), figures
    for row in account.conversions:
        paid = Decimal(str(row["payout"]))
        figures: dict[str, Any] = {"total_conversions": 1, "total_revenue": paid}
        if row["default_type"]:
            figures |= {
                "conversions": 1,
                "revenue": paid,
                row["status"] or "other": 1,
                "transactions": 1,
            }
        yield row["conv_time"].astimezone(zone).date(), (row["source_id"], ""), figures


def _place(account: RedTrackAccount, place: Mapping[str, Any]) -> dict[str, Any]:
    if "source" not in place:
        return dict(place)
    number, name = place["source"]
    known = next(
        (source for source in account.sources if source["id"] == number),
        {"title": name, "alias": ""},
    )
    return {**place, "source": known["title"], "source_id": number, "source_alias": known["alias"]}


def _numbers(figures: Mapping[str, Any]) -> dict[str, int | float]:
    """Whole amounts without a fraction, as the vendor sends them."""
    return {
        name: int(amount) if amount == int(amount) else float(amount)
        for name, amount in figures.items()
    }


def _conversions(account: RedTrackAccount, request: Request) -> Any:
    """The log over days of the account's own zone, always wrapped."""
    asked, zone = request.query_params, ZoneInfo(account.zone)
    first, last = date.fromisoformat(asked["date_from"]), date.fromisoformat(asked["date_to"])
    rows = [
        row
        for row in account.conversions
        if first <= row["conv_time"].astimezone(zone).date() <= last
    ]
    shown = [
        {name: _told(account, value) for name, value in row.items()}
        for row in _page(account, request, rows, log=True)
    ]
    return {"items": shown or account.nothing, "total": len(rows) + account.lost}


def _told(account: RedTrackAccount, value: Any) -> Any:
    """A moment in the words of the account; other values as they are."""
    if not isinstance(value, datetime):
        return value
    if account.moments == "utc":
        return f"{value.astimezone(ZoneInfo('UTC')):%Y-%m-%dT%H:%M:%SZ}"
    local = value.astimezone(ZoneInfo(account.zone))
    return local.isoformat() if account.moments == "offset" else f"{local:%Y-%m-%d %H:%M:%S}"


def _paged(account: RedTrackAccount, request: Request, rows: list[dict[str, Any]]) -> Any:
    """A page of a list, bare or wrapped."""
    shown = _page(account, request, rows) or account.nothing
    if not (account.wraps or account.counts):
        return shown
    return {"items": shown, "total": len(rows) + account.lost if account.counts else {"clicks": 0}}


def _page(
    account: RedTrackAccount, request: Request, rows: list[Any], *, log: bool = False
) -> list[Any]:
    page, per = int(request.query_params.get("page", 1)), int(request.query_params.get("per", PER))
    size = min(per, account.longest_log if log else account.longest_page)
    if account.unstable and page > 1 and len(rows) > size:
        account.unstable -= 1
        rows = [rows[-1], *rows[:-1]]
    return rows[(page - 1) * size : page * size]
