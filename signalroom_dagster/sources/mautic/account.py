"""One client's Mautic: a token that every request of a run shares, and answers that are errors
despite their status.

https://devdocs.mautic.org/en/5.x/rest_api/authentication.html
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from signalroom_dagster.redaction import keep_secret
from signalroom_dagster.sources.http import Api, VendorDataError, VendorError

TOKEN_PATH = "/oauth/v2/token"
EARLY_SECONDS = 60.0
USUAL_LIFE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Token:
    """The account with a token's signature, and until when (monotonic clock) to use it."""

    api: Api
    until: float


@dataclass(slots=True)
class Account:
    """Asks with a token, gets a new one in good time and after a refusal. Threads may share it."""

    api: Api
    client_id: str
    client_secret: str
    _token: Token | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, path: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """The JSON object of GET `path`. Raises as `Api.ask` does, and for a 200 that reports
        errors.

        A refused token is replaced and the request repeated once; a second refusal is one of the
        credentials.
        """
        token = self._usable()
        try:
            return _asked(token.api, path, params)
        except VendorError as error:
            if error.status != 401:
                raise
        return _asked(self._usable(instead_of=token).api, path, params)

    def _usable(self, instead_of: Token | None = None) -> Token:
        with self._lock:
            token = self._token
            if token is None or token is instead_of or monotonic() >= token.until:
                token = self._token = self._new_token()
            return token

    def _new_token(self) -> Token:
        asked_at = monotonic()
        wanted = {"client_id": self.client_id, "client_secret": self.client_secret}
        try:
            answer = self.api.ask(
                "POST", TOKEN_PATH, form={"grant_type": "client_credentials", **wanted}
            )
        except VendorError as error:
            if error.status != 400:
                raise
            raise VendorError(f"{error}; check {self.api.key_name}", 401) from None
        if (
            not isinstance(answer, Mapping)
            or not isinstance(token := answer.get("access_token"), str)
            or not token
        ):
            raise VendorDataError(self.api.about("POST", TOKEN_PATH, "answered without a token"))
        keep_secret(token)
        life = _seconds(answer.get("expires_in"))
        signed = replace(
            self.api,
            headers={"Authorization": f"Bearer {token}"},
            secrets=(*self.api.secrets, token),
        )
        return Token(signed, asked_at + life - min(EARLY_SECONDS, life / 2))


def words(body: Any) -> str:
    """What an error answer says, in any of the three forms that Mautic has for it."""
    if not isinstance(body, Mapping):
        return ""
    listed = body.get("errors") or [body.get("error")]
    first = (list(listed.values()) if isinstance(listed, Mapping) else listed)[0]
    if isinstance(first, Mapping):
        return ": ".join(str(part) for part in (first.get("type"), first.get("message")) if part)
    return ": ".join(str(part) for part in (first, body.get("error_description")) if part)


def _asked(api: Api, path: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        answer = api.ask("GET", path, params=params)
    except VendorError as error:
        if error.status == 403 and "api_disabled" in str(error):
            what = (
                "answered 403: its API is switched off; enable it in Mautic, Configuration > API"
                " Settings"
            )
            raise VendorError(api.about("GET", path, what), 403) from None
        raise
    if not isinstance(answer, Mapping):
        raise VendorDataError(api.about("GET", path, "answered JSON that is no object"))
    if answer.get("errors") or answer.get("error"):
        raise _reported(api, path, answer)
    return answer


def _reported(api: Api, path: str, answer: Mapping[str, Any]) -> Exception:
    """The error that an answer with status 200 reports; one of permissions is not worth asking
    again.
    """
    reported = f": {api.scrubbed(words(answer))}"
    said = api.about("GET", path, f"answered 200 and reports an error{reported}")
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, Mapping) else None
    if code in (401, 403):
        return VendorError(
            f"{said}; check {api.key_name} and the role of its user", code, words=[reported]
        )
    return VendorDataError(said, words=[reported])


def _seconds(life: Any) -> float:
    try:
        return max(0.0, float(life))
    except (TypeError, ValueError):
        return USUAL_LIFE_SECONDS
