"""Starting runs through Dagster's GraphQL: what is asked is what Dagster understands, and nothing
is started twice.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from graphql import parse, validate

from signalroom_dagster import triggers
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.triggers import (
    DagsterUnreachableError,
    finished_runs,
    run_status,
    trigger_run,
)
from signalroom_dagster_tests.projects import Project

REPOSITORY = {
    "name": "__repository__",
    "location": {"name": "here"},
    "jobs": [{"name": "everflow"}],
}
ENDED_RUNS = [
    {"jobName": job, "status": "SUCCESS", "startTime": 10.0, "endTime": 12.5, "tags": tags}
    for job, tags in (
        ("__ASSET_JOB", [{"key": "signalroom/account", "value": "everflow:713"}]),
        ("daily_ccw_report", [{"key": "dagster/partition", "value": "713"}]),
    )
]


class Dagster(ThreadingHTTPServer):
    """Answers the four questions, keeps what it was asked; `running` is the run of everflow that is
    not finished.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.running: str | None = None
        self.status = 200
        self.launched: list[Any] = []

    def answer(self, query: str, variables: Any) -> Any:
        if "repositoriesOrError" in query:
            return {
                "repositoriesOrError": {"__typename": "RepositoryConnection", "nodes": [REPOSITORY]}
            }
        if "startTime" in query:
            return {"runsOrError": {"__typename": "Runs", "results": ENDED_RUNS}}
        if "runsOrError" in query:
            assert variables["filter"]["pipelineName"] == "everflow"
            runs = [{"runId": self.running, "status": "STARTED"}] if self.running else []
            return {"runsOrError": {"__typename": "Runs", "results": runs}}
        if "launchRun" in query:
            self.launched.append(variables["params"])
            return {
                "launchRun": {
                    "__typename": "LaunchRunSuccess",
                    "run": {"runId": "new", "status": "QUEUED"},
                }
            }
        if variables["id"] != "new":
            return {"runOrError": {"__typename": "RunNotFoundError"}}
        return {"runOrError": {"__typename": "Run", "status": "SUCCESS"}}


class Answers(BaseHTTPRequestHandler):
    server: Dagster

    def do_POST(self) -> None:  # noqa: N802
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"data": self.server.answer(asked["query"], asked["variables"])}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def dagster(project: Project) -> Iterator[Dagster]:
    with Dagster() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        project.set(SIGNALROOM_WEBSERVER_URL=f"http://127.0.0.1:{server.server_port}/")
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    "name", ["_REPOSITORIES", "_UNFINISHED_RUNS", "_LAUNCH", "_STATUS", "_FINISHED_RUNS"]
)
def test_every_question_is_one_that_this_dagster_understands(name: str) -> None:
    from dagster_graphql.schema import create_schema

    assert validate(create_schema().graphql_schema, parse(getattr(triggers, name))) == []


def test_a_run_is_started_for_the_client_and_says_who_asked(dagster: Dagster) -> None:
    found = trigger_run("everflow", "713", by="webhook")
    assert (found.run_id, found.started) == ("new", True)
    [launched] = dagster.launched
    assert launched["selector"] == {
        "repositoryName": "__repository__",
        "repositoryLocationName": "here",
        "jobName": "everflow",
    }
    assert {tag["key"]: tag["value"] for tag in launched["executionMetadata"]["tags"]} == {
        "dagster/partition": "713",
        "signalroom/trigger": "webhook",
    }
    assert run_status("new") == "SUCCESS"
    with pytest.raises(ConfigurationError, match="has no run gone"):
        run_status("gone")


def test_a_source_that_is_being_loaded_is_not_started_again(dagster: Dagster) -> None:
    dagster.running = "first"
    found = trigger_run("everflow", "713")
    assert (found.run_id, found.status, found.started) == ("first", "STARTED", False)
    assert dagster.launched == []


def test_what_is_wrong_is_said_with_what_to_do(dagster: Dagster, project: Project) -> None:
    with pytest.raises(ConfigurationError, match="has no job 'redtrack'"):
        trigger_run("redtrack", "713")
    dagster.status = 401
    with pytest.raises(
        DagsterUnreachableError, match="answers 401; SIGNALROOM_WEBSERVER_URL is to name"
    ):
        trigger_run("everflow", "713")
    dagster.status = 500
    with pytest.raises(
        DagsterUnreachableError, match="answers 500; its code server or its storage may be down"
    ):
        trigger_run("everflow", "713")
    project.set(SIGNALROOM_WEBSERVER_URL="http://127.0.0.1:9")
    with pytest.raises(DagsterUnreachableError, match="no Dagster answers at http://127.0.0.1:9"):
        trigger_run("everflow", "713")


def test_a_run_of_a_source_counts_as_its_job_however_it_was_started(dagster: Dagster) -> None:
    assert [(run.job, run.client, run.seconds) for run in finished_runs()] == [
        ("everflow", "", 2.5),
        ("daily_ccw_report", "713", 2.5),
    ]
