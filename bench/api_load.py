"""Measures the load of JSON rows from an API into Postgres and writes
`docs/benchmarks/api-load.{md,json}`.

    .venv/bin/python -m bench.api_load          everything, about 4 minutes
    .venv/bin/python -m bench.api_load --quick  once each, written to .bench/report

Ours is what every API source uses (`sources.http`, `resources`, the lane around them); the peer is
a stock dlt resource that yields each page's dictionaries. Both read the same pages from the same
server on loopback.
"""

import argparse
import os
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2

from bench import api_server, databases, machine
from bench.measure import Cost, measured
from bench.places import FOLDER, REPORT, WORK
from bench.results import Results
from signalroom_dagster.limits import Limit
from signalroom_dagster.loading import pipelines
from signalroom_dagster.loading.context import LoadContext
from signalroom_dagster.loading.plan import Slice
from signalroom_dagster.loading.windowed import slice_resource
from signalroom_dagster.registry.outlines import outline
from signalroom_dagster.sources.http import Api
from signalroom_dagster.sources.parallel import read_ahead
from signalroom_dagster.sources.resources import Answer, list_resource
from signalroom_dagster.sources.tables import Row, Table, columns_of
from signalroom_dagster.warehouse import access
from signalroom_dagster.warehouse.bookkeeping import kept_beside

DAY = date(2026, 3, 1)
SLOW_PAGES = 200
AT_ONCE = 4
LATENCY = 0.05
TABLE = Table(
    name="rows",
    about="Events of the benchmark.",
    key=("uuid",),
    columns=columns_of(
        {
            "uuid": "text",
            "event": "text",
            "created_at": "timestamp",
            "distinct_id": "text",
            "amount": "decimal",
            "clicks": "bigint",
            "properties": "json",
        }
    ),
)


def ours(url: str, pages: int, replaces: str, database: str) -> None:
    """Our way: pages into one slice, one transaction."""
    _use(database)
    import dlt

    folder = WORK / "api"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    api = _api(url)

    def rows() -> Iterator[Row]:
        for page in range(pages):
            yield from api.get("/rows", page=page)["rows"]

    context = LoadContext(
        client_id="bench",
        source="bench",
        zone=ZoneInfo("UTC"),
        currency="USD",
        start_date=DAY,
        run_id="bench",
        work_dir=folder,
        ledger={},
        windows={},
        started_at=datetime.now(UTC),
    )
    access.create_own_tables("bench", kept_beside(["slices"], "bench"))
    resource = list_resource(TABLE, lambda: Answer(rows()))
    piece = Slice(days=(DAY,), rows=lambda reading: resource(reading=reading), replaces=replaces)  # type: ignore[arg-type]
    source = outline("bench", "slices", [slice_resource(TABLE, lambda: [piece], context)])
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "dlt"),
        destination=pipelines.destination(courier=context.courier),
        dataset_name="bench",
    )
    pipeline.run(source)
    for error in context.failures.values():
        raise error


def stock(url: str, pages: int, nesting: int | None, database: str) -> None:
    """dlt as it comes: each page's dictionaries, appended."""
    import dlt
    import httpx

    folder = WORK / "stock"
    shutil.rmtree(folder, ignore_errors=True)

    @dlt.resource(name="rows", max_table_nesting=nesting)
    def rows() -> Iterator[Any]:
        for page in range(pages):
            yield httpx.get(f"{url}/rows", params={"page": page}, timeout=60).json()["rows"]

    pipeline = dlt.pipeline(
        "stock",
        pipelines_dir=str(folder),
        destination=dlt.destinations.postgres(database),
        dataset_name="bench",
    )
    pipeline.run(rows())


def paging(url: str) -> None:
    """200 pages from a server that takes 50 ms for each, four at once."""
    api = _api(url)
    for _ in read_ahead(lambda page: api.get("/slow", page=page), range(SLOW_PAGES), AT_ONCE):
        pass


def _api(url: str) -> Api:
    return Api(
        source="bench",
        client_id="bench",
        base_url=url,
        key_name="",
        limit=Limit("bench", per_minute=1_000_000, burst=1_000, at_once=AT_ONCE),
    )


def _use(database: str) -> None:
    os.environ.update(
        SIGNALROOM_DESTINATION="postgres", DESTINATION__POSTGRES__CREDENTIALS=database
    )
    os.environ.update(
        SIGNALROOM_WORK_DIR=str(WORK / "limits"),
        RUNTIME__DLTHUB_TELEMETRY="false",
        RUNTIME__LOG_LEVEL="CRITICAL",
    )


VARIANTS: dict[str, tuple[str, Callable[[str, int, str], None]]] = {
    "slice": (
        "a slice in the place of the client's rows",
        lambda url, pages, at: ours(url, pages, "client", at),
    ),
    "slice_merged": ("a slice merged by key", lambda url, pages, at: ours(url, pages, "keys", at)),
    "stock": (
        "stock dlt: dictionaries, child tables",
        lambda url, pages, at: stock(url, pages, None, at),
    ),
    "stock_flat": (
        "stock dlt: dictionaries, max_table_nesting=0",
        lambda url, pages, at: stock(url, pages, 0, at),
    ),
}


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="once each")
    quick = parser.parse_args().quick
    WORK.mkdir(parents=True, exist_ok=True)
    os.environ["SIGNALROOM_WORK_DIR"] = str(WORK / "limits")
    try:
        with databases.postgres_server() as server, api_server.api_server() as url:
            about = machine.described(
                databases.server_version(server), f"{api_server.PAGE:,} rows a page"
            )
            results = Results(about)
            _warm(url, server)
            for number in range(1 if quick else 3):
                cells = [(name, pages) for name in VARIANTS for pages in (2, api_server.PAGES)]
                random.Random(number).shuffle(cells)
                for name, pages in cells:
                    _run(results, server, url, name, pages)
                results.add("paging", SLOW_PAGES, measured(partial(paging, url)), SLOW_PAGES)
        write(results, FOLDER / "report" if quick else REPORT)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)


def _warm(url: str, server: Any) -> None:
    """Import in this process what the children would import each."""
    for name in ("slice", "stock"):
        with databases.fresh("postgres", server) as database:
            VARIANTS[name][1](url, 1, database)


def _run(results: Results, server: Any, url: str, name: str, pages: int) -> None:
    with databases.fresh("postgres", server) as database:
        cost: Cost = measured(partial(VARIANTS[name][1], url, pages, database), server)
        connection = psycopg2.connect(database)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM bench.rows")
            rows = int((cursor.fetchone() or (0,))[0])
        connection.close()
    if rows != pages * api_server.PAGE:
        results.skipped[name] = f"{rows:,} rows instead of {pages * api_server.PAGE:,}"
        return
    results.add(name, pages, cost, rows)
    print(
        f"{name:14} {rows:8,} rows  wall {cost.wall:6.2f}  client CPU {cost.client_cpu:6.2f} "
        f" +{cost.rss:.0f} MB",
        flush=True,
    )


def write(results: Results, folder: Path) -> None:
    """Report and samples."""
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder / "api-load.json")
    (folder / "api-load.md").write_text("\n".join(_text(results)) + "\n", "utf-8")
    print("\n".join(_text(results)))


def _text(results: Results) -> Iterator[str]:
    about, full, few = results.machine, api_server.PAGES, 2

    def of(name: str, pages: int, what: str) -> float:
        return results.median(name, pages, lambda sample: getattr(sample, what)) or float("nan")

    bound = LATENCY * SLOW_PAGES / AT_ONCE
    cpu = of("slice", full, "client_cpu")
    paged, grown = (
        of("paging", SLOW_PAGES, "wall") / bound,
        of("slice", full, "rss") / of("slice", few, "rss"),
    )
    rows = [
        (
            "client CPU of stock dlt (child tables) over ours",
            "≥ 4",
            of("stock", full, "client_cpu") / cpu,
        ),
        (
            "the same, child tables switched off (max_table_nesting=0)",
            "",
            of("stock_flat", full, "client_cpu") / cpu,
        ),
        ("200 pages of a 50 ms server, over the latency's own bound", "≤ 1.3", paged),
        ("peak memory added at 200,000 rows over that at 20,000", "about 1", grown),
    ]
    yield "# Loading JSON rows from an API"
    yield ""
    yield (
        f"{about['date']}; {about['cores']} cores shared by client, database and server, Python"
        f" {about['python']}, Postgres {about['postgres']}. Rows have six scalars and nested"
        f" properties; medians of {len(results.of('slice', full))} runs. Made with `python -m"
        " bench.api_load`."
    )
    yield ""
    yield "| target | limit | measured |"
    yield "|---|---|---|"
    for what, limit, value in rows:
        yield f"| {what} | {limit} | {value:.2f} |"
    yield ""
    yield (
        "| 200,000 rows into Postgres | wall s | client CPU s | server CPU s | memory added MB | at"
        " 20,000 rows |"
    )
    yield "|---|---|---|---|---|---|"
    for name, (said, _) in VARIANTS.items():
        figures = [f"{of(name, full, what):.1f}" for what in ("wall", "client_cpu", "server_cpu")]
        yield (
            f"| {said} | {' | '.join(figures)} | {of(name, full, 'rss'):.0f} |"
            f" {of(name, few, 'rss'):.0f} |"
        )
    for name, why in results.skipped.items():
        yield f"\n{name}: {why}"
    yield ""
    yield (
        "The peer appends without a key, index or bookkeeping; ours deletes what it replaces, keeps"
        " a unique index, and commits the rows together with what was read when."
    )


if __name__ == "__main__":
    main()
