"""The command that makes the SQL models anew, or only plans them."""

from typing import Annotated

import typer

from signalroom_dagster.commands.terminal import ClientOption, client_named, err, for_each, say
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.registry.clients import Client, load_clients

models = typer.Typer(no_args_is_help=True, help="The SQL models: tables made from what was loaded.")


@models.callback()
def group() -> None:
    """The SQL models: tables made from what was loaded."""


@models.command()
def build(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Only these, as public.orders; default: all.")
    ] = None,
    client: ClientOption = None,
    every: Annotated[bool, typer.Option("--all", help="Every active client.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Plan every model and report query; make nothing.")
    ] = False,
) -> None:
    """Make models anew for a client, each after those that it reads."""
    from signalroom_dagster.modeling.runs import left_out_models, makeable, run_model
    from signalroom_dagster.warehouse.access import exclusive

    for name, problem in left_out_models().items():
        if ".".join(name) in (tables or [".".join(name)]):
            err.print(problem, highlight=False, soft_wrap=True)
    if check:
        _check_plans()
        return
    if every == bool(client):
        raise ConfigurationError("name one client with --client, or give --all (not both)")
    names = {".".join(name): name for name in makeable()}
    if unknown := [table for table in tables or () if table not in names]:
        raise ConfigurationError(f"no model {', '.join(unknown)} (there are: {', '.join(names)})")

    def make(who: Client) -> None:
        for table, name in names.items():
            if not tables or table in tables:
                with exclusive():
                    done = run_model(name, who)
                say(f"{table} of client {who.id}: {done.rows:,} rows in {done.seconds:.1f} s")

    active = [who for who in load_clients().values() if who.status == "active"]
    for_each(active if every else [client_named(client)], make)


def _check_plans() -> None:
    from signalroom_dagster.declarations import problems

    unplanned = [
        item for item in problems() if item.subject.startswith(("model ", "report ", "template "))
    ]
    for item in unplanned:
        say(f"{item.client} {item.subject}: {item.problem}".strip())
    if unplanned:
        raise typer.Exit(1)
    say("every model and report query can be planned")
