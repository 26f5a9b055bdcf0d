"""A stand-in for Twilio's messages: form in, JSON out, errors with its codes.

https://www.twilio.com/docs/messaging/api/message-resource
"""

import base64
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from signalroom_dagster.sandbox.outbox import ACCOUNT, TOKEN, Outbox, Sent

NUMBER = re.compile(r"\+[1-9]\d{6,14}\Z")
LONGEST = 1_600
_BASIC = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()


def routes(outbox: Outbox) -> list[BaseRoute]:
    """`GET` and `POST /twilio/2010-04-01/Accounts/{account}/Messages.json`."""

    async def messages(request: Request) -> JSONResponse:
        if request.headers.get("Authorization") != _BASIC:
            return _error(401, 20003, "Authenticate")
        if request.method == "GET":
            wanted = request.query_params["To"]
            found = [sent for sent in reversed(outbox.of("sms")) if sent.recipient == wanted]
            return JSONResponse({"messages": [sent.fields for sent in found]})
        form = dict(parse_qsl((await request.body()).decode()))
        number, body = form.get("To", ""), form.get("Body", "")
        if not NUMBER.match(number):
            return _error(400, 21211, f"The 'To' number {number} is not a valid phone number.")
        if not 0 < len(body) <= LONGEST:
            return _error(400, 21617 if body else 21602, "Message body")
        sid = f"SM{len(outbox.sent) + 1:032}"
        fields: dict[str, Any] = {
            "sid": sid,
            "to": number,
            "from": form.get("From", ""),
            "body": body,
            "status": "queued",
            "error_code": None,
            "num_segments": "1",
            "date_created": format_datetime(datetime.now(UTC)),
            "date_sent": None,
        }
        outbox.sent.append(Sent(sid, "sms", number, body, fields=fields))
        return JSONResponse(fields, 201)

    path = "/twilio/2010-04-01/Accounts/{account}/Messages.json"
    return [Route(path, messages, methods=["GET", "POST"])]


def _error(status: int, code: int, message: str) -> JSONResponse:
    url = f"https://www.twilio.com/docs/errors/{code}"
    return JSONResponse(
        {"code": code, "message": message, "more_info": url, "status": status}, status
    )
