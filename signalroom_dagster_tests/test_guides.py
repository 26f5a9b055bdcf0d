"""The guides' examples, as they stand in `docs/`, do what the guides say of them."""

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.reports.making import make_report
from signalroom_dagster.sandbox.vendor_server import serve
from signalroom_dagster.sources.slicing import planned, read_slice
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.reports.morning import DAY, create_tables, earned, read
from signalroom_dagster_tests.sources.contexts import context

DOCS = Path(__file__).parents[1] / "docs"


def files_of(guide: str) -> dict[str, str]:
    """The files that a guide shows, by the name above each."""
    text = (DOCS / guide).read_text()
    return {name: body for name, _, body in re.findall(r"`([\w./]+)`:\n\n(```|~~~)\w+\n(.*?)\n\2", text, re.DOTALL)}


def imported(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_source_of_the_guide_reads_its_stand_in(tmp_path: Path, project: Project) -> None:
    found = files_of("ADDING_A_SOURCE.md")
    package = tmp_path / "acme_ads"
    package.mkdir()
    for name in ("__init__.py", "tables.toml"):
        (package / name).write_text(found[name])
    (tmp_path / "stand_in.py").write_text(found["sandbox/acme_ads.py"])
    stand_in = imported(tmp_path / "stand_in.py", "guides_stand_in")
    sys.path.insert(0, str(tmp_path))
    try:
        source = importlib.import_module("acme_ads")
        with serve(stand_in.routes()) as server:
            settings = source.Settings.model_validate(stand_in.settings("713", server.url))
            assert source.probe(settings, "713") == "Sandbox ads"
            now = context(tmp_path)
            [piece] = source._plans(settings, now)["daily_costs"]()
            [told] = planned({"daily_costs": lambda: [piece]}, now)
            slice_ = read_slice(source.TABLES["daily_costs"], piece, now)
    finally:
        sys.path.remove(str(tmp_path))
    assert told.what == "2026-03-01 to 2026-03-07"
    assert (slice_.rows, sum(slice_.totals.values())) == (1, 12.5)


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
    made = make_report(get_client("713"), "advertisers_713", DAY)
    assert "$400.10" in made.rendered.text
