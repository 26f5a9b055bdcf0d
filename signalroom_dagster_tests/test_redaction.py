"""No secret in logs, in Dagster's event log or in a repr, whoever says it."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import dagster as dg
import pytest
import yaml
from dagster._serdes import serialize_value
from pydantic import SecretStr

from signalroom_dagster import config, logs, redaction, sections
from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.resources import RESOURCES
from signalroom_dagster.notifications import settings as channels
from signalroom_dagster.registry import catalog
from signalroom_dagster.warehouse import places
from signalroom_dagster_tests.projects import Project

KEY = 'key that/nobody "may" see'
AS_WRITTEN = (KEY, quote(KEY, safe=""), json.dumps(KEY)[1:-1])


@pytest.fixture(autouse=True)
def _records_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made = logging.getLogRecordFactory()
    monkeypatch.setattr(redaction, "_known", set[str]())
    yield
    logging.setLogRecordFactory(made)


def leaks(text: str) -> list[str]:
    return [form for form in AS_WRITTEN if form in text]


def test_every_secret_setting_is_closed_in_its_repr_and_known_from_the_moment_it_is_read(
    project: Project,
) -> None:
    shown: list[str] = []
    for source in catalog.source_names():
        model = catalog.source_module(source).Settings
        secrets = {
            key: f"{source}-{key}-of-713"
            for key, field in model.model_fields.items()
            if SecretStr in (field.annotation, *get_args(field.annotation))
        }
        named = ("key", "secret", "key_id", "token", "password", "credentials")
        assert not {key for key in model.model_fields if key.endswith(named)} - set(secrets), source
        project.configure("713", source, **secrets)
        shown.append(repr(sections.unchecked_settings(model, source, "713")))
        with suppress(config.ConfigurationError):  # of what else the source needs
            shown.append(repr(sections.source_settings(model, source, "713")))
        for value in secrets.values():
            assert redaction.redact(f"<{value}>") == "<***>"
    assert "SecretStr" in "".join(shown)
    assert "of-713" not in "".join(shown)
    project.set(NOTIFICATIONS__SLACK__TOKEN="xoxb-slack-token")
    assert "xoxb" not in repr(sections.section_settings(channels.Slack, "notifications", "slack"))
    assert redaction.redact("xoxb-slack-token") == "***"


def test_a_databases_password_is_known_once_its_url_is_read(project: Project) -> None:
    project.use_postgres("postgresql://loader:p%40ss%20word@127.0.0.1:5432/warehouse")
    places.postgres_url()
    assert redaction.redact("p@ss word, p%40ss%20word") == "***, ***"


def test_a_secret_of_the_environment_is_kept_back_before_anybody_reads_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EVENTS__TENANTS__713__TOKEN", KEY)
    monkeypatch.setenv("EVENTS__STORE", "postgresql://gateway:gate-password@127.0.0.1/events")
    logs.guard()
    logs.guard()
    try:
        raise RuntimeError(f"could not send {KEY}") from ConnectionError("gate-password")
    except RuntimeError:
        logging.getLogger("some.library").exception("sent %s to %s", KEY, {"as": KEY})
    logging.getLogger("some.library").error(RuntimeError(f"refused {KEY}"))
    assert not leaks(caplog.text)
    assert "gate-password" not in caplog.text
    assert "sent *** to {'as': " in caplog.text
    assert "refused ***" in caplog.text


def test_short_secrets_do_not_tear_words_apart() -> None:
    redaction.keep_secret("", "a", "abc", "      ")
    assert redaction.redact("abc and a") == "abc and a"


def test_a_line_of_production_is_one_json_object_with_what_it_is_about(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.set(SIGNALROOM_ENV="production", SOME_API_KEY=KEY)
    logs.guard()
    handler = logs.Lines()
    log = logging.Logger("signalroom_dagster.somewhere")
    log.addHandler(handler)
    with logs.about(client="713", source="everflow"), logs.about(run_id="r1"):
        log.warning("asking with %s", KEY, extra={"header": KEY, "rows": 3})
    log.info("after")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first.pop("timestamp")
    assert first == {
        "event": "asking with ***",
        "level": "warning",
        "logger": "signalroom_dagster.somewhere",
        "client": "713",
        "source": "everflow",
        "run_id": "r1",
        "header": "***",
        "rows": 3,
    }
    assert "client" not in second


@pytest.mark.parametrize("environment", ["dev", "production"])
def test_what_a_failing_run_says_of_a_key_reaches_no_event_and_no_log(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    environment: str,
) -> None:
    project.add_api_client("713", "everflow", api_key=KEY)
    project.set(SIGNALROOM_ENV=environment)
    logs.guard()

    def everflow(api_key: str) -> None:
        logging.getLogger("signalroom_dagster.sources.everflow").warning("opening with %s", api_key)
        try:
            raise RuntimeError(f"GET https://vendor.test/?key={AS_WRITTEN[1]}")
        except RuntimeError as error:
            raise ValueError(f"header {api_key}") from error

    monkeypatch.setattr(catalog.source_module("everflow"), "everflow", everflow)
    python_logs = yaml.safe_load((Path(__file__).parent.parent / "dagster.yaml").read_text())[
        "python_logs"
    ]
    with dg.instance_for_test(overrides={"python_logs": python_logs}) as instance:
        defs = dg.Definitions(
            assets=[build_ingest_assets("everflow")],
            resources=RESOURCES,
            executor=dg.in_process_executor,
        )
        job = defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            instance=instance, partition_key="713", raise_on_error=False
        )
        events = "\n".join(serialize_value(entry) for entry in instance.all_logs(result.run_id))
        events += serialize_value(instance.get_run_by_id(result.run_id))
    said = capfd.readouterr().err
    assert not result.success
    for text in (events, said):
        assert not leaks(text)
        assert "opening with ***" in text
        assert "header ***" in text
    if environment == "dev":
        assert not [line for line in said.splitlines() if line.startswith("{")]
    else:
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        told: Mapping[str, Any] = next(
            line for line in lines if line["event"] == "opening with ***"
        )
        assert (told["client"], told["run_id"], told["step"]) == (
            "713",
            result.run_id,
            "load_everflow",
        )
        assert any("header ***" in line.get("error", "") for line in lines)
