"""The examples of docs/SOURCE_EXAMPLES.md and the guide's file load what they say, as they stand
there.
"""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from signalroom_dagster.sandbox.vendor_server import serve
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.test_guides import files_of

FILE = "data/shared/sources/{}.toml"


def described(project: Project, guide: str, name: str) -> str:
    """Puts a guide's file where the guide says; its text."""
    file = FILE.format(name)
    text = files_of(guide)[file]
    path = Path(project.root) / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return text


async def contacts(request: Request) -> Response:
    if request.headers.get("Authorization") != "Bearer key-713":
        return JSONResponse({"error": "unauthorized"}, 401)
    start = int(request.query_params.get("after", 0))
    rows = [
        {
            "id": number,
            "email": f"person{number}@example.com",
            "owner": {"id": 7},
            "createdAt": "2026-03-01T10:00:00Z",
        }
        for number in range(3)
    ]
    paging = {"paging": {"next": str(start + 2)}} if start == 0 else {}
    return JSONResponse({"results": rows[start : start + 2], "total": 3, **paging})


def test_a_bearer_token_api_with_cursor_paging(any_warehouse: Project) -> None:
    described(any_warehouse, "SOURCE_EXAMPLES.md", "crm")
    with serve([Route("/v1/contacts", contacts)]) as server:
        any_warehouse.add_api_client("713", "crm", api_key="key-713", base_url=server.url)
        for _ in range(2):
            load("crm")
    assert ask("SELECT id, email, owner_id FROM crm.contacts ORDER BY id") == [
        (number, f"person{number}@example.com", 7) for number in range(3)
    ]


ZONE = ZoneInfo("Europe/Warsaw")
MADE = [datetime(2026, 3, 2, 0, 30, tzinfo=ZONE), datetime(2026, 3, 2, 23, 30, tzinfo=ZONE)]
MADE.append(datetime(2026, 3, 3, 9, 0, tzinfo=ZONE))


async def tickets(request: Request) -> Response:
    asked: Any = request.query_params
    first, end = int(asked["made_from"]), int(asked["made_before"])
    rows = [
        {"id": number, "made_at": int(at.timestamp()), "status": "open", "cost": "1.5"}
        for number, at in enumerate(MADE)
        if first <= at.timestamp() < end
    ]
    page = rows if asked["page"] == "1" else []
    return JSONResponse(page, headers={"X-Total-Count": str(len(rows))})


def test_an_api_with_day_windows_and_a_total(any_warehouse: Project) -> None:
    described(any_warehouse, "SOURCE_EXAMPLES.md", "helpdesk")
    with serve([Route("/tickets", tickets)]) as server:
        any_warehouse.add_api_client(
            "713",
            "helpdesk",
            account="acme",
            api_key="key-713",
            base_url=server.url,
            start_date="2026-03-02",
            end_date="2026-03-03",
        )
        load("helpdesk")
    days = [date(2026, 3, 2), date(2026, 3, 3)]
    assert ask("SELECT date, count(*), sum(cost) FROM helpdesk.tickets GROUP BY 1 ORDER BY 1") == [
        (days[0], 2, Decimal(3)),
        (days[1], 1, Decimal("1.5")),
    ]
    totals = "SELECT day, vendor_total FROM helpdesk.windows WHERE resource = 'tickets' ORDER BY 1"
    assert ask(totals) == [(days[0], Decimal(2)), (days[1], Decimal(1))]


async def account(request: Request) -> Response:
    return JSONResponse({"name": "Sandbox ads"})


async def costs(request: Request) -> Response:
    day = request.query_params["first"]
    row = {"date": day, "campaign": {"id": 1, "name": "Spring"}, "cost": "12.50"}
    return JSONResponse({"rows": [row], "totals": [{"date": day, "cost": "12.50"}]})


def test_the_guides_file_is_short_and_loads(project: Project) -> None:
    text = described(project, "ADDING_A_SOURCE.md", "acme_ads")
    assert len(text.splitlines()) <= 40
    with serve([Route("/account", account), Route("/costs", costs)]) as server:
        project.add_api_client("713", "acme_ads", api_key="key-713", base_url=server.url)
        load("acme_ads", since=date(2026, 3, 2), until=date(2026, 3, 3))
    assert ask("SELECT date, campaign_id, campaign_name, cost FROM acme_ads.daily_costs") == [
        (date(2026, 3, 2), "1", "Spring", Decimal("12.5"))
    ]
    totals = ask("SELECT vendor_total FROM acme_ads.windows ORDER BY day")
    assert totals == [(Decimal("12.5"),), (Decimal(0),)]
