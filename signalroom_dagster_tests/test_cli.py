"""The `signalroom` command as a person meets it."""

import json
import os
import subprocess
import sys
import traceback
from importlib.metadata import version
from pathlib import Path

import pytest
from dlt.common.exceptions import DltException
from typer.testing import CliRunner

from signalroom_dagster import cli
from signalroom_dagster.alerts import telling
from signalroom_dagster.alerts.incidents import Failure
from signalroom_dagster.commands import terminal
from signalroom_dagster.loading import pipelines
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.sandbox import everflow
from signalroom_dagster.sandbox.everflow_data import EverflowNetwork
from signalroom_dagster.sandbox.vendor_server import serve
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project, orders, write_export

FILE = "orders-create/report_2026-03-01.csv"


def signalroom(*arguments: str) -> tuple[int, str]:
    """Exit code and output of one command, run in this process."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(
        cli.app, list(arguments), catch_exceptions=True
    )
    said = result.output + (f"{result.exception}" if result.exception else "")
    return result.exit_code, said


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.out, "_width", 200)


def test_a_dry_run_lists_what_would_be_loaded_and_why_then_run_loads_it(project: Project) -> None:
    write_export(project.add_client("713") / FILE, orders([1, 2]))
    code, said = signalroom("run", "s3_exports", "--client", "713", "--dry-run")
    assert code == 0
    assert FILE in said and "new" in said
    assert signalroom("run", "s3_exports", "--client", "713")[0] == 0
    code, said = signalroom("run", "--all", "--client", "713", "--dry-run")
    assert "nothing to load" in said
    code, said = signalroom("clients")
    assert code == 0
    assert "713" in said and " 2 " in said and "2026" in said


def test_a_dry_run_and_doctor_tell_what_lies_among_the_exports_and_is_none(
    project: Project,
) -> None:
    bucket = project.add_client("713")
    write_export(bucket / FILE, orders([1]))
    (bucket / "orders-create" / "march.zip").write_bytes(b"x")
    told = "orders-create/march.zip is passed over: its name ends neither in .csv nor in .csv.gz"
    _, said = signalroom("run", "s3_exports", "--client", "713", "--dry-run")
    assert FILE in said and "orders-create/march.zip" in said and "is passed over" in said
    assert signalroom("run", "s3_exports", "--client", "713")[0] == 0
    _, said = signalroom("run", "s3_exports", "--client", "713", "--dry-run")
    assert "nothing to load" in said and "would pass over" in said and FILE not in said
    code, said = signalroom("doctor")
    assert code == 0
    assert "orders_create (files: 1; passed over: 1 .zip)" in said
    assert told in " ".join(said.split())


def test_one_resource_can_be_chosen_and_a_wrong_one_is_named(project: Project) -> None:
    project.add_client("713")
    code, said = signalroom("run", "s3_exports", "--client", "713", "-r", "orders_creat")
    assert code == 1
    assert "no resource orders_creat (there are: orders_create, files, rejected_rows)" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "s3_exports"], "say which client: --client 713"),
        (
            ["run", "s3_exports", "--client", "714"],
            "no client '714' in data/clients/ (there are: 713)",
        ),
        (["run", "--client", "713"], "name one source, or give --all"),
        (["run", "s3", "--client", "713"], "no source 's3' (there are: "),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(
    project: Project, arguments: list[str], expected: str
) -> None:
    project.add_client("713")
    code, said = signalroom(*arguments)
    assert code == 1
    assert expected in said


def test_doctor_names_what_is_missing_and_a_planned_client_does_not_block(project: Project) -> None:
    project.add_client("713")
    project.add_client("cti", status="planned")
    project.configure("cti", BUCKET_URL="s3://cti")
    code, said = signalroom("doctor", "--create")
    assert code == 0
    assert "713/s3_exports: reachable: orders_create" in said
    assert "SOURCES__S3_EXPORTS__CLIENTS__CTI" in said
    assert "every declared table exists" in said
    project.configure("713", BUCKET_URL="s3://713")
    code, said = signalroom("doctor", "--client", "713")
    assert code == 1
    assert "aws_access_key_id is missing" in said


def test_doctor_names_settings_that_nothing_reads_and_no_value(project: Project) -> None:
    project.add_client("713")
    settings = project.root / ".dlt"
    (settings / "secrets.toml").write_text(
        "[sources.everflow]\napi_key = 'hidden'\nlookback_dayz = 3\n[sources.evrflow]\nx ="
        " 1\n[sources.everflow.schedules]\nhourly = '15 7 * *"
        " *'\n[sources.s3_exports]\nfresh_within ="
        " '26h'\n[sources.s3_exports.clients.713]\nhash_keey ="
        " 'hidden'\n[sources.s3_exports.clients.714]\n"
    )
    project.set(
        SOURCES__EVERFLOW__CLIENTS__713__API_KEEY="hidden", SOURCES__EVERFLOW__LOOKBACK_DAYS="3"
    )
    code, said = signalroom("doctor")
    said = " ".join(said.split())
    assert code == 0
    assert "environment [sources.everflow.clients.713]: api_keey is not read" in said
    assert "secrets.toml [sources.everflow]: api_key is a client's own" in said
    assert (
        "[sources.everflow]: lookback_dayz is not read; there are: base_url, clicks_kept_days"
        in said
    )
    assert "[sources.evrflow]: there is no source evrflow" in said
    assert "[sources.s3_exports.clients.713]: hash_keey is not read" in said
    assert "[sources.s3_exports.clients.714]: there is no client 714 (there are: 713)" in said
    assert said.endswith("2 ok, 6 warn")
    assert "hidden" not in said


def test_doctor_reads_the_reports_and_the_contract_of_planned_clients_too(project: Project) -> None:
    broken = """
[[reports]]
name = "morning"
template = "daily_perf"
[[reports]]
name = "evening"
template = "test_sync"
schedule = "0 77 * * *"
[analysis]
required = []
"""
    project.add_client("713", status="planned")
    file = project.root / "data/clients/713/client.toml"
    sound = '[[reports]]\nname = "weekly"\ntemplate = "test_sync"\n'
    file.write_text(f"{(plain := file.read_text())}\n{sound}")
    code, said = signalroom("doctor")
    assert code == 0 and "ok  713/reports: weekly" in said
    file.write_text(f"{plain}\n{broken}")
    code, said = signalroom("doctor")
    assert code == 1
    for expected in (
        "reports.0.template: no report template",
        "reports.1.schedule",
        "[analysis] required",
    ):
        assert f"data/clients/713/client.toml: {expected}" in said


def test_commands_for_one_client_do_not_mind_the_mistake_of_another(project: Project) -> None:
    write_export(project.add_client("713") / FILE, orders([1, 2]))
    project.add_client("cti")
    file = project.root / "data/clients/cti/client.toml"
    file.write_text(file.read_text().replace("New_York", "New_Yrok"))
    assert signalroom("run", "--all", "--client", "713")[0] == 0
    assert signalroom("doctor", "--client", "713")[0] == 0
    for command in (["run", "--all"], ["doctor"], ["report", "weekly"]):
        code, said = signalroom(*command, "--client", "cti")
        assert (code, "cti/client.toml: timezone: not a time zone name" in said) == (1, True)
    code, said = signalroom("doctor")
    assert (code, "FAIL  cti/client cti: " in said) == (1, True)
    code, said = signalroom("clients")
    assert (code, "set aside: " in said) == (0, True)


def test_clients_are_listed_before_anything_was_loaded(project: Project) -> None:
    project.add_client("713")
    code, said = signalroom("clients")
    assert code == 0
    assert "never" in said


def test_errors_are_one_line_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "signalroom_dagster.cli", "run", "s3_exports", "--client", "nobody"],
        env={**os.environ, "COLUMNS": "80"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "signalroom: no client 'nobody' in data/clients/ (there are: 713, cti)"
    ]


@pytest.mark.slow
def test_the_demo_flag_works_on_the_sandbox_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "signalroom_dagster.cli", "--demo", "doctor"],
        env={**os.environ, "COLUMNS": "120"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "713/s3_exports: reachable" in done.stdout
    assert "cti/s3_exports: reachable" in done.stdout


def test_a_client_that_fails_does_not_keep_the_others_from_a_backfill(project: Project) -> None:
    with serve(everflow.routes([EverflowNetwork(key="good")])) as vendor:
        for client_id, key in (("713", "bad"), ("cti", "good")):
            project.add_api_client(
                client_id,
                "everflow",
                api_key=key,
                base_url=f"{vendor.url}/everflow",
                start_date="2026-03-01",
                end_date="2026-03-02",
                conversions_kept_days="10000",
            )
        code, said = signalroom(
            "backfill", "everflow", "--all", "--since", "2026-03-01", "--until", "2026-03-02"
        )
    assert code == 1
    assert "SOURCES__EVERFLOW__CLIENTS__713__API_KEY" in said
    assert "everflow of client cti is read from 2026-03-01 to 2026-03-02" in said


def test_a_backfill_says_what_it_takes_and_what_reads_it_and_makes_the_models_anew(
    project: Project,
) -> None:
    with serve([*everflow.routes([EverflowNetwork(key="good")])]) as vendor:
        project.add_api_client(
            "713",
            "everflow",
            api_key="good",
            base_url=f"{vendor.url}/everflow",
            conversions_kept_days="10000",
            requests_per_minute="30",
        )
        project.add_api_client("713", "affiliate_mapping")
        entry = project.root / "data" / "clients" / "713" / "client.toml"
        entry.write_text(
            entry.read_text() + '[[reports]]\nname = "morning"\ntemplate = "daily_performance"\n'
        )
        arguments = (
            "backfill",
            "everflow",
            "--client",
            "713",
            "--since",
            "2026-03-01",
            "--until",
            "2026-03-02",
        )
        code, said = signalroom(*arguments)
        assert code == 0
        # a stretch of daily_stats with its totals, conversions of two days, three lists; clicks are
        # kept no more
        assert "6 pieces of advertisers, affiliates, conversions, daily_stats, offers" in said
        assert "at least 7 requests, 0.2 minutes at 30 a minute" in said
        assert "reports that read it: morning" in said
        assert "made anew: public.daily_performance" in said
        code, said = signalroom(*arguments)
    assert code == 0 and "all of it has been read today; --again reads it once more" in said


def test_status_tells_age_and_what_is_broken(project: Project) -> None:
    with serve(everflow.routes([EverflowNetwork(key="good")])) as vendor:
        project.add_api_client(
            "713",
            "everflow",
            api_key="good",
            base_url=f"{vendor.url}/everflow",
            start_date="2026-03-01",
            end_date="2026-03-02",
            conversions_kept_days="10000",
        )
        assert signalroom("run", "everflow", "--client", "713")[0] == 0
    failure = Failure(
        kind="source", subject="redtrack", client="713", error="VendorError", run="r1"
    )
    telling.incidents().note(failure)
    code, said = signalroom("status")
    assert code == 0
    [line] = [line for line in said.splitlines() if "everflow" in line]
    assert "0 min ago" in line and "2026-03-0" in line
    assert (
        "open incidents: 1" in said and "redtrack of client 713: VendorError, 1 times since" in said
    )


def test_an_error_that_is_no_persons_fault_ends_with_a_traceback_and_not_in_a_circle(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        try:
            raise ValueError("the root")
        except ValueError as root:
            raise DltException("a wrapper") from root

    monkeypatch.setattr(pipelines, "run_load", broken)
    project.add_client("713")
    with pytest.raises(ValueError, match="the root") as raised:
        pipelines.run_with_retries("s3_exports", get_client("713"), "run")
    assert raised.value.__cause__ is None
    assert "the root" in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["backfill", "evrflow", "--all", "--since", "2026-03-01", "--until", "2026-03-02"],
            "no source 'evrflow'",
        ),
        (
            ["run", "s3_exports", "--client", "713", "--since", "2026-03-01", "--dry-run"],
            "is not read by day",
        ),
        (
            [
                "run",
                "s3_exports",
                "--client",
                "713",
                "--since",
                "2026-03-02",
                "--until",
                "2026-03-01",
            ],
            "are none",
        ),
        (
            ["run", "--all", "--client", "713", "-r", "orders_create"],
            "--resource goes with one source",
        ),
        (
            ["run", "everflow", "--client", "713", "--since", "2999-01-01"],
            "--since 2999-01-01 is still to come",
        ),
        (
            [
                "backfill",
                "everflow",
                "--client",
                "713",
                "--since",
                "2999-01-01",
                "--until",
                "2999-01-02",
            ],
            "still to come",
        ),
        (["report", "morning", "--client", "713", "--resend"], "--resend goes with --send"),
        (["events", "send", "--client", "714"], "no client '714'"),
        (["events", "send", "--client", "713"], "client 713 has no [analysis] section"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    project: Project, arguments: list[str], expected: str
) -> None:
    project.add_client("713")
    code, said = signalroom(*arguments)
    assert code == 1
    assert expected in said


def _add_everflow(project: Project, url: str) -> None:
    project.add_api_client(
        "713",
        "everflow",
        api_key="good",
        base_url=f"{url}/everflow",
        start_date="2026-03-01",
        end_date="2026-03-02",
        conversions_kept_days="10000",
        clicks_kept_days="10000",
    )


def test_a_source_that_fails_keeps_no_other_from_being_loaded_and_modelled(
    project: Project,
) -> None:
    bucket = project.add_client("713", prefixes=("orders-create", "orders-update"))
    write_export(bucket / FILE, orders([1, 2]))
    project.register("713", sources=["everflow", "s3_exports", "redtrack"])
    project.configure("713", "redtrack", api_key="", base_url="http://127.0.0.1:9")
    code, said = signalroom("run", "--all", "--client", "713")
    assert code == 1
    assert "client 713, source everflow: [sources.everflow.clients.713] api_key is missing" in said
    assert "made anew: " in said and "public.orders_by_state" in said
    assert "3 sources of client 713 tried; failed: everflow, redtrack" in said
    assert ask("SELECT count(*) FROM public.orders WHERE _client_id = '713'") == [(2,)]


def test_the_tables_of_a_source_that_loaded_are_modelled_although_one_of_them_failed(
    project: Project,
) -> None:
    with serve(everflow.routes([EverflowNetwork(key="good")])) as vendor:
        _add_everflow(project, vendor.url)
        vendor.fail("/clicks/stream", times=100, status=403)
        code, said = signalroom("run", "everflow", "--client", "713")
    assert code == 1
    assert "made anew: public.daily_performance" in said


def test_what_is_listed_can_be_read_by_another_program(project: Project) -> None:
    write_export(project.add_client("713") / FILE, orders([1, 2]))
    assert signalroom("run", "s3_exports", "--client", "713")[0] == 0
    listed, stood = (
        json.loads(signalroom("clients", "--json")[1]),
        json.loads(signalroom("status", "--json")[1]),
    )
    assert [(item["client"], item["source"], item["rows"]) for item in listed] == [
        ("713", "s3_exports", 2)
    ]
    assert [(item["source"], item["rows"]) for item in stood["sources"]] == [("s3_exports", 2)]
    assert stood["incidents"] == []


def test_a_quote_says_what_a_backfill_takes_and_reads_nothing(project: Project) -> None:
    with serve(everflow.routes([EverflowNetwork(key="good")])) as vendor:
        _add_everflow(project, vendor.url)
        days = ("--since", "2026-03-01", "--until", "2026-03-02")
        code, said = signalroom(
            "backfill", "everflow", "--client", "713", *days, "--quote", "--json"
        )
        assert code == 0
        assert {"clicks", "conversions", "daily_stats"} < set(json.loads(said)["tables"])
        assert vendor.asked("/conversions") == []


def test_an_error_that_is_not_ours_is_one_line_unless_its_traceback_is_asked_for(
    project: Project,
) -> None:
    project.add_client("713")
    project.configure(
        "713",
        BUCKET_URL="s3://bucket",
        ENDPOINT_URL="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="x",
        AWS_SECRET_ACCESS_KEY="y",
    )
    shown = {}
    for options in ((), ("--verbose",)):
        command = [
            sys.executable,
            "-m",
            "signalroom_dagster.cli",
            *options,
            "run",
            "s3_exports",
            "--client",
            "713",
            "--dry-run",
        ]
        environment = project.process_environment(COLUMNS="80")
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        shown[options] = done.stderr.strip().splitlines()
    assert len(shown[()]) == 1
    assert len(shown[("--verbose",)]) > 5


def test_the_version_is_told() -> None:
    assert signalroom("--version") == (0, f"signalroom {version('signalroom')}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["clients"],
        ["clients", "--json"],
        ["status"],
        ["doctor"],
        ["run", "--all", "--client", "713"],
        ["models", "build", "--check"],
        ["models", "build", "--all"],
        ["mappings", "load", "--all"],
        ["backfill", "everflow", "--all", "--since", "2026-03-01", "--until", "2026-03-02"],
        ["report", "daily", "--client", "713"],
        ["trigger", "s3_exports", "--client", "713"],
        ["roles", "--sql"],
        ["events", "status"],
    ],
    ids=" ".join,
)
def test_a_project_folder_that_is_not_there_is_one_sentence_for_every_command(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    monkeypatch.setenv("SIGNALROOM_PROJECT_DIR", "/nowhere/at-all")
    monkeypatch.setattr(sys, "argv", ["signalroom", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (1, "")
    assert said.err.startswith(
        "signalroom: SIGNALROOM_PROJECT_DIR is /nowhere/at-all, which is no folder"
    )
    assert said.err.count("\n") == 1


def test_a_project_without_clients_says_so_in_place_of_an_empty_table(project: Project) -> None:
    code, said = signalroom("clients")
    assert code == 0
    assert f"no client yet: each is a file {project.root}/data/clients/<id>/client.toml" in said


def test_files_that_are_left_out_are_told_by_run_status_and_doctor(project: Project) -> None:
    bucket = project.add_client("713")
    write_export(bucket / FILE, orders([1]))
    (bucket / "orders-create" / "report_2026-03-02.csv").write_bytes(
        b"PK\x03\x04 no csv at all \x00\x01"
    )
    (bucket / "orders-create" / "march.zip").write_bytes(b"x")
    told = (
        "client 713, s3_exports: files 1 quarantined, 1 skipped: SELECT _file_name, status,"
        " rows_rejected, reason FROM"
    )
    code, said = signalroom("run", "--all", "--client", "713")
    assert code == 0 and told in said
    assert told in signalroom("status")[1]
    [left_out] = json.loads(signalroom("status", "--json")[1])["files_left_out"]
    assert (left_out["client"], left_out["quarantined"], left_out["skipped"]) == ("713", 1, 1)
    assert (
        "files that were set aside unread (quarantined): 1, such as"
        " orders-create/report_2026-03-02.csv" in (signalroom("doctor")[1])
    )
