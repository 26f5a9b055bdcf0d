"""Sensors: wake-ups only. What is loaded, the load decides from its ledger; a sensor just notices a
difference.

https://docs.dagster.io/guides/automate/sensors
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import TypeAlias

import dagster as dg

from signalroom_dagster.defs import initial_status
from signalroom_dagster.platform.in_flight import in_flight
from signalroom_dagster.redaction import redact
from signalroom_dagster.registry import accounts
from signalroom_dagster.registry.clients import Client, clients_of
from signalroom_dagster.retries import backoff

TICK_SECONDS = 60
LISTED_AT_ONCE = (
    32  # most of the time is spent waiting, and each that does not answer keeps one of them
)
LISTING_SECONDS = 45.0  # of the minute that Dagster gives a tick
FIRST_PAUSE_SECONDS = 120.0
LONGEST_PAUSE_SECONDS = 3_600.0


Listing: TypeAlias = Mapping[str, str] | str
"""The digest of each resource, or the words that say why there is none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was last asked for a client: the bucket's digest, how often, and when it may be asked
    again (epoch).
    """

    digest: str
    times: int
    not_before: float


def build_new_files_sensor(source: str) -> dg.SensorDefinition:
    """Asks for a client's load while its bucket and its last successful load disagree, with growing
    pauses.
    """
    unlisted: dict[str, Future[Listing]] = {}

    @dg.sensor(
        name=f"{source}_new_files",
        job_name=source,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=initial_status.of_sensors(),
        description=f"Start {source} for a client as soon as files are new, changed or gone.",
    )
    def new_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        asked = {
            client: Asked(**state) for client, state in json.loads(context.cursor or "{}").items()
        }
        listings = _list(source, _idle(context, source), unlisted)
        problems = [listed for listed in listings.values() if isinstance(listed, str)]
        for problem in problems:
            context.log.error(problem)
        requests = list(_requests(context, source, listings, asked))
        quiet = (
            f"every client's {source} that could be listed is as it was last loaded, or is being"
            " loaded"
        )
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else "; ".join([quiet, *problems]),
            cursor=json.dumps({client: asdict(state) for client, state in asked.items()}),
        )

    return new_files


def _idle(context: dg.SensorEvaluationContext, source: str) -> list[Client]:
    """The active clients that no run is loading."""
    busy = in_flight(context.instance)
    return [
        client
        for client in clients_of(source)
        if client.status == "active" and (source, client.id) not in busy
    ]


def _list(
    source: str, clients: Sequence[Client], unlisted: dict[str, Future[Listing]]
) -> Mapping[str, Listing]:
    """What each client's bucket holds, or why that is not known, by client.

    One client's slow storage costs that client alone: it is not waited for beyond LISTING_SECONDS,
    not asked again before it has answered, which then counts in a later tick, and asked last;
    `unlisted` keeps who that is.
    """
    pool = ThreadPoolExecutor(LISTED_AT_ONCE)
    asked: dict[str, Future[Listing]] = {}
    for client in sorted(clients, key=lambda client: client.id in unlisted):
        before = unlisted.get(client.id)
        asked[client.id] = (
            before if before and _may_answer(before) else pool.submit(_listed, source, client)
        )
    answered, _ = wait(asked.values(), LISTING_SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    listings = {
        client.id: (
            asked[client.id].result()
            if asked[client.id] in answered
            else (
                f"client {client.id}, source {source}: its storage does not answer in time; the"
                " others were listed"
            )
        )
        for client in clients
    }
    unlisted.clear()
    unlisted.update(
        {client: future for client, future in asked.items() if isinstance(listings[client], str)}
    )
    return listings


def _may_answer(listing: Future[Listing]) -> bool:
    """Whether a listing that was not waited for goes on, or has come to its end since."""
    return not listing.cancelled() and not (listing.done() and isinstance(listing.result(), str))


def _requests(
    context: dg.SensorEvaluationContext,
    source: str,
    listings: Mapping[str, Listing],
    asked: dict[str, Asked],
) -> Iterator[dg.RunRequest]:
    """The runs to ask for now; keeps `asked` up to date."""
    now = time.time()
    for client, listed in listings.items():
        if isinstance(listed, str):
            continue
        if listed == _last_loaded(context, source, client, listed):
            asked.pop(client, None)
            continue
        due = _due(asked.get(client), _one_text(listed), now)
        if due is None:
            continue
        asked[client] = due
        yield dg.RunRequest(run_key=f"{client}:{due.digest}:{now:.0f}", partition_key=client)


def _due(before: Asked | None, digest: str, now: float) -> Asked | None:
    """What to remember when asking now, or None while the pause after the last asking lasts."""
    times = before.times + 1 if before and before.digest == digest else 1
    if before and times > 1 and now < before.not_before:
        return None
    return Asked(digest, times, now + backoff(times, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))


def _listed(source: str, client: Client) -> Listing:
    """The digests of what the client's bucket holds, or why it cannot be asked: the others still
    are.
    """
    try:
        return accounts.listing_digests(source, client)
    except (
        Exception
    ) as error:  # whatever one client's storage raises: the other clients' files still come in
        return (
            f"client {client.id}, source {source}: its files cannot be listed: {redact(str(error))}"
        )


def _last_loaded(
    context: dg.SensorEvaluationContext, source: str, client: str, resources: Iterable[str]
) -> Mapping[str, str]:
    """The digests that the last successful load of each resource left on its materialization."""
    found: dict[str, str] = {}
    for resource in resources:
        records = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(
                asset_key=dg.AssetKey([source, resource]), asset_partitions=[client]
            ),
            limit=1,
        ).records
        materialization = records[0].asset_materialization if records else None
        digest = materialization.metadata.get("listing_digest") if materialization else None
        found[resource] = str(digest.value) if digest else ""
    return found


def _one_text(digests: Mapping[str, str]) -> str:
    text = json.dumps(digests, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
