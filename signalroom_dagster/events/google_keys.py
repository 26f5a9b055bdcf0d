"""The certificates that Google signs with: fetched when first needed, kept as long as Google says,
fetched again early for a key that is not among them, because Google changes them.

https://cloud.google.com/docs/authentication/token-types#id
"""

import re
import threading
import time
from collections.abc import Callable, Mapping

import httpx

from signalroom_dagster.errors import SignalRoomError

TIMEOUT_SECONDS = 5.0
SHORTEST_SECONDS, LONGEST_SECONDS = 300.0, 24 * 3600.0
AGAIN_SECONDS = 60.0
"""How often an unknown key may make us ask: a stranger's tokens must not turn into requests."""


class KeysUnavailableError(SignalRoomError):
    """Google's certificates could not be fetched, so tokens cannot be judged now."""


class GoogleKeys:
    """Certificates by key id, from a URL that answers `{"<key id>": "<PEM>"}`."""

    def __init__(
        self,
        url: str,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._transport = transport
        self._clock = clock
        self._lock = threading.Lock()
        self._certificates: Mapping[str, str] = {}
        self._fresh_until = 0.0
        self._asked_at = float("-inf")

    def certificate(self, key_id: str) -> str:
        """The certificate of a key. Raises KeyError when Google has no such key,
        KeysUnavailableError.
        """
        with self._lock:
            now = self._clock()
            is_stale = now >= self._fresh_until
            if (
                is_stale or key_id not in self._certificates
            ) and now - self._asked_at >= AGAIN_SECONDS:
                self._asked_at = now
                self._fetch(now)
            if not self._certificates:
                raise KeysUnavailableError("Google's certificates could not be fetched")
            return self._certificates[key_id]

    def _fetch(self, now: float) -> None:
        """Fetch anew; what is known stays when Google does not answer."""
        try:
            with httpx.Client(transport=self._transport, timeout=TIMEOUT_SECONDS) as client:
                answer = client.get(self._url).raise_for_status()
                found = answer.json()
        except (httpx.HTTPError, ValueError):
            self._asked_at = now - AGAIN_SECONDS + 5.0 if not self._certificates else now
            return
        self._certificates = {str(key): str(value) for key, value in found.items()}
        age = re.search(r"max-age=(\d+)", answer.headers.get("cache-control", ""))
        self._fresh_until = now + min(
            max(float(age[1]) if age else 0.0, SHORTEST_SECONDS), LONGEST_SECONDS
        )
