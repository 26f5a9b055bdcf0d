"""The gateway: takes events over HTTP, and answers when they are durably stored. It keeps nothing
itself, so that any number of them may run, and be killed, at any time.

204 stored, already stored, or kept as a dead letter · 401 no valid token · 403 another tenant's
event · 413 too large · 429 too much waits · 503 the store or the token's keys cannot be reached:
come again.

https://www.starlette.io/applications/
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.events import intake
from signalroom_dagster.events.access import Access, SharedTokens, UnauthorizedError
from signalroom_dagster.events.access_log import AccessLog
from signalroom_dagster.events.answers import REFUSALS, Bodies, refusal
from signalroom_dagster.events.group_commit import GroupCommit
from signalroom_dagster.events.intake import Contracts, Intake, Sender, TooLargeError
from signalroom_dagster.events.metrics import Metrics, More
from signalroom_dagster.events.settings import EventSettings
from signalroom_dagster.events.stores.store import Store, StoreError
from signalroom_dagster.events.webhooks import Webhooks
from signalroom_dagster.retries import backoff

log = logging.getLogger(__name__)

PING_SECONDS = 2.0
REMEMBERED_SECONDS = 1.0
FIGURES_SECONDS = 8.0
"""Below the ten seconds that Prometheus waits."""
CREATE_AGAIN_SECONDS, CREATE_SELDOM_SECONDS = 1.0, 30.0
Read = Callable[[bytes, Sender, Contracts], Intake]


@dataclass(slots=True)
class Gateway:
    """What the answers are made with."""

    store: Store
    contracts: Contracts
    access: Access
    settings: EventSettings
    metrics: Metrics
    bodies: Bodies
    commits: GroupCommit | None = None

    async def take(self, request: Request, read: Read) -> Response:
        """Store what a request holds, and say how it went."""
        try:
            tenants = await self.access.tenants(request.headers.get("authorization"))
            body = await self.bodies.read(request)
            found = read(body, intake.sent_now(tenants), self.contracts)
            if len(found.events) + len(found.letters) > self.settings.max_queue:
                raise TooLargeError(f"more than {self.settings.max_queue} events in one request")
            if found.events or found.letters:
                if not self.commits:
                    raise StoreError("the gateway has not started")
                await self.commits.submit(found)
        except ClientDisconnect:
            return Response(status_code=400)
        except tuple(REFUSALS) as error:
            return refusal(error)
        if not found.letters:
            return Response(status_code=204)
        return Response(
            status_code=self.settings.poison_status,
            headers={"x-signalroom-dead-letters": str(len(found.letters))},
        )


def gateway_app(
    store: Store,
    contracts: Contracts,
    access: Access,
    settings: EventSettings,
    webhooks: Webhooks | None = None,
    more_metrics: More | None = None,
    *,
    is_private: bool = True,
) -> Starlette:
    """The application. `more_metrics` yields further families for /metrics, each time it is asked;
    where others than this machine can ask (`is_private` is False), they need its token.
    """
    metrics, bodies = Metrics(store, more_metrics), Bodies(settings.max_body_bytes)
    gateway = Gateway(store, contracts, access, settings, metrics, bodies)

    async def pubsub(request: Request) -> Response:
        return await gateway.take(request, intake.from_pubsub)

    async def events(request: Request) -> Response:
        return await gateway.take(request, intake.from_json)

    routes = [
        Route("/v1/events/pubsub", pubsub, methods=["POST"]),
        Route("/v1/events", events, methods=["POST"]),
        Route("/healthz", _alive),
        Route("/readyz", Readiness(gateway).ready),
        Route("/metrics", _figures(metrics, settings, is_private)),
        *(webhooks.routes(bodies) if webhooks else ()),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(AccessLog, metrics=metrics)],
        lifespan=_lifespan(gateway),
    )


def _lifespan(
    gateway: Gateway,
) -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]:
    settings = gateway.settings

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        gateway.commits = GroupCommit(
            gateway.store,
            gateway.metrics,
            max_batch=settings.max_batch,
            max_queue=settings.max_queue,
            writers=settings.writers,
            seconds=settings.commit_seconds,
        )
        creating = asyncio.create_task(_create(gateway.store))
        try:
            yield
        finally:  # the server has answered every request by now, or given up on it
            creating.cancel()
            await gateway.commits.close()
            gateway.store.close()

    return lifespan


async def _create(store: Store) -> None:
    """Create what the store lacks as soon as it can be reached and is not held; until then it is
    asked ever more rarely, because events wait behind each try.
    """
    for attempt in itertools.count(1):
        pause = backoff(attempt, CREATE_AGAIN_SECONDS, CREATE_SELDOM_SECONDS)
        try:
            await asyncio.to_thread(store.create)
        except (StoreError, ConfigurationError) as error:
            log.warning("%s; trying again in %.0f s", error, pause)
            await asyncio.sleep(pause)
        else:
            return


async def _alive(_: Request) -> Response:
    return PlainTextResponse("alive\n")


class Readiness:
    """Whether the store can be written to: asked once a second at most, and not again before it has
    answered, since one that does not answer keeps a thread each time.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._asked = float("-inf")
        self._answer: asyncio.Task[None] | None = None

    async def ready(self, _: Request) -> Response:
        """200 or 503, within two seconds."""
        now = time.monotonic()
        answer = self._answer
        if answer is None or (answer.done() and now - self._asked > REMEMBERED_SECONDS):
            self._asked = now
            answer = self._answer = asyncio.create_task(asyncio.to_thread(self._gateway.store.ping))
        await asyncio.wait((answer,), timeout=max(0.0, self._asked + PING_SECONDS - now))
        is_late = self._gateway.commits and self._gateway.commits.is_late
        if answer.done() and not answer.exception() and not is_late:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("the store cannot be written to\n", 503)


def _figures(
    metrics: Metrics, settings: EventSettings, is_private: bool
) -> Callable[[Request], Awaitable[Response]]:
    own = Access([SharedTokens({"": settings.metrics_token})] if settings.metrics_token else [])
    is_closed = not (is_private or settings.metrics_token)

    collecting: asyncio.Task[bytes] | None = None

    async def figures(request: Request) -> Response:
        nonlocal collecting
        if is_closed:
            return PlainTextResponse(
                "closed: EVENTS__METRICS_TOKEN opens it to whoever shows it\n", 403
            )
        try:
            await own.tenants(request.headers.get("authorization"))
        except UnauthorizedError as error:
            return refusal(error)
        if (
            collecting is None or collecting.done()
        ):  # once at a time: what does not answer keeps a thread each time
            collecting = asyncio.create_task(asyncio.to_thread(metrics.text))
        done, _ = await asyncio.wait((collecting,), timeout=FIGURES_SECONDS)
        if not done:
            return PlainTextResponse(
                "the figures are still being collected\n", 503, {"retry-after": "5"}
            )
        return Response(collecting.result(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return figures
