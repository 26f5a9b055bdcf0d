"""Webhooks that start the run of a client's source: vendors' postbacks, and S3's notifications
through SNS.

A webhook says only that there is something new: the run finds out what. So one that comes again
within a short time is answered with the run that the first one started.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.events.access import bearer
from signalroom_dagster.events.answers import REFUSALS, Bodies, refusal
from signalroom_dagster.events.intake import TooLargeError
from signalroom_dagster.events.settings import TriggerAccess
from signalroom_dagster.events.sns import SnsError, SnsMessages
from signalroom_dagster.registry.clients import Client
from signalroom_dagster.triggers import DagsterUnreachableError, Triggered

T = TypeVar("T")
log = logging.getLogger(__name__)

SAME_SECONDS = 10.0
THREADS = 4
"""Of their own: a Dagster that does not answer must not hold up what else waits in threads (tokens,
readiness).
"""
_NOBODYS_TOKEN = "no client has this token"
_SNS_TYPE = "x-amz-sns-message-type"
_SNS_RAW = "x-amz-sns-rawdelivery"


Start = Callable[[str, str], Triggered]
"""From (source, client) to the run; called in a thread. Raises DagsterUnreachableError, and
ConfigurationError where Dagster cannot start it.
"""


class Webhooks:
    """The routes of the webhooks and what they remember."""

    def __init__(
        self,
        start: Start,
        access: Mapping[str, TriggerAccess],
        clients: Mapping[str, Client],
        sns: SnsMessages | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._access = access
        self._clients = clients
        self._sns = sns or SnsMessages()
        self._clock = clock
        self._recent: dict[tuple[str, str], tuple[float, Triggered]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._threads = ThreadPoolExecutor(THREADS, "webhook")
        self._bodies = Bodies(0)

    def routes(self, bodies: Bodies) -> list[Route]:
        """For the application, which reads bodies with these."""
        self._bodies = bodies
        return [Route("/v1/triggers/{client}/{source}", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        client, source = request.path_params["client"], request.path_params["source"]
        if not self._is_allowed(client, request):
            return PlainTextResponse(
                "the token is not this client's\n", 401, {"www-authenticate": "Bearer"}
            )
        if request.method == "HEAD":  # what looks whether a link works must not start anything
            return Response(status_code=405, headers={"allow": "GET, POST"})
        if problem := _problem(self._clients[client], source):
            return problem
        try:
            if _is_wrapped(request) and not await self._is_news(client, request):
                return Response(status_code=200)
            return await self._run(client, source)
        except SnsError as error:
            return PlainTextResponse(f"{error}\n", 403)
        except tuple(REFUSALS) as error:
            return refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)

    def _is_allowed(self, client: str, request: Request) -> bool:
        """Whether the token is the client's; an unknown client takes as long to refuse as a known
        one.
        """
        shown = (
            bearer(request.headers.get("authorization")) or request.query_params.get("token") or ""
        )
        own = self._access[client].token if client in self._access else None
        expected = own.get_secret_value() if own else _NOBODYS_TOKEN
        return hmac.compare_digest(shown.encode(), expected.encode()) and own is not None

    async def _is_news(self, client: str, request: Request) -> bool:
        """Whether an SNS message tells of something; one that asks for confirmation is confirmed.
        Raises SnsError.
        """
        try:
            body = await self._bodies.read(request)
        except TooLargeError as error:
            raise SnsError(str(error)) from None
        return await self._in_thread(self._sns.is_news, body, self._access[client].topic_arns)

    async def _in_thread(self, call: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *values)

    async def _run(self, client: str, source: str) -> Response:
        key = client, source
        async with self._locks.setdefault(key, asyncio.Lock()):
            at, known = self._recent.get(key, (float("-inf"), None))
            if known and self._clock() - at < SAME_SECONDS:
                return _accepted(replace(known, started=False))
            try:
                found = await self._in_thread(self._start, source, client)
            except DagsterUnreachableError as error:
                log.warning("client %s, source %s: %s", client, source, error)
                return PlainTextResponse("Dagster cannot be reached\n", 503, {"retry-after": "30"})
            except ConfigurationError as error:
                log.error("client %s, source %s: %s", client, source, error)
                return PlainTextResponse(
                    "Dagster cannot start this run\n", 503, {"retry-after": "300"}
                )
            self._recent[key] = self._clock(), found
        return _accepted(found)


def _is_wrapped(request: Request) -> bool:
    """Whether this is a message in SNS's own envelope; one that is delivered raw is a webhook like
    any other.
    """
    headers = request.headers
    return (
        request.method == "POST"
        and _SNS_TYPE in headers
        and headers.get(_SNS_RAW, "").lower() != "true"
    )


def _problem(client: Client, source: str) -> Response | None:
    if source not in client.sources:
        return PlainTextResponse("the client has no such source\n", 404)
    if client.status != "active":
        return PlainTextResponse("the client is not active yet\n", 409)
    return None


def _accepted(found: Triggered) -> Response:
    return JSONResponse(
        {"run_id": found.run_id, "status": "started" if found.started else "running"}, 202
    )
