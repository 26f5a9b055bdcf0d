"""Sends invented events as a busy sender would: at a rate that does not wait for the answers, in
disorder, some of them twice, some never, some broken. The same seed sends the same events.

aiohttp, because a second of load costs httpx's asynchronous client several seconds of CPU.
"""

import asyncio
import base64
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp
import msgspec

from signalroom_dagster.events.contracts import Contract
from signalroom_dagster.events.stores.jobs import EventKey
from signalroom_dagster.retries import backoff

TIMEOUT_SECONDS = 30.0
CONNECTIONS = 64
AGAIN_SECONDS = 0.2
LONGEST_AGAIN_SECONDS = 5.0
_POISON = (
    b"{",
    b'{"tenant_id": 713}',
    b"\xff\xfe",
    b"[[[[",
    b'{"tenant_id": "x", "job_id": "", "result": {}}',
)
_CAMPAIGNS = ("spring_sale", "retargeting", "brand_search", "lookalike_us", "newsletter")


class Message(NamedTuple):
    """One request; `key` says which event it is, None for a broken one."""

    tenant_id: str
    key: EventKey | None
    body: bytes


@dataclass(slots=True)
class Sent:
    """How a sending goes, or went. Latencies are seconds from when a message was due to its last
    answer.
    """

    planned: int
    answers: Counter[str] = field(default_factory=Counter[str])
    acknowledged: set[EventKey] = field(default_factory=set[EventKey])
    latencies: list[float] = field(default_factory=list[float])
    repeated: int = 0
    seconds: float = 0.0

    def latency(self, share: float) -> float:
        """The latency that this share of the messages did not exceed, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def planned(
    contracts: Mapping[str, Contract],
    jobs: int,
    *,
    duplicates: float = 0.0,
    shuffle: int = 1,
    drop: float = 0.0,
    poison: float = 0.0,
    seed: int = 0,
    prefix: str = "job",
) -> list[Message]:
    """The messages of so many jobs per tenant. `duplicates`, `drop` and `poison` are shares of the
    messages; events are mixed up within windows of `shuffle` messages.
    """
    rng = random.Random(seed)
    messages: list[Message] = []
    for number in range(jobs):
        for contract in contracts.values():
            for message in _job(contract, f"{prefix}-{seed}-{number:06d}", rng):
                if rng.random() >= drop:
                    messages += [message] * (1 + (rng.random() < duplicates))
                if rng.random() < poison:
                    messages.append(
                        Message(contract.tenant_id, None, _envelope(rng.choice(_POISON), rng))
                    )
    for start in range(0, len(messages), max(shuffle, 1)):
        window = messages[start : start + shuffle]
        rng.shuffle(window)
        messages[start : start + shuffle] = window
    return messages


def _job(contract: Contract, job_id: str, rng: random.Random) -> Iterator[Message]:
    for analysis_type in sorted(contract.required):
        event = {"tenant_id": contract.tenant_id, "job_id": job_id, "analysis_type": analysis_type}
        data = msgspec.json.encode({**event, "result": {"campaigns": _figures(analysis_type, rng)}})
        yield Message(
            contract.tenant_id, (contract.tenant_id, job_id, analysis_type), _envelope(data, rng)
        )


def _figures(analysis_type: str, rng: random.Random) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for campaign in rng.sample(_CAMPAIGNS, 3):
        cost, people, impressions = (
            rng.randint(5_000, 90_000),
            rng.randint(1_000, 50_000),
            rng.randint(5_000, 900_000),
        )
        found.append(
            {"campaign": campaign}
            | {
                "attribution": {
                    "conversions": rng.randint(1, 90),
                    "revenue": f"{cost * rng.uniform(0.5, 3) / 100:.2f}",
                    "cost": f"{cost / 100:.2f}",
                },
                "audience": {"people": people, "reached": int(people * rng.random())},
                "creative": {
                    "creative": f"banner_{rng.randint(1, 9)}",
                    "impressions": impressions,
                    "clicks": int(impressions * rng.uniform(0.002, 0.05)),
                },
            }.get(analysis_type, {"score": rng.randint(0, 100)})
        )
    return found


def _envelope(data: bytes, rng: random.Random) -> bytes:
    """A push as Google Pub/Sub sends it."""
    message = {
        "data": base64.b64encode(data).decode(),
        "messageId": str(rng.randrange(10**15, 10**16)),
        "publishTime": "2026-01-01T00:00:00.000Z",
    }
    return msgspec.json.encode(
        {"message": message, "subscription": "projects/simulator/subscriptions/events"}
    )


async def send(
    url: str,
    messages: Sequence[Message],
    rate: float | None,
    *,
    tokens: Mapping[str, str] | None = None,
    attempts: int = 10,
    tell: Callable[[Sent], None] | None = None,
) -> Sent:
    """Send messages to a gateway, `rate` a second whatever it answers; None as fast as it answers.

    What is refused with 429 or 5xx, or not answered at all, is sent again as Pub/Sub does,
    `attempts` times in all.
    """
    sent = Sent(len(messages))
    started = time.monotonic()
    client = aiohttp.ClientSession(
        url,
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS),
    )
    async with client:
        post = _poster(client, tokens or {}, attempts, sent)
        telling = asyncio.create_task(_every_second(sent, started, tell)) if tell else None
        if rate:
            await _open_loop(messages, rate, post)
        else:
            await _closed_loop(messages, post)
        if telling:
            telling.cancel()
    sent.seconds = time.monotonic() - started
    return sent


Post = Callable[[Message, float], Any]


def _poster(
    client: aiohttp.ClientSession, tokens: Mapping[str, str], attempts: int, sent: Sent
) -> Post:
    headers = {tenant: {"authorization": f"Bearer {token}"} for tenant, token in tokens.items()}

    async def post(message: Message, due: float) -> None:
        answer = ""
        for attempt in range(attempts):
            if attempt:
                sent.repeated += 1
                await asyncio.sleep(backoff(attempt, AGAIN_SECONDS, LONGEST_AGAIN_SECONDS))
            answer = await _answer(client, message, headers.get(message.tenant_id, {}))
            if not _is_passing(answer):
                break
        sent.answers[answer] += 1
        sent.latencies.append(time.monotonic() - due)
        if answer == "204" and message.key:
            sent.acknowledged.add(message.key)

    return post


async def _answer(
    client: aiohttp.ClientSession, message: Message, headers: Mapping[str, str]
) -> str:
    try:
        async with client.post("/v1/events/pubsub", data=message.body, headers=headers) as answer:
            return str(answer.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__


def _is_passing(answer: str) -> bool:
    return not answer.isdigit() or answer == "429" or answer.startswith("5")


async def _open_loop(messages: Sequence[Message], rate: float, post: Post) -> None:
    started = time.monotonic()
    async with asyncio.TaskGroup() as posts:
        for number, message in enumerate(messages):
            due = started + number / rate
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            posts.create_task(post(message, due))


async def _closed_loop(messages: Sequence[Message], post: Post) -> None:
    rest = iter(messages)

    async def one_after_another() -> None:
        for message in rest:
            await post(message, time.monotonic())

    async with asyncio.TaskGroup() as posts:
        for _ in range(CONNECTIONS):
            posts.create_task(one_after_another())


async def _every_second(sent: Sent, started: float, tell: Callable[[Sent], None]) -> None:
    while True:
        await asyncio.sleep(1)
        sent.seconds = time.monotonic() - started
        tell(sent)
