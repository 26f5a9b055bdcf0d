"""The real UI in a real browser: what a person clicks and sees. `make test-ui`; its pictures are
documentation.

Slow and tied to Dagster's own pages, so out of the default suite. What was done is asked of
GraphQL; the browser only has to have clicked it, and to show it.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalroom_dagster import sandboxed
from signalroom_dagster.sandbox.environment import sandbox_environment
from signalroom_dagster.sandbox.shops import last_day
from signalroom_dagster.triggers import run_status, trigger_run

pytestmark = pytest.mark.ui

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
LOCATION = "signalroom_dagster.definitions"
QUIET = json.dumps({"loggers": {"console": {"config": {"log_level": "ERROR"}}}})
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
WAIT_MS = 60_000
LARGEST_PICTURE = 300_000

_LATEST = """query ($key: AssetKeyInput!, $partition: [String!]) {
  assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetMaterializations(partitions: $partition, limit: 1) { runId metadataEntries { label __typename
    ... on IntMetadataEntry { intValue }
    ... on TableSchemaMetadataEntry { schema { columns { name type } } } } }
  assetChecksOrError { ... on AssetChecks { checks { name
    executionForLatestMaterialization { runId status } } } } } } }"""
_RUNS = "{ runsOrError(limit: 1) { ... on Runs { results { runId } } } }"
_LOCATION = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"


@dataclass(frozen=True, slots=True)
class Ui:
    """A running Dagster and a browser that looks at it."""

    url: str
    browser: Any

    def open(self, path: str, width: int = 1440, height: int = 900) -> Any:
        """A page of the UI in a window of that size."""
        page = self.browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{self.url}{path}")
        return page

    def ask(self, query: str, **variables: Any) -> Any:
        """The data that GraphQL answers."""
        answer = httpx.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=30
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def latest(self, asset: str, client: str) -> Any:
        """The newest materialization of a client's partition, with the asset's checks."""
        found = self.ask(
            _LATEST, key={"path": asset.split("/")}, partition=[client] if client else None
        )
        return found["assetNodeOrError"]

    def last_run(self) -> str | None:
        """The run that was started last."""
        runs = self.ask(_RUNS)["runsOrError"]["results"]
        return runs[0]["runId"] if runs else None


@pytest.fixture(scope="module")
def instance_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`dagster dev` on the sandbox's data, both clients loaded, as after `make demo` and `make
    dev`.
    """
    folder = tmp_path_factory.mktemp("demo")
    with sandbox_environment(folder) as sandbox:
        environment = {**sandboxed.only(sandbox, os.environ), "DAGSTER_DISABLE_TELEMETRY": "1"}
        for client in ("713", "cti"):
            subprocess.run(
                [
                    *dagster("asset", "materialize", "-m", LOCATION),
                    "--select",
                    "not group:reports",
                    "--partition",
                    client,
                    "--config-json",
                    QUIET,
                ],
                cwd=folder,
                env=environment,
                check=True,
                capture_output=True,
            )
        port = free_port()
        with (folder / "dagster-dev.log").open("w") as log:
            command = [
                *dagster("dev", "-h", "127.0.0.1"),
                "-p",
                str(port),
                "-w",
                str(ROOT / "workspace.yaml"),
            ]
            server = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_until_up(f"http://127.0.0.1:{port}", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(server)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium; playwright's own needs a download."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="`make test-ui` installs playwright"
    )
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield found
        found.close()


@pytest.fixture
def ui(instance_url: str, browser: Any, monkeypatch: pytest.MonkeyPatch) -> Ui:
    monkeypatch.setenv("SIGNALROOM_WEBSERVER_URL", instance_url)
    return Ui(instance_url, browser)


def dagster(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "dagster", *arguments]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until_up(url: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        with contextlib.suppress(httpx.HTTPError, KeyError, TypeError):
            found = httpx.post(f"{url}/graphql", json={"query": _LOCATION}, timeout=10).json()
            if [
                entry["loadStatus"]
                for entry in found["data"]["workspaceOrError"]["locationEntries"]
            ] == ["LOADED"]:
                return
        time.sleep(1)
    raise AssertionError(f"dagster dev ended with {server.returncode}")


def stop(server: subprocess.Popen[bytes]) -> None:
    """With the daemon, the webserver and the code server that it started: they are one group."""
    server.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def finish(run_id: str) -> str:
    while (status := run_status(run_id)) not in ENDED:
        time.sleep(1)
    return status


def see(page: Any, *texts: str) -> None:
    """Wait until each text stands on the page; some stand there several times, and not all of them
    are shown.
    """
    for text in texts:
        page.get_by_text(text).locator("visible=true").first.wait_for()


def keep(page: Any, name: str, clip: Mapping[str, int] | None = None) -> None:
    """A picture for the documentation."""
    page.wait_for_timeout(1500)  # what moves comes to rest
    page.screenshot(path=IMAGES / name, clip=clip)
    assert (IMAGES / name).stat().st_size < LARGEST_PICTURE


def click_partition(page: Any, client: str) -> None:
    """In the dialog that asks for partitions: those that do not change are a drop-down."""
    page.get_by_role("dialog").get_by_text("Select a partition").click()
    page.get_by_text(client, exact=True).locator("visible=true").last.click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Launch 1 run").click()


def test_a_partition_that_is_materialized_by_clicking_shows_its_figures_columns_and_checks(
    ui: Ui,
) -> None:
    before = ui.last_run()
    page = ui.open("/asset-groups")
    see(page, "everflow", "models", "reports")
    page.goto(f"{ui.url}/locations/{LOCATION}/asset-groups/everflow")
    see(page, "daily_stats", "daily_performance")
    page.get_by_role("button", name="Materialize all").first.click()
    click_partition(page, "713")
    while (run_id := ui.last_run()) == before:
        time.sleep(1)
    assert run_id and finish(run_id) == "SUCCESS"

    found = ui.latest("everflow/daily_stats", "713")
    made = found["assetMaterializations"][0]
    entries = {entry["label"]: entry for entry in made["metadataEntries"]}
    assert made["runId"] == run_id
    assert (
        entries["rows_loaded"]["intValue"] == 12
        and entries["dagster/partition_row_count"]["intValue"] == 42
    )
    columns = {
        column["name"]: column["type"]
        for column in entries["dagster/column_schema"]["schema"]["columns"]
    }
    assert columns["_client_id"] == "text" and columns["payout"] == "decimal(18,4)"
    checks = {
        check["name"]: check["executionForLatestMaterialization"]
        for check in found["assetChecksOrError"]["checks"]
    }
    assert {"reconciled", "key_unique", "not_capped"} <= set(checks)
    assert {(check["runId"], check["status"]) for check in checks.values()} == {
        (run_id, "SUCCEEDED")
    }

    page.goto(f"{ui.url}/assets/everflow/daily_stats")
    see(page, "What each affiliate brought", "decimal(18,4)", "rows_loaded", "2026-03-07")
    page.goto(f"{ui.url}/assets/everflow/daily_stats?view=checks")
    page.get_by_text("reconciled", exact=True).locator("visible=true").first.click()
    see(page, "Evaluation result", "Passed", "713")
    keep(page, "checks.png", {"x": 0, "y": 0, "width": 1440, "height": 640})


def test_a_partition_shows_which_files_were_loaded_and_what_was_odd_about_them(ui: Ui) -> None:
    page = ui.open(
        "/assets/s3_exports/orders_create?view=partitions&partition=713", width=1500, height=1100
    )
    see(page, "Materialized", "rows_rejected", "rows_per_second", "new columns: loyalty_tier")
    keep(page, "asset.png")


def test_a_report_can_be_read_with_its_chart_where_it_was_made(ui: Ui) -> None:
    config = {"ops": {"report_daily_ccw": {"config": {"date": str(last_day()), "wait_minutes": 0}}}}
    run = trigger_run("daily_ccw_report", "713", config=config).run_id
    assert finish(run) == "SUCCESS"
    assert ui.latest("reports/daily_ccw", "713")["assetMaterializations"][0]["runId"] == run
    page = ui.open("/assets/reports/daily_ccw?view=events", height=1260)
    page.get_by_text("[Show Markdown]").locator("visible=true").last.click()
    preview = page.get_by_role("dialog").last
    see(preview, "daily performance", "Revenue", "Top affiliates")
    chart = preview.locator("img")
    chart.wait_for()
    assert chart.evaluate("image => [image.naturalWidth, image.clientWidth]") == [600, 600]
    keep(page, "report-preview.png", {"x": 250, "y": 0, "width": 940, "height": 1260})


def test_the_freshness_of_every_source_and_client_stands_on_one_page(ui: Ui) -> None:
    before = ui.latest("status/freshness", "")["assetMaterializations"][0]["runId"]
    page = ui.open("/assets/status/freshness", width=1640, height=1080)
    page.get_by_role("button", name="Materialize").first.click()
    while (
        run_id := ui.latest("status/freshness", "")["assetMaterializations"][0]["runId"]
    ) == before:
        time.sleep(1)
    assert finish(run_id) == "SUCCESS"
    page.reload()
    see(page, "data up to", "s3_exports", "google_sheets", "fresh", "closed", "cti", "planned")
    keep(page, "freshness.png")


def test_schedules_and_sensors_stand_on_one_page_and_can_be_switched(ui: Ui) -> None:
    page = ui.open("/automation", height=1000)
    see(
        page,
        "everflow_hourly_america_new_york",
        "daily_ccw_report_713",
        "s3_exports_new_files",
        "alert_watch",
    )
    keep(page, "schedules.png")
    page.locator("[data-index]", has_text="alert_watch").locator("label").last.click()
    query = """{ sensorsOrError(repositorySelector: {
      repositoryName: "__repository__", repositoryLocationName: "%s"}) {
      ... on Sensors { results { name sensorState { status } } } } }"""
    states: dict[str, str] = {}
    while states.get("alert_watch") != "RUNNING":
        found = ui.ask(query % LOCATION)["sensorsOrError"]["results"]
        states = {each["name"]: each["sensorState"]["status"] for each in found}
        time.sleep(1)
    assert [name for name, status in states.items() if status == "RUNNING"] == ["alert_watch"]


def test_the_graph_leads_from_every_source_over_the_models_to_the_reports(ui: Ui) -> None:
    page = ui.open("/asset-groups", height=880)
    for group in (
        "everflow",
        "google_sheets",
        "mautic",
        "posthog",
        "redtrack",
        "s3_exports",
        "models",
        "reports",
        "status",
    ):
        see(page, group)
    while page.get_by_text("fetching statuses").count():
        page.wait_for_timeout(500)
    keep(page, "asset-graph.png")
