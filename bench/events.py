"""Measures events from the sender to the result and writes `docs/benchmarks/events.{md,json}`.

    .venv/bin/python -m bench.events                     both stores, 10 minutes each at 333/s, then
    as fast as it goes .venv/bin/python -m bench.events --seconds 5 --quick a look, written to
    .bench/report

Gateway, consumer, generator and database are processes of this machine and share its cores.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from bench import databases, event_load, event_report, machine
from bench.measure import in_child
from bench.places import FOLDER, REPORT, WORK
from signalroom_dagster.events.settings import EventSettings
from signalroom_dagster.events.stores.jobs import EventKey
from signalroom_dagster.events.stores.opening import open_store
from signalroom_dagster.events.stores.sql import SqlStore
from signalroom_dagster.sandbox import simulator
from signalroom_dagster.sandbox.simulator import Message
from signalroom_dagster_tests.events.processes import (
    CONTRACTS,
    TOKENS,
    GatewayProcess,
    running_gateway,
    tenants,
)
from signalroom_dagster_tests.postgres import PostgresServer
from signalroom_dagster_tests.projects import Project

EVENTS_PER_JOB = 3 * 1.05  # three types, 5 % twice
DONE_SECONDS = 300
SAMPLE_SECONDS = 1.0
FASTEST = 6_000
"""More events a second than two cores can take: as many are prepared for the closed loop."""
_DONE = """
SELECT job.tenant_id, job.job_id, job.last_at, {result} FROM events.job {join} WHERE job.status =
'done'
"""


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600, help="of the steady load")
    parser.add_argument(
        "--rate", type=float, default=333, help="events a second of the steady load"
    )
    parser.add_argument(
        "--fast-seconds", type=float, default=30, help="of the load as fast as it goes; 0: none"
    )
    parser.add_argument("--stores", default="postgres,sqlite")
    parser.add_argument("--quick", action="store_true", help="write to .bench/report")
    asked = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        with databases.postgres_server() as server:
            about = machine.described(
                databases.server_version(server), f"{asked.rate:g} events a second"
            )
        runs = [found for store in asked.stores.split(",") for found in _measure(store, asked)]
        folder = FOLDER / "report" if asked.quick else REPORT
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "events.json").write_text(
            json.dumps({"machine": about, "runs": runs}, indent=1) + "\n", "utf-8"
        )
        (folder / "events.md").write_text(event_report.text(about, runs), "utf-8")
        print(event_report.text(about, runs))
    finally:
        shutil.rmtree(WORK, ignore_errors=True)


def _measure(store: str, asked: argparse.Namespace) -> Generator[dict[str, Any]]:
    jobs = int(asked.seconds * asked.rate / EVENTS_PER_JOB / len(CONTRACTS)) + 1
    steady = simulator.planned(CONTRACTS, jobs, duplicates=0.05, shuffle=300)
    yield _one(store, "steady", steady, lambda gateway: _open_loop(gateway, steady, asked.rate))
    if asked.fast_seconds:
        jobs = int(asked.fast_seconds * FASTEST / EVENTS_PER_JOB / len(CONTRACTS)) + 1
        fast = simulator.planned(CONTRACTS, jobs, duplicates=0.05, shuffle=300)
        yield _one(
            store, "fastest", fast, lambda gateway: _closed_loop(gateway, fast, asked.fast_seconds)
        )


def _open_loop(gateway: GatewayProcess, messages: list[Message], rate: float) -> dict[str, Any]:
    sent = asyncio.run(simulator.send(gateway.url, messages, rate, tokens=TOKENS))
    return _told(sent.seconds, len(messages), dict(sent.answers), sent.latencies, sent.acknowledged)


def _closed_loop(
    gateway: GatewayProcess, messages: list[Message], seconds: float
) -> dict[str, Any]:
    found = event_load.closed_loop(gateway.port, messages, seconds)
    answers = {"204": found.sent - found.failed, "other": found.failed}
    return _told(found.seconds, found.sent, answers, found.latencies, found.acknowledged)


def _told(
    seconds: float,
    sent: int,
    answers: Mapping[str, int],
    latencies: list[float],
    acknowledged: set[EventKey],
) -> dict[str, Any]:
    used = psutil.Process().cpu_times()
    return {
        "started": time.time() - seconds,
        "seconds": seconds,
        "sent": sent,
        "answers": answers,
        "acknowledged": sorted(acknowledged),
        "ack_p50": _share(latencies, 0.5),
        "ack_p99": _share(latencies, 0.99),
        "cpu": used.user + used.system,
    }


def _one(store: str, kind: str, messages: list[Message], load: Any) -> dict[str, Any]:
    with ExitStack() as stack:
        server = None
        folder = WORK / f"{store}-{kind}"
        project = Project(folder, os.environ.__setitem__)
        url = f"sqlite:///{folder / 'events.db'}"
        if store == "postgres":
            server = PostgresServer({"fsync": "on", "shared_buffers": "512MB"}).start()
            stack.callback(server.remove)
            url = server.create_database("bench")
            project.use_postgres(url)
        tenants(project, url)
        gateway = stack.enter_context(running_gateway(project))
        consumer = stack.enter_context(_consumer(project, folder))
        watched = {"gateway": gateway.process.pid, "consumer": consumer.pid}  # type: ignore[union-attr]
        if server and server._process:
            watched["postgres"] = server._process.pid
        print(f"{store} {kind}: {len(messages):,} messages ready", flush=True)
        with _watched(watched) as samples:
            began = time.monotonic()
            told = in_child(lambda: load(gateway))
            ended = time.monotonic()
            results = _wait_for_results(
                url, {(tenant, job) for tenant, job, _ in told["acknowledged"]}
            )
        print(
            f"  {told['sent'] / told['seconds']:,.0f}/s, results {time.monotonic() - ended:.1f} s"
            " later",
            flush=True,
        )
        return {
            "store": store,
            "kind": kind,
            **_figures(url, told, results, samples, ended - began),
        }


def _figures(
    url: str,
    told: dict[str, Any],
    results: list[tuple[Any, ...]],
    samples: dict[str, Any],
    wall: float,
) -> dict[str, Any]:
    acknowledged = {(tenant, job, name) for tenant, job, name in told.pop("acknowledged")}
    by_job: dict[tuple[str, str], int] = {}
    for tenant, job, _ in acknowledged:
        by_job[tenant, job] = by_job.get((tenant, job), 0) + 1
    complete = {job for job, count in by_job.items() if count == 3}
    found = {(tenant, job) for tenant, job, _, _ in results}
    lags = [(at - last).total_seconds() for _, _, last, at in results]
    started = told.pop("started")
    last = max((at.timestamp() for _, _, _, at in results), default=started)
    cpu = {name: figure["cpu"] for name, figure in samples.items()} | {"generator": told.pop("cpu")}
    return {
        **told,
        "events": len(acknowledged),
        "complete_jobs": len(complete),
        "missing_events": len(acknowledged - _stored(url)),
        "missing_results": len(complete - found),
        "result_p50": _share(lags, 0.5),
        "result_p99": _share(lags, 0.99),
        "sustained": told["sent"] / max(told["seconds"], last - started),
        "cores": {name: seconds / wall for name, seconds in cpu.items()},
        "rss_mb": {name: figure["rss"] for name, figure in samples.items() if name != "postgres"},
    }


def _stored(url: str) -> set[EventKey]:
    return {
        (tenant, job, name)
        for tenant, job, name in _rows(
            url, "SELECT tenant_id, job_id, analysis_type FROM events.inbox"
        )
    }


def _wait_for_results(url: str, jobs: set[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """The finished jobs with the times of their last event and of their result, when there are no
    more to come.
    """
    give_up = time.monotonic() + DONE_SECONDS
    statement = (
        _DONE.format(
            result="job.done_at", join=""
        )  # written in the transaction that marks the job as done
        if url.startswith("postgresql")
        else _DONE.format(
            result="result.published_at", join="JOIN events.result USING (tenant_id, job_id)"
        )
    )
    while True:
        store = open_store(EventSettings(store=url))
        waiting = sum(found.ready + found.unpublished for found in store.stats().values())
        store.close()
        if not waiting or time.monotonic() > give_up:
            return [row for row in _rows(url, statement) if row[3] and (row[0], row[1]) in jobs]
        time.sleep(0.5)


def _rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    store = open_store(EventSettings(store=url))
    assert isinstance(store, SqlStore)
    with store.transaction(reads_only=True) as session:
        found = session.rows(statement)
        if statement.startswith("\nSELECT"):
            found = [
                (tenant, job, session.time(last), at and session.time(at))
                for tenant, job, last, at in found
            ]
    store.close()
    return found


@contextmanager
def _consumer(project: Project, folder: Path) -> Generator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "signalroom_dagster.cli", "events", "consume"]
    with (folder / "consumer.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=project.process_environment(), stdout=log, stderr=log
        )
    try:
        time.sleep(5)
        if process.poll() is not None:
            raise RuntimeError((folder / "consumer.log").read_text())
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def _watched(pids: Mapping[str, int]) -> Generator[dict[str, Any]]:
    """CPU seconds during the block, and megabytes of memory every so often, of each process and its
    children.
    """
    import threading

    found: dict[str, Any] = {name: {"cpu": -_cpu(pid), "rss": []} for name, pid in pids.items()}
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for name, pid in pids.items():
                found[name]["rss"].append(round(psutil.Process(pid).memory_info().rss / 1e6, 1))
            over.wait(SAMPLE_SECONDS)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
        for name, pid in pids.items():
            found[name]["cpu"] += _cpu(pid)


def _cpu(pid: int) -> float:
    """Of a process, its running children, and those that ended."""
    main = psutil.Process(pid)
    own = main.cpu_times()
    running = [child.cpu_times() for child in main.children(recursive=True)]
    ended = own.children_user + own.children_system
    return own.user + own.system + ended + sum(used.user + used.system for used in running)


def _share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


if __name__ == "__main__":
    main()
