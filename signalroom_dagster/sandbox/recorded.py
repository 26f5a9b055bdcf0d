"""A stand-in for an API that is described as data: it answers what was recorded.

`signalroom source record` makes the recording. What was not asked then is answered 404.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

GONE = "***"
BASE = "{base_url}"


def routes(name: str, recording: Path) -> list[BaseRoute]:
    """The API's paths below `/<name>`, which is its base_url."""
    exchanges: Sequence[Mapping[str, Any]] = json.loads(recording.read_text("utf-8"))

    async def answer(request: Request) -> Response:
        path, query = request.path_params["path"], dict(request.query_params)
        body = json.loads(await request.body() or b"null")
        for exchange in exchanges:
            if (
                request.method == exchange["method"]
                and f"/{path}" == exchange["path"]
                and _matches(query, exchange["query"])
                and body == exchange["json"]
            ):
                base = str(request.base_url).rstrip("/") + f"/{name}"
                text = json.dumps([exchange["answer"], exchange["headers"]]).replace(BASE, base)
                answered, headers = json.loads(text)
                return JSONResponse(answered, headers=headers)
        return JSONResponse({"error": "nobody asked for this when answers were recorded"}, 404)

    return [Route(f"/{name}/{{path:path}}", answer, methods=["GET", "POST"])]


def _matches(query: Mapping[str, str], recorded: Mapping[str, Any]) -> bool:
    """Whether a request asks for what was recorded; keys apart, which are not."""
    asked_then = {
        name: str(value[0] if isinstance(value, list) else value)
        for name, value in recorded.items()
        if value != GONE
    }
    return asked_then == {
        name: value for name, value in query.items() if recorded.get(name) != GONE
    }
