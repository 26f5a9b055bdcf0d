"""What people wrote and cannot be read is set aside by name; everything beside it goes on."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from signalroom_dagster import cli, sources
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.declarations import problems, set_aside
from signalroom_dagster.defs.assets.building import build_assets
from signalroom_dagster.defs.schedules import build_schedules
from signalroom_dagster.events.contracts import load_contracts
from signalroom_dagster.modeling import sql
from signalroom_dagster.modeling.sql import models, refused_models
from signalroom_dagster.registry import accounts, catalog, source_folders
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.reports.subscriptions import subscribers
from signalroom_dagster_tests.projects import Project

REPORT = '[[reports]]\nname = "weekly"\ntemplate = "test_sync"\n'


@pytest.fixture
def agency(project: Project) -> Project:
    """An active client with a report, and a planned one beside it."""
    project.add_client("713")
    project.add_client("cti", status="planned")
    write(project, "713", REPORT)
    return project


def client_file(project: Project, client: str) -> Path:
    return project.root / "data" / "clients" / client / "client.toml"


def write(project: Project, client: str, text: str, instead_of: str = "") -> None:
    file = client_file(project, client)
    file.write_text(
        file.read_text().replace(instead_of, text) if instead_of else f"{file.read_text()}\n{text}"
    )


def subjects() -> list[tuple[str, str]]:
    return [(item.client, item.subject) for item in set_aside()]


@pytest.mark.parametrize(
    ("text", "instead_of", "subject"),
    [
        ('"America/New_Yrok"', '"America/New_York"', "client cti"),
        ('"planed"', '"planned"', "client cti"),
        ("name = ", 'name = "cti"', "client cti"),
        ('name = "cti"\nname = "cti"', 'name = "cti"', "client cti"),
        ('["s3_exports", "evrflow"]', '["s3_exports"]', "source evrflow"),
        ('"s3_exports"', '["s3_exports"]', "client cti"),
        (REPORT.replace("test_sync", "test_snyc"), "", "report weekly"),
        (REPORT + 'schedule = "0 25 * * *"\n', "", "report weekly"),
        (REPORT + "params = { advertiser = 1 }\n", "", "report weekly"),
        (REPORT + "params = 5\n", "", "report weekly"),
        (REPORT.replace('"weekly"', "5"), "", "report 5"),
        ("[reports]\nname = 'x'\n", "", "client cti"),
        ("[analysis]\nrequired = []\n", "", "analysis"),
        ('notify_on_success = ["x"]\n\nname = "cti"', 'name = "cti"', "notify_on_success"),
    ],
)
def test_a_planned_clients_mistake_costs_that_client_alone(
    agency: Project, text: str, instead_of: str, subject: str
) -> None:
    write(agency, "cti", text, instead_of)
    assert subjects() == [("cti", subject)]
    assert [*subscribers()] == ["weekly"]
    assert {spec.key.path[0] for asset in build_assets() for spec in asset.specs} >= {
        "s3_exports",
        "reports",
        "public",
    }


def test_a_client_that_cannot_be_read_is_mended_without_a_restart(agency: Project) -> None:
    sound = client_file(agency, "713").read_text()
    client_file(agency, "713").write_text("name = ")
    assert subjects() == [("713", "client 713")]
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        get_client("713")
    assert get_client("cti").id == "cti"
    client_file(agency, "713").write_text(sound)
    assert subjects() == []


@pytest.mark.parametrize(
    "settings",
    [
        {"SOURCES__S3_EXPORTS__CLIENTS__CTI__PREFIXES": "[5, {}, []]"},
        {"SOURCES__S3_EXPORTS__CLIENTS__CTI__PREFIXES": '{"a": 1}'},
        {"SOURCES__S3_EXPORTS__CLIENTS__CTI__PREFIXES": '["files"]'},
        {"SOURCES__S3_EXPORTS__CLIENTS__CTI__COLUMNS": '{"email": "burn"}'},
        {"SOURCES__S3_EXPORTS__CLIENTS__CTI__FRESH_WITHIN": "soon"},
    ],
)
def test_wrong_settings_of_one_client_are_told_and_the_other_keeps_its_tables(
    agency: Project, settings: dict[str, str]
) -> None:
    agency.set(**settings)
    assert subjects() == [("cti", "source s3_exports")]
    assert "orders_create" in catalog.table_facts("s3_exports")


def test_what_a_client_has_not_configured_yet_is_no_mistake(agency: Project) -> None:
    agency.register(
        "cti",
        sources=["s3_exports", "everflow", "google_sheets", "affiliate_mapping"],
        status="planned",
    )
    assert subjects() == []


def test_settings_that_a_source_cannot_make_tables_of_cost_their_client_alone(
    agency: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = catalog.source_module("s3_exports")
    file_tables = module.file_tables

    def brittle(configured: Iterable[Any], **how: bool) -> Any:
        known = list(configured)
        if any("buckets/cti" in settings.bucket_url for settings in known):
            raise TypeError("a value that may be a secret")
        return file_tables(known, **how)

    monkeypatch.setattr(module, "file_tables", brittle)
    assert [item.problem for item in set_aside()] == ["its settings cannot be read (TypeError)"]
    assert "orders_create" in catalog.table_facts("s3_exports")


def test_a_planned_client_that_shares_a_prefix_does_not_stop_the_active_one(
    agency: Project,
) -> None:
    agency.configure("cti", BUCKET_URL=f"file://{agency.root}/buckets/713")
    assert accounts.settings_for("s3_exports", get_client("713"))
    assert subjects() == [("cti", "source s3_exports")]
    with pytest.raises(ConfigurationError, match="row_filter"):
        accounts.settings_for("s3_exports", get_client("cti"))
    agency.register("cti", sources=["s3_exports"])
    with pytest.raises(ConfigurationError, match="row_filter"):
        accounts.settings_for("s3_exports", get_client("713"))


def test_where_two_clients_sheets_differ_the_active_ones_kind_counts(project: Project) -> None:
    for client, kind, status in (("a_planned", "text", "planned"), ("b", "decimal", "active")):
        project.add_api_client(
            client, "google_sheets", sheets=f'{{"spend": {{"columns": {{"cost": "{kind}"}}}}}}'
        )
        project.register(client, sources=["google_sheets"], status=status)
    columns = catalog.outline("google_sheets").resources["spend"].compute_table_schema()["columns"]
    assert columns["cost"]["data_type"] == "decimal"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            'table = "orders"\nabout = "x"\nkey = ["sku"]\n[columns]\nsku = "text"\n',
            "a model makes public.orders",
        ),
        ("table = ", "prices.toml: not valid TOML"),
        (
            'table = "prices"\nabout = "x"\nkey = ["sku"]\n[columns]\nsku = "money"\n',
            "prices.toml: columns.sku",
        ),
    ],
)
def test_a_clients_own_table_that_cannot_be_made_costs_that_client_alone(
    project: Project, schema: str, words: str
) -> None:
    project.add_api_client("713", "affiliate_mapping")
    project.add_api_client("cti", "affiliate_mapping")
    mappings = project.root / "data" / "clients" / "cti" / "mappings"
    mappings.mkdir()
    (mappings / "prices.toml").write_text(schema)
    [aside] = set_aside()
    assert (aside.client, aside.subject) == ("cti", "source affiliate_mapping")
    assert words in aside.problem
    assert catalog.tables_of("affiliate_mapping") == [("public", "affiliate_mapping")]
    build_assets()


def test_a_settings_file_that_cannot_be_read_is_told_and_no_default_takes_its_place(
    agency: Project,
) -> None:
    agency.set(
        SIGNALROOM_SECRETS_DIR=str(agency.root / "secrets")
    )  # another place: files are read once
    (agency.root / "secrets").mkdir()
    (agency.root / "secrets" / "secrets.toml").write_text('[sources.everflow]\napi_key = "hidden')
    assert [item.subject for item in set_aside()] == ["file secrets.toml"]
    assert "hidden" not in set_aside()[0].problem
    assert build_assets() and [schedule.name for schedule in build_schedules()] == ["purge_nightly"]
    with pytest.raises(ConfigurationError, match="secrets.toml is not valid TOML"):
        accounts.settings_for("s3_exports", get_client("713"))


def test_a_contract_that_cannot_be_read_leaves_the_others(agency: Project) -> None:
    write(agency, "713", '[analysis]\nrequired = ["a"]\n')
    write(agency, "cti", "[analysis]\nrequired = 5\n")
    assert [*load_contracts()] == ["713"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError"),
        ("def outline(:", "cannot be imported: SyntaxError"),
        ("Settings = 1", "does not offer probe, "),
        (
            (
                "Settings = open_files = listing_digests = probe = 1\ndef file_tables(configured):"
                " raise KeyError('x')"
            ),
            "cannot be imported: KeyError",
        ),
    ],
)
def test_a_folder_that_is_no_source_leaves_the_others(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, words: str
) -> None:
    project.add_client("713")
    name = f"shop_{abs(hash(text))}"
    (tmp_path / "more" / name).mkdir(parents=True)
    (tmp_path / "more" / name / "__init__.py").write_text(text)
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path / "more")])
    assert name not in catalog.source_names() and "everflow" in catalog.source_names()
    assert words in source_folders.refused_sources()[name]
    assert [item.subject for item in set_aside()] == [f"source {name}"]
    with pytest.raises(ConfigurationError, match=words.partition(":")[0]):
        catalog.source_module(name)


Models = Callable[..., None]


@pytest.fixture
def add_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Models]:
    """Writes models beside, or in the place of, those of the package."""
    known = sql._model_files()

    def add(**texts: str) -> None:
        more = {("public", name): tmp_path / f"{name}.sql" for name in texts}
        for (_, name), file in more.items():
            file.write_text(texts[name])
        monkeypatch.setattr(sql, "_model_files", lambda: {**known, **more})
        sql._models.cache_clear()

    yield add
    sql._models.cache_clear()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT _client_id,\n  a AS b c\nFROM public.orders", "line 2, column 10: "),
        (
            "SELECT orders_id FROM public.orders",
            "no column _client_id: each row says by it whose it is",
        ),
        ("SELECT _client_id, order_id\nFROM orders", "line 2: orders lacks its schema"),
        ("SELECT * FROM public.orders", "give every column a name"),
        ("DROP TABLE public.orders", "not a SELECT"),
        ("SELECT _client_id FROM public.broken", "in a circle"),
        ("", "not a SELECT"),
    ],
)
def test_a_model_that_cannot_be_read_is_left_out_with_those_that_read_it(
    agency: Project, add_models: Models, sql: str, words: str
) -> None:
    add_models(
        broken=sql,
        above="SELECT _client_id, x AS y FROM public.broken",
        fine="SELECT _client_id FROM a.b",
    )
    known = {name: problem for (_, name), problem in refused_models().items()}
    assert words in known["broken"] and known["broken"].startswith("models/public/broken.sql")
    assert known["above"].startswith("models/public/above.sql: it reads ")
    assert ("public", "fine") in models() and ("public", "orders") in models()
    assert subjects() == [("", "model public.above"), ("", "model public.broken")]


def test_a_report_of_a_model_that_is_left_out_is_left_out(
    agency: Project, add_models: Models
) -> None:
    add_models(daily_performance="SELECT 1 AS date")
    assert [*subscribers()] == []
    [report] = [item for item in set_aside() if item.client]
    assert (report.client, report.subject) == ("713", "report weekly")
    assert "test_sync reads public.daily_performance, which is set aside" in report.problem
    build_assets()


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("query.sql", "SELECT 1 AS a b", "query.sql: query rows, line 1, column 15"),
        ("chart.toml", "query = ", "chart.toml: not valid TOML"),
        ("chart.toml", 'query = "rows"\ntitle = "x"\n', "chart.toml: panels: is missing"),
        ("slack.j2", None, "a report needs slack.j2"),
    ],
)
def test_a_template_that_cannot_be_read_costs_its_own_reports(
    agency: Project, file: str, text: str | None, words: str
) -> None:
    folder = agency.root / "reports" / "own"
    folder.mkdir(parents=True)
    (folder / "query.sql").write_text("SELECT 1 AS a")
    (folder / "slack.j2").write_text("{{ rows }}")
    (folder / file).unlink(missing_ok=True)
    if text is not None:
        (folder / file).write_text(text)
    write(agency, "713", '[[reports]]\nname = "own"\ntemplate = "own"\n')
    [aside] = set_aside()
    assert (aside.client, aside.subject, words in aside.problem) == ("713", "report own", True)
    assert [*subscribers()] == ["weekly"]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("slack.j2", "a\n{{ rows | nosuch }}", "own/slack.j2, line 2: No filter named 'nosuch'"),
        (
            "slack.j2",
            "a\nb\n{% for row in rows %}",
            "own/slack.j2, line 3: Unexpected end of template",
        ),
        (
            "query.sql",
            "SELECT date\nFROM everflow.daily_stats\nWHERE nosuch = 1",
            "line 3, column 7: ",
        ),
    ],
)
def test_what_would_fail_in_a_run_is_found_without_one(
    agency: Project, file: str, text: str, words: str
) -> None:
    agency.add_api_client("shop", "everflow")
    folder = agency.root / "reports" / "own"
    folder.mkdir(parents=True)
    (folder / "query.sql").write_text("SELECT clicks AS a FROM everflow.daily_stats")
    (folder / "slack.j2").write_text("{{ rows }}")
    assert "template own" not in [item.subject for item in problems()]
    (folder / file).write_text(text)
    write(agency, "713", '[[reports]]\nname = "own"\ntemplate = "own"\n')
    [problem] = [item.problem for item in problems() if item.subject == "template own"]
    assert words in problem
    code = CliRunner().invoke(cli.app, ["models", "build", "--check"]).exit_code
    assert code == 1
