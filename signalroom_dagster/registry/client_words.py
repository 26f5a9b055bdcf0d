"""What a source says of an account, said of a client: a source knows neither the client nor where its keys stand."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.sources.http import VendorAnswerError, VendorUnreachableError

CHECK = "; check "


@contextmanager
def said_of_client(source: str, client_id: str, arguments: Sequence[str]) -> Generator[None]:
    """Put the client before what a source raises of an account; name its arguments as the client's variables, and where
    the client's settings stand."""
    try:
        yield
    except (VendorAnswerError, VendorUnreachableError, ConfigurationError) as error:
        said = str(error)
        if said.startswith(f"source {source}: "):
            what, check, rest = said.partition(CHECK)
            for name in arguments:
                rest = rest.replace(name, f"SOURCES__{source}__CLIENTS__{client_id}__{name}".upper())
            if isinstance(error, ConfigurationError):
                rest += f" (in [sources.{source}.clients.{client_id}])"
            error.args = (f"client {client_id}, {what}{check}{rest}",)
        raise
