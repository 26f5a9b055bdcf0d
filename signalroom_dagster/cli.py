"""The `signalroom` command. What a command does stands in `commands`, and behind it in `loading`,
`reports`, `events`.

https://typer.tiangolo.com/
"""

import errno
import os
import shutil
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from signalroom_dagster import logs
from signalroom_dagster.commands import (
    analysis,
    events,
    loads,
    models,
    operation,
    overview,
    reports,
    sources,
)
from signalroom_dagster.commands.terminal import err, is_told, out, say, tell
from signalroom_dagster.config import project_dir
from signalroom_dagster.redaction import redact_error
from signalroom_dagster.sandboxed import MARK

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)


def _print_version(asked: bool) -> None:
    if asked:
        say(f"signalroom {version('signalroom')}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    demo: Annotated[
        bool, typer.Option("--demo", help="Run against the sandbox and the warehouse in .demo/.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say more, and where an error comes from.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """SignalRoom: every client's cost and revenue in one warehouse, every morning."""
    logs.configure(verbose)
    # one that is not there is no project without clients, whatever a command would make of it
    project_dir()
    if demo:
        from signalroom_dagster.sandbox.environment import in_the_sandbox

        context.with_resource(in_the_sandbox())


COMMANDS = {
    overview.clients: "signalroom clients --json",
    overview.doctor: "signalroom doctor --client 713",
    overview.roles: (
        "signalroom roles --sql | psql -v ON_ERROR_STOP=1"
        " postgresql://postgres@localhost/signalroom"
    ),
    loads.run: "signalroom run everflow --client 713 --since 2026-03-01 --until 2026-03-07",
    loads.backfill: "signalroom backfill redtrack --all --since 2026-01-01 --until 2026-03-31",
    reports.report: "signalroom report daily_ccw --client 713 --date 2026-03-06",
    operation.trigger: "signalroom trigger s3_exports --client 713 --wait",
    operation.status: "signalroom status",
}
for command, example in COMMANDS.items():
    app.command(epilog=f"For example: {example}")(command)
app.add_typer(loads.mappings, name="mappings")
app.add_typer(models.models, name="models")
app.add_typer(sources.source, name="source")
for command in (analysis.consume, analysis.replay, analysis.status):
    events.events.command()(command)
app.add_typer(events.events, name="events")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sandbox(context: typer.Context) -> None:
    """Start the stand-in vendors; with a COMMAND, run it against them, else wait for Ctrl-C.

    The COMMAND runs in .demo/dagster, where no .env is read, and sees no other settings than the
    sandbox's.
    """
    from signalroom_dagster.sandbox.environment import in_the_sandbox, run_there

    with in_the_sandbox() as settings:
        if context.args:
            raise typer.Exit(run_there([_program(context.args[0]), *context.args[1:]], settings))
        for name, value in [*settings.items(), (MARK, os.environ[MARK])]:
            say(f"export {name}='{value}'")
        err.print("The sandbox is up; stop it with Ctrl-C.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            err.print("stopped")


def _program(name: str) -> str:
    """Where a program lies, also when it was named from the folder that we are in."""
    if path := shutil.which(name):
        return str(Path(path).absolute())
    raise typer.BadParameter(f"there is no program {name}")


def main() -> None:
    """The console script: an error is one line; with --verbose, one that is not ours has its
    traceback. A lost output is an error, too, unless its reader has only left.
    """
    try:
        app()
    except SystemExit as ended:
        if ended.code or out.lost is None:
            raise
        if out.lost.errno != errno.EPIPE:
            words = f"the work went on, but its output could not be written: {out.lost.strerror}"
            tell(OSError(words))
        raise SystemExit(1) from None
    except Exception as error:
        redact_error(error)
        if logs.is_verbose() and not is_told(error):
            raise
        tell(error)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
