"""A stand-in for Resend: one e-mail per key, errors with its names.
https://resend.com/docs/api-reference/errors
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from signalroom_dagster.sandbox.outbox import TOKEN, Outbox, Sent


def routes(outbox: Outbox) -> list[BaseRoute]:
    """`POST /resend/emails`."""

    async def take(request: Request) -> JSONResponse:
        body = await request.json()
        refusal = _refusal(request, body)
        if refusal:
            return refusal
        key = request.headers.get("Idempotency-Key", "")
        before = next((sent for sent in outbox.of("email") if key and sent.key == key), None)
        if before and before.fields != body:
            return _error(
                409,
                "invalid_idempotent_request",
                "Same idempotency key used with a different payload",
            )
        if before:
            return JSONResponse({"id": before.id})
        number = f"49a3999c-0000-4000-8000-{len(outbox.sent) + 1:012}"
        outbox.sent.append(Sent(number, "email", body["to"][0], body["text"], key, body))
        return JSONResponse({"id": number})

    return [Route("/resend/emails", take, methods=["POST"])]


def _refusal(request: Request, body: dict[str, Any]) -> JSONResponse | None:
    if request.headers.get("User-Agent", "").startswith("python-httpx"):
        return _error(403, "forbidden", "error code: 1010")
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return _error(403, "invalid_api_key", "API key is invalid")
    if missing := [name for name in ("from", "to", "subject") if not body.get(name)]:
        return _error(422, "missing_required_field", f"Missing `{missing[0]}` field")
    if "@" not in body["to"][0]:
        return _error(422, "validation_error", f"Invalid `to` field: {json.dumps(body['to'])}")
    return None


def _error(status: int, name: str, message: str) -> JSONResponse:
    return JSONResponse({"statusCode": status, "name": name, "message": message}, status)
