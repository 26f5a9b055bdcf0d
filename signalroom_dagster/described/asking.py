"""Asking a described API: dlt's authentication and paginators, over our own transport.

The transport keeps the account's pace, follows no redirect, and tells errors without keys. A
request goes to the host of base_url alone, whatever an answer says of the next page.

https://dlthub.com/docs/general-usage/http/rest-client
"""

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

from dlt.sources.helpers.rest_client.auth import AuthConfigBase
from requests import Request, Response  # noqa: TID251 - what dlt's paginators change and look at
from requests.structures import CaseInsensitiveDict  # noqa: TID251 - as above

from signalroom_dagster.addresses import LOOPBACK, checked_address
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.redaction import keep_secret
from signalroom_dagster.sources.http import Api, VendorDataError

DEFAULT_PORTS = {"http": 80, "https": 443}
AUTHENTICATIONS: Mapping[str, Sequence[str]] = {
    "bearer": ("token",),
    "api_key": ("api_key",),
    "http_basic": ("username", "password"),
    "oauth2_client_credentials": ("access_token_url", "client_id", "client_secret"),
}
"""dlt's authentications, and what each of them needs."""


class Answer(Response):
    """An answer as dlt's paginators look at it: its JSON, with exact numbers, and its headers."""

    def __init__(self, body: Any, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.body = body
        self.headers = CaseInsensitiveDict(headers)
        self.status_code = 200

    def json(self, **_: Any) -> Any:
        """The decoded body."""
        return self.body


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it was, without its account's authentication, and its answer."""

    method: str
    path: str
    query: Mapping[str, Any]
    json: Any
    answer: Answer


def _exchange(request: Request, answer: Answer) -> Exchange:
    """A paginator goes on changing the request: what it was is copied."""
    url, params = urlsplit(str(request.url)), cast("Mapping[str, Any]", request.params or {})
    query = {**parse_qs(url.query, keep_blank_values=True), **deepcopy(dict(params))}
    return Exchange(str(request.method), url.path, query, deepcopy(request.json), answer)


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account: where it is, dlt's authentication for it, and the transport. `is_private` says
    that its host may lie in a private network. `exchanges` keeps what was asked and answered, where
    somebody wants that.
    """

    api: Api
    base_url: str
    auth: AuthConfigBase | None = None
    is_private: bool = False
    exchanges: list[Exchange] | None = field(default=None, repr=False)

    def request(self, method: str, path: str, **parts: Any) -> Request:
        """A request below base_url, for a paginator to change."""
        url = f"{self.base_url.rstrip('/')}/{path.lstrip('/')}"
        return Request(method, url, auth=self.auth, **parts)

    def send(self, request: Request) -> Answer:
        """What is answered. Raises as `Api.exchange` does, ConfigurationError for a host in a
        network that it may not lie in, and VendorDataError for an address that is none, or is at
        another host.
        """
        try:
            prepared = request.prepare()
            parts = urlsplit(str(prepared.url))
            self._check_host(parts.scheme, parts.hostname, parts.port)
        except ValueError:  # whose words would quote the address, or a header
            what = "cannot be asked for: its address or a header of it cannot be sent"
            raise VendorDataError(f"source {self.api.source}: a page {what}") from None
        sent = {name: value for name, value in prepared.headers.items() if name != "Content-Length"}
        content = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        body, headers = self.api.exchange(
            str(prepared.method),
            parts.path,
            params=parse_qs(parts.query, keep_blank_values=True),
            content=content if isinstance(content, bytes) else None,
            headers={str(name): str(value) for name, value in sent.items()},
        )
        answer = Answer(body, headers)
        if self.exchanges is not None:
            self.exchanges.append(_exchange(request, answer))
        return answer

    def about(self, request: Request, what: str) -> str:
        """One sentence on a request."""
        return self.api.about(str(request.method), urlsplit(str(request.url)).path, what)

    def _check_host(self, scheme: str, host: str | None, port: int | None) -> None:
        """A next page that is named with http where ours is https is asked for with https."""
        ours = urlsplit(self.base_url)
        our_port = ours.port or DEFAULT_PORTS[ours.scheme]
        is_our_port = (port or DEFAULT_PORTS.get(scheme)) == our_port or port is ours.port is None
        if host != ours.hostname or not is_our_port:
            what = f"is not asked for its next page at {host}: the key would go to another host"
            raise VendorDataError(f"source {self.api.source}: {what}", words=[f" {host}"])
        if not self.is_private:
            check_public(str(host))


def origin_of(url: str, name: str = "base_url") -> str:
    """Scheme, host and port. Raises ConfigurationError for an address that no key should go to."""
    try:
        parts = urlsplit(checked_address(url))
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None
    return f"{parts.scheme}://{parts.netloc}"


def check_public(host: str, name: str = "base_url") -> None:
    """Raises ConfigurationError for a name whose address lies in a private network: only a person
    who writes the address itself, or `private = true`, can mean that.
    """
    if host in LOOPBACK or _address(host):
        return
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return  # nobody is there to be asked, or a proxy knows
    for place in {str(entry[4][0]) for entry in found}:
        address = _address(place.partition("%")[0])
        if address and (address.is_private or address.is_link_local or address.is_multicast):
            raise ConfigurationError(
                f"{name}: {host} lies in a private network; if that is meant, write"
                " `private = true` below [client]"
            )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


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
