"""Any dlt source from the command line: what a load would do, days again, and what is there."""

import sys

import pytest

from signalroom_dagster.commands import terminal
from signalroom_dagster_tests import test_cli
from signalroom_dagster_tests.loading.test_native_examples import example
from signalroom_dagster_tests.loads import ask
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.test_guides import files_of

KEY = "key-that-nobody-may-see"


def signalroom(*arguments: str) -> tuple[int, str]:
    code, said = test_cli.signalroom(*arguments)
    return code, " ".join(said.split())


@pytest.fixture
def weather(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(terminal.out, "_width", 200)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "weather", raising=False)
    project.add_settings(example("A source of your own, or of a package"))
    file = project.root / "weather" / "__init__.py"
    file.parent.mkdir()
    file.write_text(files_of("SOURCE_EXAMPLES.md")["weather/__init__.py"])
    project.add_api_client("acme", "weather", api_key=KEY)
    return project


def test_it_is_previewed_loaded_read_again_by_day_and_listed(weather: Project) -> None:
    code, said = signalroom("run", "weather", "--client", "acme", "--dry-run")
    assert code == 0 and "all of it" in said and "write disposition merge" in said
    assert signalroom("run", "weather", "--client", "acme")[0] == 0
    days = ("--since", "2026-01-01", "--until", "2026-01-31")
    code, said = signalroom("backfill", "weather", "--client", "acme", *days)
    assert code == 0 and "1 pieces of days" in said
    assert ask("SELECT count(*) FROM weather.days") == [(4,)]
    code, said = signalroom("status")
    assert code == 0 and "weather" in said and "fresh" in said
    code, said = signalroom("clients")
    assert code == 0 and "weather 1 2 " in said


def test_doctor_opens_it_and_names_what_is_wrong(weather: Project) -> None:
    for _ in range(2):
        code, said = signalroom("doctor", "--create")
        assert "acme/weather: reachable: weather:weather gives days" in said
        assert KEY not in said
        assert signalroom("run", "weather", "--client", "acme")[0] == 0
    assert ask("SELECT count(*) FROM weather.days") == [(2,)]
    weather.set(SOURCES__WEATHER__RESOURCES='["hours"]')
    code, said = signalroom("doctor")
    assert code == 1
    assert "has no resource hours (there are: days): mend `resources` in [sources.weather]" in said


def test_days_of_a_source_that_takes_none_are_refused(weather: Project) -> None:
    weather.set(SOURCES__WEATHER__DLT_SOURCE="weather:weather")
    text = example("A source of your own, or of a package").replace("days = {", "# days = {")
    config = weather.root / ".dlt" / "config.toml"
    config.write_text(text)
    code, said = signalroom(
        "backfill", "weather", "--client", "acme", "--since", "2026-01-01", "--until", "2026-01-02"
    )
    assert code == 1 and "is not read by day" in said
