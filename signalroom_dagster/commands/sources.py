"""Commands for an API that is described as data: a look at it, and its answers as a stand-in."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE
from rich.table import Table

from signalroom_dagster.commands.terminal import ClientOption, client_named, out, say
from signalroom_dagster.config import shown
from signalroom_dagster.errors import ConfigurationError, WrongRequestError
from signalroom_dagster.json_text import encoded
from signalroom_dagster.registry.client_words import said_of_client
from signalroom_dagster.sections import source_settings

if TYPE_CHECKING:
    from signalroom_dagster.described.files import Api
    from signalroom_dagster.described.trying import Look

SHOWN_ROWS, SHOWN_COLUMNS, SHOWN_LETTERS = 5, 6, 24

source = typer.Typer(
    no_args_is_help=True, help="An API described as data: a look at it, and its answers recorded."
)
NameArgument = Annotated[str, typer.Argument(help="The file's name in data/shared/sources/.")]
DayOption = Annotated[
    str | None, typer.Option("--day", help="The day to ask for, YYYY-MM-DD; default: yesterday.")
]


@source.command("try", epilog="For example: signalroom source try crm --client 713")
def look(
    name: NameArgument,
    client: ClientOption = None,
    day: DayOption = None,
    resource: Annotated[
        list[str] | None, typer.Option("-r", "--resource", help="Only this resource.")
    ] = None,
) -> None:
    """Ask for the first pages of an API, also of a draft; print the requests, the first rows, and
    the TOML that the file lacks.
    """
    from signalroom_dagster.described.trying import draft_of, looks_at
    from signalroom_dagster.loading.spans import as_day

    api = draft_of(_file(name))
    given, who = _given(api, client), client_named(client)
    with said_of_client(name, who.id, list(api.names)):
        for each in looks_at(api, given, as_day(day), resource or ()):
            _print(each)


@source.command("record", epilog="For example: signalroom source record crm --client 713")
def keep(name: NameArgument, client: ClientOption = None, day: DayOption = None) -> None:
    """Keep an API's answers beside its file, without keys and without what is personal, as a
    stand-in for demo and tests.
    """
    from signalroom_dagster.described.modules import module_of
    from signalroom_dagster.described.recording import record
    from signalroom_dagster.loading.spans import as_day

    file = _file(name)
    api: Api = module_of(file).API  # pyright: ignore[reportAttributeAccessIssue]
    given, who = _given(api, client), client_named(client)
    asked = as_day(day) or datetime.now(UTC).astimezone(who.zone).date() - timedelta(days=1)
    with said_of_client(name, who.id, list(api.names)):
        kept = record(api, given, asked)
    recording = file.with_suffix(".recorded.json")
    recording.write_bytes(msgspec.json.format(encoded(kept).encode(), indent=1) + b"\n")
    say(f"{len(kept)} answers of {name}, of {asked}, are kept in {shown(recording)}")
    say("look through it before you commit it: what is personal is only what the file calls so")


def _file(name: str) -> Any:
    from signalroom_dagster.registry.described_sources import described_file

    file = described_file(name)
    if not file.is_file():
        raise WrongRequestError(
            f"there is no {shown(file)}: begin it with [client] base_url and"
            " [resources.<table>] endpoint"
        )
    return file


def _given(api: "Api", client_id: str | None) -> Mapping[str, Any]:
    """What a client has configured, as plain arguments."""
    from signalroom_dagster.described.modules import plain
    from signalroom_dagster.described.settings import described_settings

    who = client_named(client_id)
    try:
        settings = plain(source_settings(described_settings(api), api.name, who.id))
    except ConfigurationError as error:
        raise WrongRequestError(str(error)) from None
    own = {"timezone": who.timezone, "currency": who.currency}
    return own | {name: value for name, value in settings.items() if value is not None}


def _print(looked: "Look") -> None:
    from signalroom_dagster.described.proposals import columns_in
    from signalroom_dagster.described.selecting import at

    say(f"{looked.resource}:")
    for request in looked.requests:
        say(f"  {request}")
    if looked.problem:
        say(f"  {looked.problem}")
    columns = list(columns_in(looked.rows).items())[:SHOWN_COLUMNS]
    if columns:
        table = Table(*(name for name, _ in columns), box=SIMPLE, padding=(0, 1))
        for row in looked.rows[:SHOWN_ROWS]:
            table.add_row(*(_cell(at(row, path)) for _, (_, path) in columns))
        out.print(table)
    say(f"  {len(looked.rows)} rows were looked at" if looked.rows else "  no rows came")
    for line in looked.lines:
        say(line)
    say("")


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= SHOWN_LETTERS else f"{text[: SHOWN_LETTERS - 1]}…"
