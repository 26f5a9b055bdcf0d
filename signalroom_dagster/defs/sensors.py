"""Sensors: wake-ups only. What is loaded, the load decides from its ledger; a sensor just notices a difference.

https://docs.dagster.io/guides/automate/sensors
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial

import dagster as dg

from signalroom_dagster.clients import Client, clients_of
from signalroom_dagster.config import environment
from signalroom_dagster.defs.in_flight import in_flight
from signalroom_dagster.defs.jobs import DAILY_SYNC
from signalroom_dagster.loading import catalog

TICK_SECONDS = 60
LISTED_AT_ONCE = 8
FIRST_PAUSE_SECONDS = 120.0
LONGEST_PAUSE_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What was last asked for a client: the bucket's digest, how often, and when it may be asked again (epoch)."""

    digest: str
    times: int
    not_before: float


def build_new_files_sensor(source: str) -> dg.SensorDefinition:
    """Asks for a client's load while its bucket and its last successful load disagree, with growing pauses."""

    @dg.sensor(
        name=f"{source}_new_files",
        job_name=source,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=initial_status(),
        description=f"Start {source} for a client as soon as files are new, changed or gone.",
    )
    def new_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        asked = {client: Asked(**state) for client, state in json.loads(context.cursor or "{}").items()}
        requests = list(_requests(context, source, asked))
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else f"every client's {source} is as it was last loaded, or is being loaded",
            cursor=json.dumps({client: asdict(state) for client, state in asked.items()}),
        )

    return new_files


def _requests(context: dg.SensorEvaluationContext, source: str, asked: dict[str, Asked]) -> Iterator[dg.RunRequest]:
    """The runs to ask for now; keeps `asked` up to date."""
    now = time.time()
    busy = in_flight(context.instance)
    idle = [
        client
        for client in clients_of(source)
        if client.status == "active" and not {(source, client.id), (DAILY_SYNC, client.id)} & busy
    ]
    with ThreadPoolExecutor(LISTED_AT_ONCE) as pool:  # a tick has a minute, and 100,000 files are a hundred answers
        listings = [*pool.map(partial(_listed, context, source), idle)]
    for client, listed in zip(idle, listings, strict=True):
        if listed is None:
            continue
        if listed == _last_loaded(context, source, client, listed):
            asked.pop(client.id, None)
            continue
        due = _due(asked.get(client.id), _one_text(listed), now)
        if due is None:
            continue
        asked[client.id] = due
        yield dg.RunRequest(run_key=f"{client.id}:{due.digest}:{now:.0f}", partition_key=client.id)


def _due(before: Asked | None, digest: str, now: float) -> Asked | None:
    """What to remember when asking now, or None while the pause after the last asking lasts."""
    times = before.times + 1 if before and before.digest == digest else 1
    if before and times > 1 and now < before.not_before:
        return None
    return Asked(digest, times, now + min(FIRST_PAUSE_SECONDS * 2 ** (times - 1), LONGEST_PAUSE_SECONDS))


def _listed(context: dg.SensorEvaluationContext, source: str, client: Client) -> Mapping[str, str] | None:
    """The digests of what the client's bucket holds, or None when it cannot be asked: the others still are."""
    try:
        return catalog.listing_digests(source, client)
    except Exception as error:  # whatever one client's storage raises: the other clients' files still come in
        context.log.error("client %s, source %s: cannot list its files: %s", client.id, source, error)
        return None


def _last_loaded(
    context: dg.SensorEvaluationContext, source: str, client: Client, resources: Iterable[str]
) -> Mapping[str, str]:
    """The digests that the last successful load of each resource left on its materialization."""
    found: dict[str, str] = {}
    for resource in resources:
        records = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey([source, resource]), asset_partitions=[client.id]), limit=1
        ).records
        materialization = records[0].asset_materialization if records else None
        digest = materialization.metadata.get("listing_digest") if materialization else None
        found[resource] = str(digest.value) if digest else ""
    return found


def _one_text(digests: Mapping[str, str]) -> str:
    text = json.dumps(digests, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def initial_status() -> dg.DefaultSensorStatus:
    """Running from the start in production, stopped until a person starts it elsewhere."""
    return dg.DefaultSensorStatus.RUNNING if environment() == "production" else dg.DefaultSensorStatus.STOPPED
