"""Google's tokens: only one that Google signed, fresh, for this gateway and by the right account
opens it.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from google.auth import jwt

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.events import settings
from signalroom_dagster.events.access import GoogleTokens, UnauthorizedError
from signalroom_dagster.events.google_keys import AGAIN_SECONDS, GoogleKeys, KeysUnavailableError
from signalroom_dagster_tests.events.signing import certificate, google_signer
from signalroom_dagster_tests.projects import Project

AUDIENCE, EMAIL = (
    "https://events.example.com/v1/events/pubsub",
    "push@project.iam.gserviceaccount.com",
)
CLAIMS = {
    "iss": "https://accounts.google.com",
    "aud": AUDIENCE,
    "email": EMAIL,
    "email_verified": True,
    "sub": "1",
}


class Google:
    """Google's certificates over HTTP, a clock, and what was asked."""

    def __init__(self) -> None:
        self.certificates = {"one": certificate("one")}
        self.status, self.asked, self.now = 200, 0, 1_000.0
        keys = GoogleKeys(
            "https://google.example/certs", httpx.MockTransport(self._answer), lambda: self.now
        )
        self.tokens = GoogleTokens(AUDIENCE, {EMAIL: frozenset({"713"})}, keys)

    def _answer(self, _: httpx.Request) -> httpx.Response:
        self.asked += 1
        return httpx.Response(
            self.status, json=self.certificates, headers={"cache-control": "public, max-age=3600"}
        )

    def tenants(self, token: str) -> frozenset[str]:
        return asyncio.run(self.tokens.tenants(token))


@pytest.fixture
def google() -> Google:
    return Google()


def signed(key: str = "one", **claims: Any) -> str:
    now = int(time.time())
    return jwt.encode(
        google_signer(key), {**CLAIMS, "iat": now, "exp": now + 3600, **claims}
    ).decode()


def unsigned(header: dict[str, Any], signature: bytes = b"", secret: bytes | None = None) -> str:
    now = int(time.time())
    parts = [
        json.dumps(part).encode() for part in (header, {**CLAIMS, "iat": now, "exp": now + 3600})
    ]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    if secret is not None:
        signature = hmac.new(secret, text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_a_token_of_the_configured_account_opens_its_tenants_and_google_is_asked_once(
    google: Google,
) -> None:
    for _ in range(3):
        assert google.tenants(signed()) == {"713"}
    assert google.tenants(signed(sub="2", iss="accounts.google.com")) == {"713"}
    assert google.asked == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example.com"},
        {"iss": "https://accounts.example.com"},
        {"email": "other@project.iam.gserviceaccount.com"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"exp": int(time.time()) - 60, "iat": int(time.time()) - 4000},
        {"iat": int(time.time()) + 600},
        {"exp": None},
        {"email": ["push@project.iam.gserviceaccount.com"]},
    ],
    ids=lambda claims: ",".join(claims),
)
def test_a_token_with_a_claim_that_is_wrong_is_refused(
    google: Google, claims: dict[str, Any]
) -> None:
    with pytest.raises(UnauthorizedError):
        google.tenants(signed(**claims))


def test_a_token_that_google_did_not_sign_is_refused(google: Google) -> None:
    public = google.certificates["one"].encode()
    foreign = signed("two").split(".")
    forged = [
        unsigned({"alg": "none", "typ": "JWT", "kid": "one"}),
        unsigned({"alg": "HS256", "typ": "JWT", "kid": "one"}, secret=public),
        unsigned({"alg": "RS256", "typ": "JWT", "kid": "one"}, b"x" * 256),
        unsigned({"alg": "RS256", "typ": "JWT", "kid": "one"}, secret=public),
        unsigned({"alg": "ES256", "typ": "JWT", "kid": "one"}, b"x" * 64),
        ".".join([signed().split(".")[0], *foreign[1:]]),
        "not.a.token",
        "",
        "a",
        "..",
        "\x00",
        "é.é.é",
    ]
    for token in forged:
        with pytest.raises(UnauthorizedError) as found:
            google.tenants(token)
        assert len(token) < 4 or token not in str(found.value)


def test_a_new_key_is_fetched_when_a_token_needs_it_but_not_all_the_time_for_unknown_ones(
    google: Google,
) -> None:
    google.tenants(signed())
    google.certificates = {"two": certificate("two")}
    google.now += AGAIN_SECONDS
    assert google.tenants(signed("two")) == {"713"}
    for _ in range(3):
        with pytest.raises(UnauthorizedError):
            google.tenants(signed("three"))
    assert google.asked == 2


def test_known_keys_serve_on_while_google_is_away_and_without_any_nothing_is_judged(
    google: Google,
) -> None:
    google.status = 503
    with pytest.raises(KeysUnavailableError):
        google.tenants(signed())
    google.status, google.now = 200, google.now + AGAIN_SECONDS
    assert google.tenants(signed()) == {"713"}
    google.status, google.now = 503, google.now + 7200
    assert google.tenants(signed(sub="other")) == {"713"}
    assert google.asked == 3


def test_a_remembered_token_is_forgotten_when_it_expires(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed()
    google.tenants(token)
    later = time.time() + 3700
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(
        "google.auth._helpers.utcnow",
        lambda: datetime.fromtimestamp(later, UTC).replace(tzinfo=None),
    )
    with pytest.raises(UnauthorizedError):
        google.tenants(token)


def test_settings_name_what_is_missing_and_never_a_token(project: Project) -> None:
    project.add_client("713")
    project.set(EVENTS__TENANTS__713__TOKEN="too-short")
    with pytest.raises(ConfigurationError, match="EVENTS__TENANTS__713__TOKEN") as found:
        settings.tenant_access()
    assert "too-short" not in str(found.value)
    project.set(EVENTS__TENANTS__713__TOKEN="x" * 32, EVENTS__OIDC__EMAIL=EMAIL)
    with pytest.raises(ConfigurationError, match="EVENTS__OIDC__AUDIENCE"):
        settings.oidc_settings()
