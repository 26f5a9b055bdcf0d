"""Who may send what: a bearer token per tenant, or a token that Google signed for a Pub/Sub
subscription.

Nothing here ever repeats a token, in an error, a log or an answer.

https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
"""

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import SecretStr

from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.events.google_keys import GoogleKeys
from signalroom_dagster.events.settings import Oidc, TenantAccess

log = logging.getLogger(__name__)

Tenants = frozenset[str]
ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
CLOCK_SKEW_SECONDS = 10
REMEMBERED_TOKENS = 1_000


class UnauthorizedError(SignalRoomError):
    """The request shows no token, or none that is known or valid; says why, without the token."""


class Verifier(Protocol):
    """One kind of token."""

    async def tenants(self, token: str) -> Tenants:
        """The tenants for which its bearer may send. Raises UnauthorizedError; KeysUnavailableError
        when that cannot be told now.
        """
        ...


class SharedTokens:
    """One secret per tenant."""

    def __init__(self, tokens: Mapping[str, SecretStr]) -> None:
        self._tokens = {
            tenant: token.get_secret_value().encode() for tenant, token in tokens.items()
        }

    async def tenants(self, token: str) -> Tenants:
        """See Verifier. Compares with every tenant's, so that the time tells nothing."""
        shown = token.encode()
        found = [tenant for tenant, own in self._tokens.items() if hmac.compare_digest(own, shown)]
        if not found:
            raise UnauthorizedError("the token is not known")
        return frozenset(found)


class GoogleTokens:
    """Tokens signed by Google for this audience and one of these service accounts; a good one is
    remembered until it expires, because checking its signature takes longer than storing an event.
    """

    def __init__(self, audience: str, accounts: Mapping[str, Tenants], keys: GoogleKeys) -> None:
        self._audience = audience
        self._accounts = accounts
        self._keys = keys
        self._known: OrderedDict[bytes, tuple[Tenants, float]] = OrderedDict()

    async def tenants(self, token: str) -> Tenants:
        """See Verifier."""
        name = hashlib.sha256(token.encode()).digest()
        if (known := self._known.get(name)) and known[1] > time.time():
            return known[0]
        found, expires = await asyncio.to_thread(self._verified, token)
        self._known[name] = found, expires
        while len(self._known) > REMEMBERED_TOKENS:
            self._known.popitem(last=False)
        return found

    def _verified(self, token: str) -> tuple[Tenants, float]:
        from google.auth import exceptions, jwt

        try:
            header = jwt.decode_header(token)
            if (
                header.get("alg") != "RS256"
            ):  # before anything is done with a key: no `none`, no HS256
                raise UnauthorizedError("the token is not signed with RS256")
            kid = str(header.get("kid"))
            certs = {kid: self._keys.certificate(kid)}
            claims = jwt.decode(
                token, certs, audience=self._audience, clock_skew_in_seconds=CLOCK_SKEW_SECONDS
            )
        except (exceptions.GoogleAuthError, ValueError, TypeError, KeyError) as error:
            raise UnauthorizedError(f"the token is not valid ({type(error).__name__})") from None
        if str(claims.get("iss")) not in ISSUERS:
            raise UnauthorizedError("the token was not issued by Google")
        account = self._accounts.get(str(claims.get("email")))
        if claims.get("email_verified") is not True or account is None:
            raise UnauthorizedError("the token is of another service account")
        return account, float(claims["exp"])


class Access:
    """What a request may do. Without any verifier, which only a loopback address may have,
    everything.
    """

    def __init__(self, verifiers: Sequence[Verifier] = ()) -> None:
        self.verifiers = verifiers

    async def tenants(self, authorization: str | None) -> Tenants | None:
        """The tenants that a request may send for, None for all of them. Raises
        UnauthorizedError.
        """
        if not self.verifiers:
            return None
        token = bearer(authorization)
        if not token:
            raise UnauthorizedError("the request has no bearer token")
        why = UnauthorizedError("the token is not known")
        for verifier in self.verifiers:
            try:
                return await verifier.tenants(token)
            except UnauthorizedError as error:
                why = error
        raise why


def bearer(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer` header."""
    kind, _, token = (authorization or "").partition(" ")
    return token.strip() or None if kind.lower() == "bearer" else None


def configured_access(
    tenants: Mapping[str, TenantAccess], oidc: Oidc | None, every: Tenants
) -> Access:
    """The access that the settings describe; `every` are the tenants that the shared service
    account may send for.
    """
    tokens = {tenant: access.token for tenant, access in tenants.items() if access.token}
    verifiers: list[Verifier] = [SharedTokens(tokens)] if tokens else []
    if oidc and oidc.audience:
        accounts: dict[str, Tenants] = {oidc.email: every} if oidc.email else {}
        for tenant, access in tenants.items():
            if access.email:
                accounts[access.email] = accounts.get(access.email, frozenset()) | {tenant}
        verifiers.append(GoogleTokens(oidc.audience, accounts, GoogleKeys(oidc.certs_url)))
    return Access(verifiers)


def access_at(host: str, access: Access) -> Access:
    """The access where it is served: without any token, an address that others reach takes events
    from nobody.

    It is served all the same, for the triggers, which have tokens of their own.
    """
    if access.verifiers or is_loopback(host):
        return access
    log.warning(
        "%s can be reached from other machines and no token is set: no event is taken. Set"
        " EVENTS__TENANTS__<id>__TOKEN (or EVENTS__OIDC__AUDIENCE and __EMAIL), or listen on"
        " 127.0.0.1",
        host,
    )
    return Access([SharedTokens({})])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
