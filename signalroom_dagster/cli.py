"""The `signalroom` command. What a command does stands in `commands`, and behind it in `loading`, `reports`, `events`.

https://typer.tiangolo.com/
"""

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Annotated

import typer

from signalroom_dagster.commands import analysis, events, loads, operation, overview, reports
from signalroom_dagster.commands.terminal import err, say, tell, told
from signalroom_dagster.redaction import redact_error
from signalroom_dagster.sandboxed import MARK

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


@app.callback()
def start(
    context: typer.Context,
    demo: Annotated[bool, typer.Option("--demo", help="Run against the sandbox and the warehouse in .demo/.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say more about what is going on.")] = False,
) -> None:
    """SignalRoom: every client's cost and revenue in one warehouse, every morning."""
    from signalroom_dagster import logs

    logs.configure(verbose)
    if demo:
        from signalroom_dagster.sandbox.environment import in_the_sandbox

        context.with_resource(in_the_sandbox())


COMMANDS = (
    overview.clients,
    overview.doctor,
    loads.run,
    loads.backfill,
    reports.report,
    operation.trigger,
    operation.status,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(loads.mappings, name="mappings")
for command in (analysis.consume, analysis.replay, analysis.status):
    events.events.command()(command)
app.add_typer(events.events, name="events")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sandbox(context: typer.Context) -> None:
    """Start the stand-in vendors; with a COMMAND, run it against them, else wait for Ctrl-C.

    The COMMAND runs in .demo/dagster, where no .env is read, and sees no other settings than the sandbox's.
    """
    from signalroom_dagster.sandbox.environment import in_the_sandbox

    with in_the_sandbox() as settings:
        if context.args:
            raise typer.Exit(_run(context.args, settings["DAGSTER_HOME"]))
        for name, value in [*settings.items(), (MARK, os.environ[MARK])]:
            say(f"export {name}='{value}'")
        err.print("The sandbox is up; stop it with Ctrl-C.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            err.print("stopped")


def _run(command: list[str], folder: str) -> int:
    program = shutil.which(command[0])
    if not program:
        raise typer.BadParameter(f"there is no program {command[0]}")
    return subprocess.run([Path(program).absolute(), *command[1:]], cwd=folder, check=False).returncode


def main() -> None:
    """The console script: errors that a person can act on are one line, not a traceback."""
    try:
        app()
    except told() as error:
        tell(error)
        raise SystemExit(1) from None
    except Exception as error:
        redact_error(error)
        raise


if __name__ == "__main__":
    main()
