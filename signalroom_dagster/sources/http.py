"""Asking a vendor's HTTP API: one request at a time, within the account's pace, with errors that
say what to do.

No retries here: a step is the only thing that is tried again (`retries`). No URL, no header and no
key ever gets into an error or a log, because some vendors take the key in the query; what a vendor
says is scrubbed of it too.

https://www.python-httpx.org/
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.errors import SignalRoomError
from signalroom_dagster.https import trusted
from signalroom_dagster.json_text import decoded
from signalroom_dagster.limits import Limit
from signalroom_dagster.redaction import mask_foreign

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS, CONNECT_SECONDS = 60.0, 10.0
LONGEST_WORDS = 200

for _logger in ("httpx", "httpcore"):  # they log every URL, and with it keys
    logging.getLogger(_logger).setLevel(logging.WARNING)


class VendorAnswerError(SignalRoomError):
    """What is wrong with an answer; `words` are the parts of the message that the vendor said, as
    they stand in it.

    Those of an error that is being handled belong to it as well: it may be told on in this one.
    """

    def __init__(self, said: str, *, words: Sequence[str] = ()) -> None:
        super().__init__(said)
        self.words: Sequence[str] = (*words, *getattr(sys.exception(), "words", ()))

    @property
    def sentence(self) -> str:
        """The message without the vendor's words."""
        text = str(self)
        for words in filter(None, self.words):
            text = text.replace(words, "")
        return text


class VendorError(VendorAnswerError):
    """A vendor answered with an error: `status` is HTTP's, `retry_after` what the vendor asks to
    wait.
    """

    def __init__(
        self,
        said: str,
        status: int | None = None,
        retry_after: str | None = None,
        *,
        words: Sequence[str] = (),
    ) -> None:
        super().__init__(said, words=words)
        self.status = status
        self.retry_after = retry_after


class VendorUnreachableError(SignalRoomError, ConnectionError):
    """No answer, or one that broke off: a timeout, a refused or dropped connection."""


class VendorDataError(VendorAnswerError):
    """An answer that cannot be what was asked for: not JSON, cut, rows of other days, a count that
    does not fit.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One client's account at one vendor. `key_name` is the variable to set when the vendor refuses
    the key.

    `secrets` are taken out of everything a vendor says; `sign` adds the credentials to a request.
    """

    source: str
    base_url: str
    client_id: str = ""
    key_name: str
    limit: Limit
    secrets: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    words: Callable[[Any], str] = lambda body: (
        str(body.get("error", "")) if isinstance(body, dict) else ""
    )
    http: "httpx.Client" = field(default_factory=lambda: http_client(TIMEOUT_SECONDS))

    def get(self, path: str, limit: Limit | None = None, **params: Any) -> Any:
        """The JSON of GET `path`; None parameters are left out. Raises as `ask` does."""
        return self.ask("GET", path, limit=limit, params=params)

    def post(self, path: str, body: Any, **params: Any) -> Any:
        """The JSON of POST `path` with a JSON body. Raises as `ask` does."""
        return self.ask("POST", path, params=params, body=body)

    def ask(
        self,
        method: str,
        path: str,
        *,
        limit: Limit | None = None,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The decoded answer, its decimal numbers as Decimal. What is sent is JSON (`body`) or a
        form (`form`). Raises as `exchange` does.
        """
        kind, content = _sent(body, form)
        given = {"Content-Type": kind, **(headers or {})}
        return self.exchange(
            method, path, limit=limit, params=params, content=content, headers=given
        )[0]

    def exchange(
        self,
        method: str,
        path: str,
        *,
        limit: Limit | None = None,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Any, Mapping[str, str]]:
        """The decoded answer, and its headers.

        Raises VendorError for an error status, VendorUnreachableError, VendorDataError for what is
        not JSON, and ConfigurationError for a base_url or a key that cannot be sent.
        """
        import httpx

        wanted = {
            **self.params,
            **{name: value for name, value in (params or {}).items() if value is not None},
        }
        try:
            with (limit or self.limit).turn():
                answer = self.http.request(
                    method,
                    self.base_url.rstrip("/") + path,
                    params=wanted,
                    content=content,
                    headers={"Accept": "application/json", **self.headers, **(headers or {})},
                )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ConfigurationError(
                self.about(method, path, "cannot be asked: base_url is not a URL")
            ) from None
        except (httpx.LocalProtocolError, UnicodeEncodeError):
            what = (
                f"cannot be asked; check {self.key_name}: it holds a line end, or a letter that no"
                " key has"
            )
            raise ConfigurationError(self.about(method, path, what)) from None
        except httpx.RequestError as error:
            raise VendorUnreachableError(self.about(method, path, _failure(error))) from None
        return self._checked(method, path, answer), answer.headers

    def about(self, method: str, path: str, what: str) -> str:
        """One sentence on a request: for which client and source, what was asked, and what came of
        it. A path may hold a key: it is taken out.
        """
        client = f"client {self.client_id}, " if self.client_id else ""
        return f"{client}source {self.source}: {method} {self.without_secrets(path)} {what}"

    def _checked(self, method: str, path: str, answer: "httpx.Response") -> Any:
        body = _json(answer)
        if answer.status_code >= 300:
            said = f": {self.scrubbed(self._said_in(body) or answer.reason_phrase)}"
            what = f"answered {answer.status_code}{said}"
            if answer.status_code in (401, 403):
                what += f"; check {self.key_name}"
            elif answer.status_code < 400:
                what += (
                    "; base_url has moved, such as from http to https: set the address that answers"
                    " itself"
                )
            wait = answer.headers.get("Retry-After")
            raise VendorError(
                self.about(method, path, what), answer.status_code, wait, words=[said]
            )
        if body is _NOT_JSON:
            kind = answer.headers.get("Content-Type", "nothing that says what it is").partition(
                ";"
            )[0]
            what = f"answered {kind} that is not JSON; is base_url right?"
            raise VendorDataError(self.about(method, path, what), words=[f" {kind}"])
        return body

    def _said_in(self, body: Any) -> str:
        """What an error answer says; nothing where it has another shape than the vendor's errors
        have.
        """
        try:
            return self.words(body)
        except (LookupError, TypeError, AttributeError, RecursionError):
            return ""

    def scrubbed(self, words: str) -> str:
        """What a vendor says, masked and not at length: for a run's log, never for an alert."""
        return mask_foreign(self.without_secrets(words))[:LONGEST_WORDS]

    def without_secrets(self, words: str) -> str:
        """The words with each of the account's secrets taken out."""
        for secret in filter(None, (*self.secrets, *self.params.values())):
            words = words.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return words


def http_client(timeout_seconds: float) -> "httpx.Client":
    """A client that follows no redirect, because it would take the key along."""
    import httpx

    timeout = httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS)
    return httpx.Client(timeout=timeout, follow_redirects=False, verify=trusted())


_NOT_JSON = object()


def _sent(body: Any, form: Mapping[str, str] | None) -> tuple[str, bytes | None]:
    if form is not None:
        return "application/x-www-form-urlencoded", urlencode(form).encode()
    return "application/json", msgspec.json.encode(body) if body is not None else None


def _json(answer: "httpx.Response") -> Any:
    """The decoded body; what is broken in it does not spoil the rest."""
    try:
        return decoded(answer.content)
    except ValueError:
        return _NOT_JSON


def _failure(error: Exception) -> str:
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return f"did not answer in time ({type(error).__name__})"
    return f"got no whole answer ({type(error).__name__})"
