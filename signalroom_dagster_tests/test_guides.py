"""The guides' examples, as they stand in `docs/`, do what the guides say of them."""

import importlib.util
import re
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from signalroom_dagster import sources
from signalroom_dagster.registry import accounts
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.reports.report import make_report
from signalroom_dagster.reports.subscriptions import report_day
from signalroom_dagster.sandbox.vendor_server import serve
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.reports.morning import DAY, create_tables, earned, read

DOCS = Path(__file__).parents[1] / "docs"


def files_of(guide: str) -> dict[str, str]:
    """The files that a guide shows, by the name above each."""
    text = (DOCS / guide).read_text()
    return {
        name: body
        for name, _, body in re.findall(r"`([\w./]+)`:\n\n(```|~~~)\w+\n(.*?)\n\2", text, re.DOTALL)
    }


def imported(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_source_of_the_guide_is_loaded_like_any_other(
    tmp_path: Path, any_warehouse: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = files_of("ADDING_A_SOURCE.md")
    package = tmp_path / "sources" / "acme_ads"
    package.mkdir(parents=True)
    for name in ("__init__.py", "tables.toml"):
        (package / name).write_text(guide[name])
    (tmp_path / "stand_in.py").write_text(guide["sandbox/acme_ads.py"])
    stand_in = imported(tmp_path / "stand_in.py", "guides_stand_in")
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(package.parent)])
    monkeypatch.delitem(sys.modules, "signalroom_dagster.sources.acme_ads", raising=False)
    with serve(stand_in.routes()) as server:
        any_warehouse.add_api_client("713", "acme_ads", **stand_in.settings("713", server.url))
        assert accounts.probe("acme_ads", get_client("713")) == "Sandbox ads"
        load("acme_ads", "713")
    assert ask("SELECT campaign_id, campaign_name, cost FROM acme_ads.daily_costs") == [
        ("1", "Spring", Decimal("12.5"))
    ]
    assert ask("SELECT sum(vendor_total) FROM acme_ads.windows") == [(Decimal("12.5"),)]


def test_the_report_of_the_guide_tells_its_day(project: Project) -> None:
    found = files_of("ADDING_A_REPORT.md")
    folder = project.root / "reports" / "advertisers"
    folder.mkdir(parents=True)
    for name in ("query.sql", "slack.j2", "sms.j2", "email.mjml"):
        (folder / name).write_text(found[name])
    project.add_api_client("713", "everflow")
    with (project.root / "data" / "clients" / "713" / "client.toml").open("a") as file:
        file.write(found["data/clients/713/client.toml"])
    create_tables()
    earned(DAY, "Northwind", 4, "400.10", "300.01")
    read("everflow", DAY, DAY)
    made = make_report(report_day(get_client("713"), "advertisers_713", DAY))
    assert "$400.10" in made.rendered.text
