"""The sandbox's environment: it points every setting at local stand-ins, and the stand-ins are
there.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from signalroom_dagster import config, sections
from signalroom_dagster.loading.pipelines import run_load
from signalroom_dagster.notifications import delivery
from signalroom_dagster.notifications.message import Message
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.sandbox.environment import (
    Environment,
    client_variables,
    in_the_sandbox,
    sandbox_environment,
)
from signalroom_dagster.sandbox.exports import PREFIXES
from signalroom_dagster.sandbox.google_sheets_data import SHEETS
from signalroom_dagster.sandbox.market import MARKETS
from signalroom_dagster.sandbox.object_store import object_store
from signalroom_dagster.sandbox.posthog_data import PROJECTS
from signalroom_dagster.sandbox.shops import SHOPS
from signalroom_dagster.sources.s3_exports.settings import Settings
from signalroom_dagster.warehouse import places
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sandbox.buckets import bucket


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Environment]]:
    folder = tmp_path_factory.mktemp("demo")
    with sandbox_environment(folder) as environment:
        yield folder, environment


@pytest.fixture
def folder(started: tuple[Path, Environment]) -> Path:
    return started[0]


@pytest.fixture
def environment(started: tuple[Path, Environment], monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The sandbox's variables, set in this process."""
    for name, value in started[1].items():
        monkeypatch.setenv(name, value)
    return started[1]


@pytest.mark.parametrize("client_id", ["713", "cti"])
def test_the_settings_of_each_client_are_complete_and_local(
    client_id: str, environment: Environment
) -> None:
    settings = sections.source_settings(Settings, "s3_exports", client_id)
    assert settings.bucket_url == f"s3://sandbox-{client_id}"
    assert settings.prefixes == list(PREFIXES)
    assert settings.endpoint_url
    assert settings.endpoint_url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("client_id", ["713", "cti"])
def test_a_bucket_holds_exactly_the_exports_over_http(
    client_id: str, environment: Environment
) -> None:
    settings = sections.source_settings(Settings, "s3_exports", client_id)
    name = settings.bucket_url.removeprefix("s3://")
    files = S3FileSystem(**settings.storage_options)
    expected = {f"{name}/{key}": content for key, content in bucket(client_id).items()}
    assert sorted(files.find(name)) == sorted(expected)
    last = max(expected)
    assert files.cat_file(last) == expected[last]


def test_everything_it_writes_lies_below_the_folder(folder: Path, environment: Environment) -> None:
    assert config.destination_name() == "duckdb"
    assert config.environment() == "dev"
    assert places.duckdb_path() == folder / "signalroom.duckdb"
    assert config.work_dir() == folder / "work"
    assert environment["DAGSTER_HOME"] == str(folder / "dagster")


def test_messages_go_to_stand_ins_and_nowhere_else(environment: Environment) -> None:
    urls = [
        value
        for name, value in environment.items()
        if name.startswith("NOTIFICATIONS__") and "URL" in name
    ]
    assert [url.startswith("http://127.0.0.1:") for url in urls] == [True] * 3
    message = Message(channel="sms", recipient="+15550100001", text="Spend 12", key="1")
    assert delivery.look_up(message) is None
    assert delivery.send(message) == delivery.look_up(message)


@pytest.fixture
def no_vendors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalroom_dagster.sandbox.environment.STAND_INS", ())


@pytest.mark.usefixtures("no_vendors")
def test_dagster_settings_are_copied_and_refreshed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALROOM_PROJECT_DIR", str(tmp_path))
    copy = tmp_path / ".demo" / "dagster" / "dagster.yaml"
    for text in ("telemetry: {enabled: false}\n", "telemetry: {enabled: true}\n"):
        (tmp_path / "dagster.yaml").write_text(text)
        with sandbox_environment():
            assert copy.read_text() == text


@pytest.mark.usefixtures("no_vendors")
def test_a_project_without_dagster_settings_gets_the_folder_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALROOM_PROJECT_DIR", str(tmp_path))
    with sandbox_environment() as environment:
        assert list(Path(environment["DAGSTER_HOME"]).iterdir()) == []


def test_variables_carry_dlts_names() -> None:
    assert client_variables("everflow", "cti", api_key="x") == {
        "SOURCES__EVERFLOW__CLIENTS__CTI__API_KEY": "x"
    }


def test_without_moto_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moto.server", None)
    with pytest.raises(config.ConfigurationError, match="extra `sandbox`"), object_store():
        pytest.fail("it started all the same")


@pytest.fixture
def _nothing_stays_invented() -> Iterator[None]:
    yield
    for invented in (SHOPS, MARKETS, SHEETS, PROJECTS):
        invented.pop("acme", None)


@pytest.mark.usefixtures("_nothing_stays_invented")
def test_a_client_that_is_new_in_the_registry_has_stand_ins_of_its_own(
    tmp_path: Path, project: Project
) -> None:
    project.add_client("acme")
    project.register("acme", sources=["everflow", "s3_exports"])
    file = project.root / "data" / "clients" / "acme" / "client.toml"
    file.write_text(
        file.read_text().replace("America/New_York", "America/Chicago")
    )  # as in ADDING_A_CLIENT
    with in_the_sandbox(tmp_path / "demo"):
        for source in ("everflow", "s3_exports"):
            run_load(source, get_client("acme"), "first")
        loaded = ask("SELECT count(*) FROM everflow.conversions WHERE _client_id = 'acme'")
        assert loaded[0][0] > 100
        assert (
            ask("SELECT count(*) FROM s3_exports.orders_create WHERE _client_id = 'acme'")[0][0]
            > 1_000
        )
