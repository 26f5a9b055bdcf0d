"""Stand-ins for the channels' providers: they take messages as Slack, Resend and Twilio do, and
only remember them.

What each refuses, and how, stands in a module of its own; here are the settings that lead to them.
"""

from collections.abc import Mapping
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from signalroom_dagster.sandbox import resend, slack, twilio
from signalroom_dagster.sandbox.outbox import ACCOUNT, TOKEN, Outbox


def routes(outbox: Outbox | None = None) -> list[BaseRoute]:
    """The providers' paths, and `GET /_sent`, which tells what was sent."""
    kept = outbox or Outbox()

    async def tell(request: Request) -> JSONResponse:
        return JSONResponse([asdict(sent) for sent in kept.sent])

    return [*slack.routes(kept), *resend.routes(kept), *twilio.routes(kept), Route("/_sent", tell)]


def variables(url: str) -> Mapping[str, str]:
    """The settings of every channel as environment variables, given the server's URL."""
    return {
        "NOTIFICATIONS__SLACK__TOKEN": TOKEN,
        "NOTIFICATIONS__SLACK__BASE_URL": f"{url}/slack/api/",
        "NOTIFICATIONS__SLACK__CHANNEL": "#alerts",
        "NOTIFICATIONS__EMAIL__API_KEY": TOKEN,
        "NOTIFICATIONS__EMAIL__FROM_ADDRESS": "SignalRoom <reports@example.test>",
        "NOTIFICATIONS__EMAIL__BASE_URL": f"{url}/resend",
        "NOTIFICATIONS__SMS__ACCOUNT_SID": ACCOUNT,
        "NOTIFICATIONS__SMS__AUTH_TOKEN": TOKEN,
        "NOTIFICATIONS__SMS__FROM_NUMBER": "+15550100000",
        "NOTIFICATIONS__SMS__BASE_URL": f"{url}/twilio",
    }
