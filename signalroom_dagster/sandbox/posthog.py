"""A stand-in for PostHog's private API: the same answers, limits and traps, over the sandbox's own
market.

Everything is answered from `PosthogProject`, which a test may change between two reads.
https://posthog.com/docs/api
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from signalroom_dagster.sandbox.market import MARKETS, span
from signalroom_dagster.sandbox.posthog_data import (
    PROJECTS,
    PosthogProject,
    posthog_key,
    sandbox_project,
)
from signalroom_dagster.sandbox.posthog_hogql import Table, run

Answer: TypeAlias = Callable[[PosthogProject, Request, Any], JSONResponse]

INSIDE = "https://posthog-web.internal.example.test"
"""The host that `next` names: the one behind a proxy, which nobody outside can reach."""
LEFT_OUT = (
    "metrics",
    "metrics_secondary",
    "secondary_metrics",
    "exposure_criteria",
    "stats_config",
    "scheduling_config",
    "filters",
)


def settings(client_id: str, url: str) -> Mapping[str, str]:
    """What points a client at the stand-in."""
    account = {"api_key": posthog_key(client_id), "project_id": str(PROJECTS[client_id])}
    return {**account, "host": f"{url}/posthog", **span()}


def routes(projects: Iterable[PosthogProject] | None = None) -> list[BaseRoute]:
    """The vendor's paths, below `/posthog`; of the sandbox's clients when no projects are given."""
    by_key = {project.key: project for project in projects or map(sandbox_project, MARKETS)}
    endpoints: list[tuple[str, str, Answer]] = [
        ("POST", "query/", _query),
        ("GET", "feature_flags/", _flags),
        ("GET", "experiments/", _experiments),
        ("GET", "experiments/{number:int}/", _experiment),
    ]
    base = "/posthog/api/projects/{project:int}"
    return [
        Route(f"{base}/{path}", _endpoint(by_key, answer), methods=[how])
        for how, path, answer in endpoints
    ]


def _endpoint(projects: Mapping[str, PosthogProject], answer: Answer) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> JSONResponse:
        project = projects.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if project is None:
            return _error(
                401, "authentication_error", "authentication_failed", "Invalid personal API key."
            )
        if request.path_params["project"] != project.id:
            return _error(404, "invalid_request", "not_found", "Project not found.")
        body = await request.body()
        try:
            return answer(project, request, json.loads(body) if body else {})
        except ValueError as error:
            return _error(400, "validation_error", "hogql_query_error", str(error))

    return endpoint


def _error(status: int, kind: str, code: str, detail: str, **headers: str) -> JSONResponse:
    return JSONResponse(
        {"type": kind, "code": code, "detail": detail, "attr": None}, status, headers
    )


def _query(project: PosthogProject, request: Request, body: Any) -> JSONResponse:
    project.queries += 1
    if project.hourly is not None and project.queries > project.hourly:
        detail = "Request was throttled. Expected available in 37 seconds."
        return _error(429, "throttled_error", "throttled", detail, **{"Retry-After": "37"})
    asked = body["query"]
    if asked.get("kind") != "HogQLQuery":
        raise ValueError("unknown kind of query")
    hogql: str = asked["query"]
    cached = project.always_cached or body.get("refresh", "blocking") != "force_blocking"
    if cached and hogql in project.answered:
        return JSONResponse({**project.answered[hogql], "is_cached": True})
    project.on_query(hogql)
    answer = _answer(project, run(hogql, project.events, project.zone, project.clamp))
    project.answered[hogql] = answer
    return JSONResponse(answer)


def _answer(project: PosthogProject, table: Table) -> dict[str, Any]:
    columns, types, rows = list(table.columns), list(table.types), [list(row) for row in table.rows]
    if project.naive:
        times = [at for at, kind in enumerate(types) if kind.startswith("DateTime64")]
        rows = [[cell[:26] if at in times else cell for at, cell in enumerate(row)] for row in rows]
    if project.turned_columns:
        columns, types, rows = columns[::-1], types[::-1], [row[::-1] for row in rows]
    pairs = (
        types if project.flat_types else [list(pair) for pair in zip(columns, types, strict=True)]
    )
    return {
        "results": rows,
        "columns": columns,
        "types": pairs,
        "is_cached": False,
        "timings": [],
        "hogql": "",
        "cache_key": "cache_sandbox",
        "last_refresh": "2026-01-05T10:00:00Z",
    }


def _flags(project: PosthogProject, request: Request, body: Any) -> JSONResponse:
    return _paged(project, request, [flag for flag in project.flags if not flag["deleted"]])


def _experiments(project: PosthogProject, request: Request, body: Any) -> JSONResponse:
    archived = request.query_params.get("archived") == "true"
    shown = [
        row for row in project.experiments if row["archived"] == archived and not row["deleted"]
    ]
    return _paged(
        project, request, [{k: v for k, v in row.items() if k not in LEFT_OUT} for row in shown]
    )


def _experiment(project: PosthogProject, request: Request, body: Any) -> JSONResponse:
    number = request.path_params["number"]
    found = next(
        (row for row in project.experiments if row["id"] == number and not row["deleted"]), None
    )
    return (
        JSONResponse(found) if found else _error(404, "invalid_request", "not_found", "Not found.")
    )


def _paged(project: PosthogProject, request: Request, rows: list[dict[str, Any]]) -> JSONResponse:
    asked = dict(request.query_params)
    size, start = (
        min(int(asked.get("limit", 100)), project.largest_page),
        int(asked.get("offset", 0)),
    )
    more = start + size < len(rows)
    following = (
        f"{INSIDE}{request.url.path}?{urlencode({**asked, 'limit': size, 'offset': start + size})}"
    )
    page = {"count": len(rows), "next": following if more else None, "previous": None}
    return JSONResponse({**page, "results": rows[start : start + size]})
