"""How a request is read, and how it is refused."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from signalroom_dagster.events.access import UnauthorizedError
from signalroom_dagster.events.google_keys import KeysUnavailableError
from signalroom_dagster.events.group_commit import QueueFullError
from signalroom_dagster.events.intake import ForbiddenError, TooLargeError
from signalroom_dagster.events.stores.store import StoreError

BODIES_BYTES = 64 * 1024 * 1024
"""Of bodies that are still coming in, all together: memory does not grow with how many send slowly.
"""

REFUSALS: dict[type[Exception], tuple[int, dict[str, str]]] = {
    UnauthorizedError: (401, {"www-authenticate": "Bearer"}),
    ForbiddenError: (403, {}),
    TooLargeError: (413, {}),
    QueueFullError: (429, {"retry-after": "1"}),
    StoreError: (503, {"retry-after": "1"}),
    KeysUnavailableError: (503, {"retry-after": "5"}),
}


def refusal(error: Exception) -> Response:
    """How an error is answered: its own words, which repeat nothing of the request."""
    status, headers = next(answer for kind, answer in REFUSALS.items() if isinstance(error, kind))
    told = "the store cannot be reached" if isinstance(error, StoreError) else str(error)
    return PlainTextResponse(f"{told}\n", status, headers)


class Bodies:
    """Reads bodies of `limit` bytes at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """The body. Raises TooLargeError as soon as it is known to be too large, QueueFullError
        when too much is being read already, and ClientDisconnect.
        """
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self._limit:
            raise TooLargeError(f"the body is larger than {self._limit} bytes")
        parts: list[bytes] = []
        size = 0
        try:
            async for part in request.stream():
                size += len(part)
                self._held += len(part)
                if size > self._limit:
                    raise TooLargeError(f"the body is larger than {self._limit} bytes")
                if self._held > BODIES_BYTES and size < self._held:
                    raise QueueFullError("too much is being sent at once")
                parts.append(part)
        finally:
            self._held -= size
        return b"".join(parts)
