"""dlt's own authentications, made of a client's values alone and over our own transport."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from dlt.sources.helpers.rest_client.auth import AuthConfigBase

from signalroom_dagster.described.asking import check_public, origin_of
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.redaction import keep_secret
from signalroom_dagster.sources.http import Api, VendorDataError

AUTHENTICATIONS: Mapping[str, Sequence[str]] = {
    "bearer": ("token",),
    "api_key": ("api_key",),
    "http_basic": ("username", "password"),
    "oauth2_client_credentials": ("access_token_url", "client_id", "client_secret"),
}
"""dlt's authentications, and what each of them needs."""


def authentication(
    described: Mapping[str, Any] | None, session: "TokenSession | None" = None
) -> AuthConfigBase | None:
    """dlt's authentication, made of these values alone: dlt would look for what is left out in
    settings that clients share. `session` asks for a token. Raises ConfigurationError for one that
    there is not, and for values that do not fit.
    """
    from dlt.sources.rest_api.config_setup import AUTH_MAP

    if described is None:
        return None
    given = {"type": "bearer", **described}
    name = str(given.pop("type"))
    if name not in AUTHENTICATIONS:
        there_are = ", ".join(AUTHENTICATIONS)
        raise ConfigurationError(f"client.auth: no type {name} (there are: {there_are})")
    if missing := [each for each in AUTHENTICATIONS[name] if not given.get(each)]:
        raise ConfigurationError(f"client.auth.{missing[0]} is missing")
    if given.get("location") == "cookie":
        raise ConfigurationError("client.auth: a key in a cookie is not sent: use header or query")
    if name == "oauth2_client_credentials":
        given["session"] = session
    try:
        return AUTH_MAP[name](**given)
    except TypeError as error:
        raise ConfigurationError(f"client.auth: {_argument_of(error)}") from None


def _argument_of(error: TypeError) -> str:
    """Which argument dlt's class does not take, or lacks; never a value."""
    _, _, what = str(error).partition("() ")
    return what or "its arguments do not fit"


class TokenSession:
    """Where dlt's OAuth2 asks for a token: through our own transport."""

    def __init__(self, api: Api, *, is_private: bool) -> None:
        self._api, self._is_private = api, is_private

    def post(self, url: str, headers: Mapping[str, str], data: Mapping[str, Any]) -> "_Token":
        """The token's answer. Raises as `Api.exchange` does."""
        there = replace(self._api, base_url=origin_of(url, "access_token_url"), headers={})
        if not self._is_private:
            check_public(str(urlsplit(url).hostname), "access_token_url")
        content = urlencode(data).encode()
        body, _ = there.exchange("POST", urlsplit(url).path, content=content, headers=headers)
        token = body.get("access_token") if isinstance(body, dict) else None
        if not token:
            what = "answered without an access_token"
            raise VendorDataError(there.about("POST", urlsplit(url).path, what))
        keep_secret(str(token))
        return _Token(body)


@dataclass(frozen=True)
class _Token:
    body: Any

    def raise_for_status(self) -> None:
        """An error status has been raised before."""

    def json(self) -> Any:
        """The decoded body."""
        return self.body
