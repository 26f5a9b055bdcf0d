"""Which addresses a vendor, a channel or a bucket may have: https, or plain http on this very
machine.

Keys and people's data go there with every request, and over plain http whoever stands in between
reads them.
"""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from signalroom_dagster.config import plain_http_hosts

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def checked_address(url: str) -> str:
    """The address as it is. Raises ValueError, which quotes nothing of it, when nothing secret
    should go there.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    host = parts.hostname
    if not host or parts.scheme not in ("https", "http"):
        raise ValueError("it must be an address that starts with https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it must not hold a user or a password")
    if parts.scheme == "http" and host not in LOOPBACK | plain_http_hosts():
        raise ValueError(
            "it must start with https://: over http:// keys and data can be read on their way."
            " Plain http is for 127.0.0.1, localhost and ::1, and for the hosts that"
            " SIGNALROOM_PLAIN_HTTP_HOSTS names"
        )
    return url


Address = Annotated[str, AfterValidator(checked_address)]
"""The base URL of whatever is asked over HTTP, as a setting."""
