"""Asking a described API: requests that dlt's paginators change, over our own transport.

The transport keeps the account's pace, follows no redirect, and tells errors without keys. A
request goes to the host of base_url alone, whatever an answer says of the next page.

https://dlthub.com/docs/general-usage/http/rest-client
"""

import ipaddress
import socket
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from dlt.sources.helpers.rest_client.auth import AuthConfigBase
from requests import Request, Response  # noqa: TID251 - what dlt's paginators change and look at
from requests.structures import CaseInsensitiveDict  # noqa: TID251 - as above

from signalroom_dagster.addresses import LOOPBACK, checked_address
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.sources.http import Api, VendorDataError

DEFAULT_PORTS = {"http": 80, "https": 443}


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
        places = socket.getaddrinfo(host, None)
    except OSError:
        return  # nobody is there to be asked, or a proxy knows
    for place in {str(entry[4][0]) for entry in places}:
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
