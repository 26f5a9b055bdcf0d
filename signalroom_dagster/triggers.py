"""Start a source's run through a running Dagster, over the webserver's GraphQL: for people,
webhooks and scripts.

Needs nothing of Dagster itself, so that a small process can do it. A client's source that is queued
or being loaded is not started a second time: its run is the answer.
https://docs.dagster.io/api/graphql
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from signalroom_dagster.config import ConfigurationError, webserver_url
from signalroom_dagster.errors import SignalRoomError

TIMEOUT_SECONDS = 30.0
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")

_REPOSITORIES = """{ repositoriesOrError { __typename ... on RepositoryConnection {
  nodes { name location { name } jobs { name } } } } }"""
_UNFINISHED_RUNS = """query ($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 1) {
__typename
  ... on Runs { results { runId status } } } }"""
_LAUNCH = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId status } }
  ... on RunConfigValidationInvalid { errors { message } }
  ... on PythonError { message } } }"""
_STATUS = """query ($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } } }"""


_FINISHED_RUNS = """query ($filter: RunsFilter!, $limit: Int!) {
  runsOrError(filter: $filter, limit: $limit) { __typename
  ... on Runs { results { jobName status startTime endTime tags { key value } } } } }"""


class DagsterUnreachableError(SignalRoomError):
    """The webserver does not answer, or not as Dagster does: nothing was started."""


@dataclass(frozen=True, slots=True)
class Triggered:
    """A run that loads the source, and whether this call has started it."""

    run_id: str
    status: str
    started: bool


def trigger_run(
    source: str, client_id: str, *, config: Mapping[str, Any] | None = None, by: str = ""
) -> Triggered:
    """Start the job of a source for a client, unless one is queued or running; `by` says on the run
    who asked.

    Raises ConfigurationError when Dagster knows no such job, or refuses its configuration, and
    DagsterUnreachableError.
    """
    place = _place(source)
    partition = {"key": "dagster/partition", "value": client_id}
    found = _ask(
        _UNFINISHED_RUNS,
        filter={"pipelineName": source, "tags": [partition], "statuses": [*UNFINISHED]},
    )["runsOrError"]
    for run in found.get("results", ()):
        return Triggered(run["runId"], run["status"], started=False)
    asked_by = [{"key": "signalroom/trigger", "value": by}] if by else []
    launched = _ask(
        _LAUNCH,
        params={
            "selector": {**place, "jobName": source},
            "runConfigData": json.dumps(config or {}),
            "executionMetadata": {"tags": [partition, *asked_by]},
        },
    )["launchRun"]
    if launched["__typename"] != "LaunchRunSuccess":
        said = (
            "; ".join(error["message"] for error in launched.get("errors", ()))
            or launched["__typename"]
        )
        raise ConfigurationError(
            f"client {client_id}, source {source}: Dagster does not start the run: {said}"
        )
    return Triggered(launched["run"]["runId"], launched["run"]["status"], started=True)


def run_status(run_id: str) -> str:
    """Dagster's word for how a run stands: QUEUED, STARTED, SUCCESS, FAILURE, CANCELED …

    Raises DagsterUnreachableError, and ConfigurationError when Dagster does not know the run, as
    after its deletion.
    """
    found = _ask(_STATUS, id=run_id)["runOrError"]
    if "status" not in found:
        raise ConfigurationError(
            f"the Dagster at {webserver_url()} has no run {run_id}: was it deleted?"
        )
    return str(found["status"])


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that has ended: its job, its client if it has one, how it ended (SUCCESS, FAILURE,
    CANCELED), seconds.

    One that loads a source counts as the source's job, also when it was started from assets.
    """

    job: str
    client: str
    status: str
    seconds: float


def finished_runs(limit: int = 500) -> Sequence[FinishedRun]:
    """The latest runs that have ended, newest first. Raises DagsterUnreachableError."""
    found = _ask(_FINISHED_RUNS, filter={"statuses": [*ENDED]}, limit=limit)["runsOrError"]
    return [_finished(run) for run in found.get("results", ())]


def _finished(run: Mapping[str, Any]) -> FinishedRun:
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    seconds = (run["endTime"] or 0.0) - (run["startTime"] or run["endTime"] or 0.0)
    job = tags.get("signalroom/account", "").partition(":")[0] or run["jobName"]
    return FinishedRun(job, tags.get("dagster/partition", ""), run["status"], seconds)


def _place(job: str) -> Mapping[str, str]:
    """The code location and repository that has a job."""
    found = _ask(_REPOSITORIES)["repositoriesOrError"]
    for repository in found.get("nodes", ()):
        if job in {each["name"] for each in repository["jobs"]}:
            return {
                "repositoryName": repository["name"],
                "repositoryLocationName": repository["location"]["name"],
            }
    raise ConfigurationError(
        f"the Dagster at {webserver_url()} has no job {job!r}: is its code location loaded?"
    )


def _ask(query: str, **variables: Any) -> Mapping[str, Any]:
    """One GraphQL request. Raises DagsterUnreachableError, without what the server said: it may be
    anybody's.
    """
    url = webserver_url()
    try:
        answer = httpx.post(
            f"{url}/graphql", json={"query": query, "variables": variables}, timeout=TIMEOUT_SECONDS
        )
        answer.raise_for_status()
        data = answer.json().get("data")
    except httpx.HTTPStatusError as error:
        what = (
            "its code server or its storage may be down or starting: try again, and look at their"
            " logs"
            if error.response.is_server_error
            else (
                "SIGNALROOM_WEBSERVER_URL is to name the webserver itself, not the proxy in front"
                " of it"
            )
        )
        raise DagsterUnreachableError(
            f"the Dagster at {url} answers {error.response.status_code}; {what}"
        ) from None
    except (httpx.HTTPError, ValueError) as error:
        raise DagsterUnreachableError(
            f"no Dagster answers at {url} ({type(error).__name__}); start it, or set"
            " SIGNALROOM_WEBSERVER_URL"
        ) from None
    if not data:
        raise DagsterUnreachableError(
            f"the Dagster at {url} does not understand the request: another version?"
        )
    return data
