"""One HTTP request to a provider, with failures sorted by the one question that counts: was it
sent?

https://www.python-httpx.org/exceptions/
"""

import logging
from typing import TYPE_CHECKING, Any

from signalroom_dagster.https import trusted
from signalroom_dagster.notifications.message import (
    PermanentDeliveryError,
    RetryableDeliveryError,
    UnknownOutcomeError,
)

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 10.0

for _logger in ("httpx", "httpcore"):  # they log every URL, and with it accounts and numbers
    logging.getLogger(_logger).setLevel(logging.WARNING)


def call(
    provider: str, method: str, url: str, timeout_seconds: float, **request: Any
) -> "httpx.Response":
    """The provider's answer, whatever its status.

    Raises RetryableDeliveryError when no request can have arrived whole, UnknownOutcomeError when
    one may have, and PermanentDeliveryError when base_url is no URL.
    """
    import httpx

    timeout = httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS)
    try:
        return httpx.request(method, url, timeout=timeout, verify=trusted(), **request)
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise PermanentDeliveryError(f"{provider} cannot be asked: base_url is not a URL") from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
        raise RetryableDeliveryError(
            f"{provider} cannot be reached ({type(error).__name__})"
        ) from None
    except httpx.RequestError as error:
        raise UnknownOutcomeError(f"{provider} did not answer ({type(error).__name__})") from None


def said(answer: "httpx.Response") -> dict[str, Any]:
    """The JSON object of an answer; empty when it is none."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def seconds_to_wait(value: str | None) -> float | None:
    """A Retry-After in seconds; None when there is none, or it is not a number."""
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
