"""Feature flags and experiments: whole, with what the lists leave out, and each client's own."""

import json

import pytest

from signalroom_dagster.sandbox import posthog
from signalroom_dagster.sandbox.posthog_data import PosthogProject, experiment_row, flag_row
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.posthog.projects import add_project, failed_read

FLAGS = "SELECT id, key FROM posthog.feature_flags WHERE _client_id = %s ORDER BY id"


def test_flags_come_from_every_page_though_next_names_a_host_inside(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.flags += [flag_row(number, f"flag-{number}") for number in range(1, 152)]
    add_project(any_warehouse, vendor, at)
    load("posthog", "713", "feature_flags")
    assert len(ask(FLAGS, "713")) == 151
    assert [request.query.get("offset") for request in vendor.asked("/feature_flags/")] == [
        None,
        "100",
    ]
    assert ask(
        "SELECT active, rollout_percentage, created_by_id FROM posthog.feature_flags WHERE id = 151"
    ) == [(True, 50, 5)]


def test_a_deleted_flag_vanishes_and_the_other_clients_flag_of_that_id_stays(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject, other: PosthogProject
) -> None:
    at.flags.append(flag_row(1, "ours"))
    other.flags.append(flag_row(1, "theirs"))
    add_project(any_warehouse, vendor, at)
    add_project(any_warehouse, vendor, other, "cti")
    for client_id in ("713", "cti"):
        load("posthog", client_id, "feature_flags")
    assert (ask(FLAGS, "713"), ask(FLAGS, "cti")) == ([(1, "ours")], [(1, "theirs")])
    at.flags[0]["deleted"] = True
    load("posthog", "713", "feature_flags")
    assert (ask(FLAGS, "713"), ask(FLAGS, "cti")) == ([], [(1, "theirs")])
    windows = (
        "SELECT rows, vendor_total FROM posthog.windows WHERE resource = 'feature_flags' ORDER BY"
        " _client_id"
    )
    assert ask(windows) == [(0, 0), (1, 1)]


def test_experiments_have_what_the_list_leaves_out_archived_ones_too(
    any_warehouse: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.experiments += [
        experiment_row(1, "one"),
        experiment_row(2, "two", archived=True),
        experiment_row(3, "three"),
    ]
    at.largest_page = 1
    add_project(any_warehouse, vendor, at)
    load("posthog", "713", "experiments")
    rows = ask(
        "SELECT id, name, archived, feature_flag_id, metrics FROM posthog.experiments ORDER BY id"
    )
    assert [row[:4] for row in rows] == [
        (1, "one", False, 1),
        (2, "two", True, 1),
        (3, "three", False, 1),
    ]
    metrics = rows[0][4]
    assert (json.loads(metrics) if isinstance(metrics, str) else metrics)[0][
        "metric_type"
    ] == "mean"
    at.experiments[0]["deleted"] = True
    load("posthog", "713", "experiments")
    assert ask("SELECT id FROM posthog.experiments ORDER BY id") == [(2,), (3,)]


def test_an_experiment_that_is_archived_between_the_lists_is_loaded_once(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.experiments.append(experiment_row(1, "one"))
    add_project(project, vendor, at)
    listed = {"count": 1, "next": None, "results": [{"id": 1}]}
    vendor.fail(r"/experiments/$", status=200, body=json.dumps(listed), times=2)
    load("posthog", "713", "experiments")
    assert ask("SELECT id FROM posthog.experiments") == [(1,)]


def test_an_experiment_deleted_since_it_was_listed_is_left_out(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.experiments += [experiment_row(1, "one"), experiment_row(2, "two")]
    add_project(project, vendor, at)
    vendor.fail(
        r"/experiments/1/$", status=404, body='{"code": "not_found", "detail": "Not found."}'
    )
    load("posthog", "713", "experiments")
    assert ask("SELECT id FROM posthog.experiments") == [(2,)]
    assert ask("SELECT rows, vendor_total FROM posthog.windows") == [(1, 1)]


def test_nobody_who_made_something_is_named(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    at.flags.append(flag_row(1, "one"))
    at.experiments.append(experiment_row(1, "one"))
    add_project(project, vendor, at)
    load("posthog", "713", "feature_flags", "experiments")
    stored = ask("SELECT * FROM posthog.feature_flags") + ask("SELECT * FROM posthog.experiments")
    assert "maker@example.test" not in str(stored)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ({"count": 2, "next": None, "results": [{"id": 1}]}, "gives 1 rows and counts 2"),
        (
            {"count": 2, "next": f"{posthog.INSIDE}/x/?limit=100", "results": [{"id": 1}]},
            "already given",
        ),
    ],
    ids=["short", "circle"],
)
def test_a_list_that_is_not_whole_is_an_error(
    project: Project, vendor: VendorServer, at: PosthogProject, page: object, said: str
) -> None:
    add_project(project, vendor, at)
    vendor.fail("/feature_flags/", status=200, body=json.dumps(page), times=2)
    error = failed_read(project, "feature_flags")
    assert isinstance(error, VendorDataError)
    assert said in str(error)


@pytest.mark.parametrize(
    "page", [{}, {"detail": "soon"}, {"results": None}, {"results": [{"key": "a"}]}]
)
def test_an_answer_that_is_no_list_does_not_empty_the_table(
    project: Project, vendor: VendorServer, at: PosthogProject, page: object
) -> None:
    at.flags.append(flag_row(1, "ours"))
    add_project(project, vendor, at)
    load("posthog", "713", "feature_flags")
    vendor.fail("/feature_flags/", status=200, body=json.dumps(page))
    with pytest.raises(
        VendorDataError,
        match="client 713, source posthog.*(is not a list of rows|only 0 of 1 rows)",
    ):
        load("posthog", "713", "feature_flags")
    assert ask(FLAGS, "713") == [(1, "ours")]


def test_a_list_that_this_run_has_committed_is_not_read_again(
    project: Project, vendor: VendorServer, at: PosthogProject
) -> None:
    add_project(project, vendor, at)
    load("posthog", "713", "feature_flags", "experiments", run_id="one run")
    asked = len(vendor.requests)
    load("posthog", "713", "feature_flags", "experiments", run_id="one run")
    assert len(vendor.requests) == asked
