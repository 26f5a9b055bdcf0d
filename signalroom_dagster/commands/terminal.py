"""What every command shares: its options, where it prints, and how it tells an error that a person
can act on.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from typing_extensions import override

from signalroom_dagster import logs
from signalroom_dagster.errors import ConfigurationError, SignalRoomError
from signalroom_dagster.redaction import redact
from signalroom_dagster.registry.clients import Client, get_client, load_clients

T = TypeVar("T")


class Output(Console):
    """Stdout, on a device that may be full or gone: the work goes on, and `lost` says what became
    of the output.
    """

    lost: OSError | None = None

    @override
    def print(self, *objects: Any, **options: Any) -> None:
        """Print; once that fails, whatever follows goes nowhere."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            self.lost = error
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), self.file.fileno())


out = Output()
err = Console(stderr=True)

SinceOption = Annotated[
    str | None, typer.Option("--since", help="First day to read again, YYYY-MM-DD.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Last day to read, YYYY-MM-DD.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for another program.")]
ClientOption = Annotated[
    str | None, typer.Option("--client", help="The client's id, as in data/clients/.")
]


def say(line: object) -> None:
    """Print a line as it is: unwrapped, so that paths and addresses can be copied."""
    out.print(str(line), markup=False, highlight=False, soft_wrap=True)


def is_told(error: Exception) -> bool:
    """Whether the error's message says all there is to say."""
    return error.told if isinstance(error, SignalRoomError) else isinstance(error, OSError)


def tell(error: Exception) -> None:
    """Print one red line on stderr: what happened, and of an error that is not ours its kind."""
    text = str(error)
    if not is_told(error):
        text = f"{type(error).__name__}: {error} (--verbose shows where)"
    err.print(
        redact(f"signalroom: {text}"), style="red", markup=False, highlight=False, soft_wrap=True
    )


def print_json(found: object) -> None:
    """Print what was found for another program: dates and moments as ISO, amounts as text."""
    out.print(
        json.dumps(found, default=str, indent=2), markup=False, highlight=False, soft_wrap=True
    )


def for_each(clients: Iterable[Client], work: Callable[[Client], None]) -> None:
    """Do something for every client; one that fails is told and does not keep the others from
    it.
    """
    if failures_of(clients, work):
        raise typer.Exit(1)


def failures_of(items: Iterable[T], work: Callable[[T], None]) -> list[tuple[T, Exception]]:
    """Do something for each; those that failed, and why. One that fails is told and keeps no other
    from it.
    """
    failed: list[tuple[T, Exception]] = []
    for item in items:
        try:
            work(item)
        except Exception as error:  # whatever it is: the others are still tried
            if logs.is_verbose():
                err.print_exception()
            tell(error)
            failed.append((item, error))
    return failed


def client_named(client_id: str | None) -> Client:
    """The client of `--client`. Raises ConfigurationError that lists those there are."""
    if not client_id:
        raise ConfigurationError(
            f"say which client: --client {' | --client '.join(load_clients())}"
        )
    return get_client(client_id)
