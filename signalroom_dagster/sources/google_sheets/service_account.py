"""A Google service account: its key, and the token that it is exchanged for.

The key's own `token_uri` is asked, through httpx: with our timeouts, and without the retries that
google-auth makes when an answer is an error, because an error never gets back to it.

https://developers.google.com/identity/protocols/oauth2/service-account
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from signalroom_dagster.addresses import checked_address
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.redaction import keep_secret, mask_foreign
from signalroom_dagster.sources.http import (
    TIMEOUT_SECONDS,
    VendorDataError,
    VendorError,
    VendorUnreachableError,
    http_client,
)

if TYPE_CHECKING:
    import httpx

SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
PASSING = frozenset({"internal_failure", "server_error", "temporarily_unavailable"})
LONGEST_WORDS = 200


class ServiceAccount(NamedTuple):
    """A service account. Spreadsheets are shared with its `email`; `signer` is google-auth's
    credentials.
    """

    email: str
    signer: Any

    def token(self) -> str:
        """A new access token, good for an hour. Raises VendorError, VendorUnreachableError and
        VendorDataError.
        """
        self.signer.refresh(self._send)
        keep_secret(self.signer.token)
        return self.signer.token

    def _send(
        self, url: str, method: str = "GET", body: Any = None, headers: Any = None, **_: Any
    ) -> "TokenAnswer":
        """google-auth's way to its token endpoint."""
        import httpx

        try:
            with http_client(TIMEOUT_SECONDS) as http:
                answer = http.request(method, url, content=body, headers=headers)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise VendorUnreachableError(
                _about(f"gave no whole answer ({type(error).__name__})")
            ) from None
        said = _decoded(answer.content)
        if answer.status_code != HTTPStatus.OK:
            raise _refusal(answer, said)
        if not isinstance(said.get("access_token"), str):
            raise VendorDataError(_about("answered without a token"))
        return TokenAnswer(answer.status_code, dict(answer.headers), answer.content)


class TokenAnswer(NamedTuple):
    """An answer as google-auth reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def open_account(credentials: str) -> ServiceAccount:
    """The account of a key: its JSON, or the path of its file.

    Raises ConfigurationError that names nothing of what stands there.
    """
    from google.oauth2.service_account import Credentials

    text = credentials if credentials.lstrip().startswith("{") else _file(credentials)
    key = _decoded(text.encode())
    if isinstance(
        pem := key.get("private_key"), str
    ):  # shells and .env files leave line ends as backslash and n
        key = {**key, "private_key": pem.replace("\\r", "").replace("\\n", "\n")}
    keep_secret(str(key.get("private_key", "")))
    if key.get("type") != "service_account":
        raise _unusable("it is not the JSON key of a service account")
    try:
        signer = Credentials.from_service_account_info(key, scopes=[SCOPE])
        checked_address(str(key["token_uri"]))
    except (ValueError, TypeError, AttributeError):
        raise _unusable(
            "client_email, private_key or token_uri (an https address) is missing or damaged"
        ) from None
    return ServiceAccount(str(key["client_email"]), signer)


def _refusal(answer: "httpx.Response", said: Mapping[str, Any]) -> VendorError:
    words = ": ".join(str(said[name]) for name in ("error", "error_description") if said.get(name))
    words = f": {mask_foreign(words or answer.reason_phrase)[:LONGEST_WORDS]}"
    status = None if said.get("error") in PASSING else answer.status_code
    what = _about(f"answered {answer.status_code}{words}; check credentials")
    return VendorError(what, status, answer.headers.get("Retry-After"), words=[words])


def _about(what: str) -> str:
    return f"source google_sheets: the key's token_uri {what}"


def _file(path: str) -> str:
    try:
        return Path(path.strip()).expanduser().read_text("utf-8-sig")
    except (OSError, ValueError, RuntimeError):
        raise _unusable("it is neither JSON nor the path of a file that can be read") from None


def _decoded(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content, strict=False)  # a key with its line ends as they are
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _unusable(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"source google_sheets: credentials cannot be used: {why}; check credentials"
    )
