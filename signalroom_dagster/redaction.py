"""The secrets that this process knows, and how they are taken out of what it says.

Whoever reads a secret keeps it here at once, so that nothing can be said of it before. Log records
are cleaned when they are made: every handler, Dagster's own included, gets them clean. What is
printed past the log is not seen here.
"""

import json
import logging
import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote, unquote

SHORTEST = 6
"""Shorter secrets are left standing: they would take parts out of common words."""
GONE = "***"
_PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+|\+\d{7,}|\d{11,}")
_TOKEN = re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,}\b|\S{40,}")
_SECRET_NAME = re.compile(r"(PASSWORD|SECRET|TOKEN|API_KEY|ACCESS_KEY(_ID)?|HASH_KEY)$")

_OWN_SECRET = re.compile(r"(PASSWORD|SECRET|TOKEN|KEY|KEY_ID|CREDENTIALS)$")

_known: set[str] = set()


def keep_secret(*secrets: str) -> None:
    """Remember secrets, and how they look in URLs and in JSON."""
    for secret in secrets:
        if len(secret.strip()) >= SHORTEST:
            _known.update(
                (
                    secret,
                    secret.strip(),
                    quote(secret, safe=""),
                    unquote(secret),
                    json.dumps(secret)[1:-1],
                )
            )


def keep_password(url: str) -> None:
    """Remember a database URL's password."""
    user, _, _ = url.partition("://")[2].rpartition("@")
    keep_secret(user.partition(":")[2])


def keep_settings_secrets(settings: Mapping[str, Any]) -> None:
    """Remember what the names in somebody's own settings call a secret, and passwords in URLs."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            keep_settings_secrets(cast("Mapping[str, Any]", value))
        elif isinstance(value, str):
            keep_password(value)
            if _OWN_SECRET.search(name.upper()):
                keep_secret(value)


def keep_environments_secrets() -> None:
    """Remember what the environment's names call a secret, also what nobody has read yet."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name.upper()):
            keep_secret(value)
        elif name.upper().endswith(("CREDENTIALS", "_URL", "EVENTS__STORE")):
            keep_password(value)


def redact(text: str) -> str:
    """The text without any secret that is known."""
    for secret in sorted(
        (known for known in tuple(_known) if known in text), key=len, reverse=True
    ):
        text = text.replace(secret, GONE)
    return text


def mask(text: str) -> str:
    """The text without known secrets, mail addresses, telephone numbers and long numbers."""
    return _PERSONAL.sub(GONE, redact(text))


def mask_foreign(text: str) -> str:
    """What somebody else said, masked; without anything that looks like a token, too."""
    return _TOKEN.sub(GONE, mask(text))


def redact_error(error: BaseException) -> None:
    """Take secrets out of the words of an error and of those behind it, before somebody writes them
    down.
    """
    for cause in _chain(error):
        cause.args = tuple(redact(part) if isinstance(part, str) else part for part in cause.args)


def redact_logs() -> None:
    """Have every log record of this process cleaned from now on; harmless when that is so
    already.
    """
    made = logging.getLogRecordFactory()
    if not isinstance(made, _Cleaned):
        logging.setLogRecordFactory(_Cleaned(made))


class _Cleaned:
    """A maker of log records whose records hold no known secret."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        if _known:
            _clean(record)
        return record


def _clean(record: logging.LogRecord) -> None:
    try:
        said = record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit: the handler will say so
        return
    clean = redact(said)
    if clean != said:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[0]:
        told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        record.exc_text = redact(told)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        found = waiting.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [found.__cause__, found.__context__]
