"""One line for each request that was not simply stored, without its query, headers or body; and its
figures.

The server's own access log is off: it writes the query, and with it the tokens of webhooks.
"""

import logging
import time
from typing import Any

from signalroom_dagster.events.metrics import Metrics

log = logging.getLogger(__name__)

KNOWN = ("/v1/events/pubsub", "/v1/events", "/v1/triggers", "/healthz", "/readyz", "/metrics")
SHOWN = 200
_QUIET = ("/healthz", "/readyz", "/metrics", "/v1/events", "/v1/events/pubsub")


class AccessLog:
    """ASGI middleware."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, and tell how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def told(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            self._tell(scope, status, time.perf_counter() - started)

    def _tell(self, scope: Any, status: int, seconds: float) -> None:
        path = scope["path"]
        known = next((one for one in KNOWN if path == one or path.startswith(f"{one}/")), "other")
        self._metrics.requests.labels(known, status).inc()
        self._metrics.request_seconds.labels(known).observe(seconds)
        if status >= 400 or path not in _QUIET:
            shown = "".join(
                character if character.isprintable() else "?" for character in path[:SHOWN]
            )
            log.info("%s %s %d %.0f ms", scope["method"], shown, status, seconds * 1000)
