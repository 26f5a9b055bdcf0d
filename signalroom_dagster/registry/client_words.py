"""Puts the client into what a source says of an account: a source knows no client."""

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.sources.http import VendorAnswerError, VendorUnreachableError

ADVICE = re.compile(r"(?<=; check )[^;:]+")
"""What to check, as errors name it."""


@contextmanager
def said_of_client(source: str, client_id: str, arguments: Sequence[str]) -> Generator[None]:
    """Put the client before what a source raises of an account; name its arguments as the client's
    variables, or where the client's settings stand.
    """
    try:
        yield
    except (VendorAnswerError, VendorUnreachableError, ConfigurationError) as error:
        said = str(error)
        if said.startswith(f"source {source}: "):
            ours = re.split(
                _any_of(getattr(error, "words", ())), said
            )  # every second part is the vendor's, to stay
            ours[::2] = [
                ADVICE.sub(lambda advice: _of_client(advice[0], source, client_id, arguments), part)
                for part in ours[::2]
            ]
            said = "".join(ours)
            where = (
                f" (in [sources.{source}.clients.{client_id}])"
                if isinstance(error, ConfigurationError)
                else ""
            )
            error.args = (f"client {client_id}, {said}{where}",)
        raise


def _any_of(words: Sequence[str]) -> str:
    """A pattern for a vendor's words, which an alert leaves out: exactly as they stand."""
    return f"({'|'.join(map(re.escape, filter(None, words))) or '(?!)'})"


def _of_client(advice: str, source: str, client_id: str, arguments: Sequence[str]) -> str:
    """Name the client's section instead of the source's; else the arguments as variables."""
    section = f"[sources.{source}]"
    if section in advice:
        return advice.replace(section, f"[sources.{source}.clients.{client_id}]")
    variable = f"SOURCES__{source}__CLIENTS__{client_id}__".upper()
    return re.sub(
        rf"\b({'|'.join(arguments) or '(?!)'})\b", lambda name: variable + name[0].upper(), advice
    )
