"""What a source says of an account, said of a client: a source knows neither the client nor where its keys stand."""

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.sources.http import VendorAnswerError, VendorUnreachableError

ADVICE = re.compile(r"(?<=; check )[^;:]+")
"""What to check, as errors name it."""


@contextmanager
def said_of_client(source: str, client_id: str, arguments: Sequence[str]) -> Generator[None]:
    """Put the client before what a source raises of an account; name its arguments as the client's variables, and where
    the client's settings stand."""
    try:
        yield
    except (VendorAnswerError, VendorUnreachableError, ConfigurationError) as error:
        said = str(error)
        if said.startswith(f"source {source}: "):
            argument = re.compile(rf"\b({'|'.join(arguments) or '(?!)'})\b")
            variable = f"SOURCES__{source}__CLIENTS__{client_id}__".upper()
            said = ADVICE.sub(lambda advice: argument.sub(lambda name: variable + name[0].upper(), advice[0]), said)
            where = f" (in [sources.{source}.clients.{client_id}])" if isinstance(error, ConfigurationError) else ""
            error.args = (f"client {client_id}, {said}{where}",)
        raise
