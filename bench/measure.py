"""Run one piece of work in a forked child and say what it cost: wall, CPU on both sides, memory,
rows.

The child is forked from one warm parent, so imports are not counted. CPU is that of the child and
the programs it starts, and, where there is a Postgres, that of all its processes during the run.
Nothing here knows what is loaded.
"""

import gc
import json
import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from bench.places import WORK
from signalroom_dagster import sandboxed
from signalroom_dagster_tests.postgres import PostgresServer

MEGABYTE = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run took; seconds, and megabytes of peak memory beyond what the child was born with.

    Memory is that of the child alone: it says nothing of programs that the child starts.
    """

    wall: float
    client_cpu: float
    server_cpu: float
    rss: float

    @property
    def cpu(self) -> float:
        """CPU seconds of the client and the database together."""
        return self.client_cpu + self.server_cpu


class MeasuredFailureError(Exception):
    """The child did not finish its work; holds the child's own traceback."""


def measured(work: Callable[[], None], server: PostgresServer | None = None) -> Cost:
    """Run `work` in a child. `server` is the database it uses, idle otherwise.

    Raises MeasuredFailureError with the child's traceback.
    """
    if server:
        _settle(server)
    before = server_cpu(server) if server else 0.0
    told = in_child(lambda: _timed(work))
    time.sleep(0.05)  # backends of the child are ending
    after = server_cpu(server) if server else 0.0
    return Cost(
        wall=told["wall"],
        client_cpu=told["cpu"],
        server_cpu=after - before,
        rss=told["rss"] / MEGABYTE,
    )


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` returns, as JSON, from a forked child that leaves nothing behind in this
    process.
    """
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _tell(writing, work)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    told = json.loads(text or b'{"failed": "the child died without a word"}')
    if "failed" in told:
        raise MeasuredFailureError(told["failed"])
    return told["result"]


def server_cpu(server: PostgresServer) -> float:
    """CPU seconds that all processes of a Postgres have used since it was started, ended ones
    included.
    """
    main = _postmaster(server)
    while True:
        ended = _cpu(main, "user", "system", "children_user", "children_system")
        try:
            running = sum(
                _cpu(process, "user", "system") for process in main.children(recursive=True)
            )
        except psutil.NoSuchProcess:
            continue
        if ended == _cpu(main, "user", "system", "children_user", "children_system"):
            return ended + running  # nobody ended in between, so nobody is missed or counted twice


def run_program(*command: str | Path, **environment: str) -> str:
    """Run a program to its end, away from the checkout; what it printed. Raises with that where it
    fails.
    """
    done = subprocess.run(
        command,
        env=sandboxed.only(environment, os.environ),
        cwd=WORK,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"{Path(command[0]).name} failed: {(done.stderr or done.stdout)[-2000:]}"
        )
    return done.stdout


def _tell(pipe: int, work: Callable[[], Any]) -> None:
    """Do the work, send its result and end this process at once, whatever happened."""
    try:
        told = {"result": work()}
    except BaseException:
        told = {"failed": traceback.format_exc()}
    try:
        with os.fdopen(pipe, "wb") as out:
            out.write(json.dumps(told).encode())
    finally:
        os._exit(0)


def _timed(work: Callable[[], None]) -> dict[str, float]:
    os.chdir(WORK)
    _forget_peak()
    born_with = psutil.Process().memory_info().rss
    cpu, started = _own_cpu(), time.perf_counter()
    work()
    wall = time.perf_counter() - started
    return {"wall": wall, "cpu": _own_cpu() - cpu, "rss": _peak() - born_with}


def _own_cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _cpu(process: psutil.Process, *kinds: str) -> float:
    used = process.cpu_times()
    return sum(getattr(used, kind) for kind in kinds)


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # no such file outside Linux: the peak since the fork is as good


def _peak() -> float:
    try:
        status = Path("/proc/self/status").read_text()
        return float(status.split("VmHWM:")[1].split()[0]) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def _postmaster(server: PostgresServer) -> psutil.Process:
    first_line = (server.folder / "data" / "postmaster.pid").read_text().splitlines()[0]
    return psutil.Process(int(first_line))


def _settle(server: PostgresServer) -> None:
    """Let nothing that came before be charged to what comes next: dirty pages, and backends that
    are still ending.
    """
    connection = psycopg2.connect(server.url("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
    connection.close()
    time.sleep(0.1)
