"""Commands of the events: the gateway, and a simulator that sends it invented ones.

What they do stands in `events`; they read arguments and print.
"""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from signalroom_dagster.commands.terminal import ClientOption, client_named, err, out, say
from signalroom_dagster.config import ConfigurationError

if TYPE_CHECKING:
    from signalroom_dagster.events.contracts import Contract
    from signalroom_dagster.sandbox.simulator import Sent

events = typer.Typer(
    no_args_is_help=True, help="Take events over HTTP, analyse them, or send invented ones."
)


@events.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Any but a loopback address takes no events without tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
) -> None:
    """Run the gateway that takes events, until Ctrl-C."""
    from signalroom_dagster.alerts.metrics import SourceFigures
    from signalroom_dagster.events.server import serve as serve_events

    said = f"The gateway listens on http://{host}:{port}; stop it with Ctrl-C."
    serve_events(host, port, SourceFigures(), lambda: err.print(said))


@events.command()
def resubmit(client: ClientOption = None) -> None:
    """Take a client's dead letters in again, after its contract was put right."""
    from signalroom_dagster.events.contracts import load_contracts
    from signalroom_dagster.events.resubmission import resubmit as take_again
    from signalroom_dagster.events.settings import event_settings
    from signalroom_dagster.events.stores.opening import open_store

    who = client_named(client)
    store = open_store(event_settings())
    store.create()
    good, bad = take_again(store, load_contracts(), who.id)
    say(f"client {who.id}: {good:,} dead letters are events now, {bad:,} stay dead letters")


@events.command()
def send(
    url: Annotated[str, typer.Option(help="The gateway.")] = "http://127.0.0.1:8080",
    client: Annotated[
        list[str] | None, typer.Option("--client", help="Only this client's; else everybody's.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Jobs per client.")] = 100,
    rate: Annotated[
        float, typer.Option(min=0, help="Events a second; 0: as fast as they are taken.")
    ] = 100,
    duplicates: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events that are sent twice.")
    ] = 0.05,
    shuffle: Annotated[int, typer.Option(min=1, help="Mix the order within so many events.")] = 300,
    drop: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events that are never sent.")
    ] = 0,
    poison: Annotated[
        float, typer.Option(min=0, max=1, help="Share of broken messages beside the events.")
    ] = 0,
    seed: Annotated[
        int | None, typer.Option(help="The same seed sends the same events; else the time.")
    ] = None,
) -> None:
    """Send invented events to a gateway, and say how it answered."""
    import time

    from signalroom_dagster.events.settings import tenant_access
    from signalroom_dagster.sandbox import simulator

    messages = simulator.planned(
        _contracts_of(client),
        jobs,
        duplicates=duplicates,
        shuffle=shuffle,
        drop=drop,
        poison=poison,
        seed=int(time.time()) if seed is None else seed,
    )
    tokens = {
        name: access.token.get_secret_value()
        for name, access in tenant_access().items()
        if access.token
    }
    with err.status("sending") as line:
        sent = asyncio.run(
            simulator.send(
                url,
                messages,
                rate or None,
                tokens=tokens,
                tell=lambda sent: line.update(_progress(sent)),
            )
        )
    _summarize(sent)
    if not any(answer.isdigit() for answer in sent.answers):
        err.print(
            f"No gateway answers at {url}; start one: signalroom events serve", highlight=False
        )
    if set(sent.answers) - {"204"}:
        raise typer.Exit(1)


def _contracts_of(chosen: list[str] | None) -> dict[str, "Contract"]:
    """The contracts of the clients that were chosen, or of all. Raises ConfigurationError for one
    without.
    """
    from signalroom_dagster.events.contracts import load_contracts

    contracts = load_contracts()
    asked = [client_named(name).id for name in chosen or contracts]
    if not asked:
        raise ConfigurationError(
            "no client with an [analysis] section: there is nothing to send events for"
        )
    if without := ", ".join(name for name in asked if name not in contracts):
        raise ConfigurationError(
            f"client {without} has no [analysis] section: there is nothing to send events for"
        )
    return {name: contracts[name] for name in asked}


def _progress(sent: "Sent") -> str:
    done = sum(sent.answers.values())
    return (
        f"{done:,} of {sent.planned:,} sent, {done / sent.seconds:,.0f}/s, p99"
        f" {sent.latency(0.99):.3f} s"
    )


def _summarize(sent: "Sent") -> None:
    answers = ", ".join(f"{answer} {count:,}" for answer, count in sorted(sent.answers.items()))
    say(
        f"sent {sent.planned:,} in {sent.seconds:.1f} s"
        f" ({sent.planned / max(sent.seconds, 0.001):,.0f}/s): {answers}"
    )
    shares = (0.5, 0.9, 0.99, 1.0)
    say(
        "latency "
        + ", ".join(f"p{share * 100:.0f} {sent.latency(share) * 1000:.0f} ms" for share in shares)
    )
    out.print(
        f"{len(sent.acknowledged):,} different events acknowledged, {sent.repeated:,} sent again"
    )
