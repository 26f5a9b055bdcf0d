"""What the configuration may say, in files and in the environment, and what it hears when it says
something else.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.registry import accounts, catalog
from signalroom_dagster.registry.client_words import said_of_client
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.sandbox.google_sheets import account_email, service_account_key, settings
from signalroom_dagster.sections import source_settings
from signalroom_dagster.sources.google_sheets.service_account import ServiceAccount, open_account
from signalroom_dagster.sources.google_sheets.settings import Guard, Settings
from signalroom_dagster_tests.projects import Project

KEY = service_account_key(account_email("713"), "http://127.0.0.1:9")
SHEET: dict[str, Any] = {
    "spreadsheet_id": "book",
    "range": "'Spend'!A1:Z",
    "columns": {"Cost": "decimal"},
}
TOML = """
[sources.google_sheets]
keep_share = 0.8

[sources.google_sheets.clients.713.sheets.spend_2026]
spreadsheet_id = "book-713"
range = "'Spend 2026'!A1:Z"
columns = { date = "date", source = "text", cost = "decimal", note = "text", active = "bool" }

[sources.google_sheets.clients.713.sheets.budgets]
spreadsheet_id = "book-713"
range = "Budgets!A:C"
columns = { "Budget (USD)" = "integer" }
keep_share = 0.1
may_shrink = true
"""


def configured(client_id: str = "713") -> Settings:
    return source_settings(Settings, "google_sheets", client_id)


def account() -> ServiceAccount:
    return open_account(configured().credentials.get_secret_value())


def add(
    project: Project, client_id: str = "713", credentials: str = json.dumps(KEY), **sheets: Any
) -> None:
    project.add_api_client(
        client_id, "google_sheets", credentials=credentials, sheets=json.dumps(sheets)
    )


def test_sheets_stand_in_the_settings_file_as_tables(project: Project) -> None:
    (project.root / ".dlt" / "config.toml").write_text(TOML)
    key = "\n".join(f"{name} = {json.dumps(value)}" for name, value in KEY.items())
    (project.root / ".dlt" / "secrets.toml").write_text(
        f"[sources.google_sheets.clients.713.credentials]\n{key}"
    )
    project.add_api_client("713", "google_sheets")
    found = configured()
    assert found.sheets["spend_2026"].columns["cost"] == "decimal"
    source = Guard(keep_share=found.keep_share)
    assert found.sheets["spend_2026"].guarded(source) == Guard(1, 0.8, 0.1, False)
    assert found.sheets["budgets"].guarded(source) == Guard(1, 0.1, 0.1, True)
    assert account().email == account_email("713")


def test_the_sandboxs_settings_can_stand_between_apostrophes() -> None:
    assert not [value for value in settings("713", "http://127.0.0.1:9").values() if "'" in value]


def test_a_path_is_read_from_the_project_folder(project: Project) -> None:
    (project.root / "key.json").write_text(json.dumps(KEY))
    for path in ("key.json", str(project.root / "key.json")):
        add(project, credentials=path, spend=SHEET)
        assert account().email == account_email("713")


def test_a_key_whose_line_ends_a_shell_has_escaped_or_put_in_is_read() -> None:
    for pem in (
        KEY["private_key"].replace("\n", "\\n"),
        KEY["private_key"].replace("\n", "\\r\\n"),
    ):
        assert open_account(json.dumps({**KEY, "private_key": pem})).email == account_email("713")
    assert open_account(json.dumps(KEY).replace("\\n", "\n")).email == account_email("713")


@pytest.mark.parametrize(
    "credentials",
    [
        '{"type": "service_account", "private_key": "secret-for-tests',
        "secret-for-tests",
        "secret-for-tests\0" * 500,
        json.dumps({**KEY, "private_key": "secret-for-tests"}),
        json.dumps({**KEY, "private_key": 7}),
        json.dumps({"type": "service_account", "note": "secret-for-tests"}),
        json.dumps({**KEY, "type": "authorized_user", "refresh_token": "secret-for-tests"}),
    ],
)
def test_credentials_that_cannot_be_used_are_named_and_not_shown(
    project: Project, credentials: str
) -> None:
    with (
        pytest.raises(ConfigurationError) as raised,
        said_of_client("google_sheets", "713", ["credentials", "sheets"]),
    ):
        open_account(credentials)
    for named in (
        "client 713",
        "source google_sheets",
        "SOURCES__GOOGLE_SHEETS__CLIENTS__713__CREDENTIALS",
    ):
        assert named in str(raised.value)
    assert "secret-for-tests" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_client_without_credentials_of_its_own_is_told_the_key(project: Project) -> None:
    project.set(SOURCES__GOOGLE_SHEETS__CREDENTIALS=json.dumps(KEY))
    project.add_api_client("713", "google_sheets", sheets=json.dumps({"spend": SHEET}))
    with pytest.raises(
        ConfigurationError, match="SOURCES__GOOGLE_SHEETS__CLIENTS__713__CREDENTIALS"
    ):
        configured()


@pytest.mark.parametrize(
    ("name", "changed", "said"),
    [
        ("spend", {"range": "A1:Z"}, "sheets.spend.range is not valid .*needs its tab"),
        ("spend", {"range": "Q1"}, "needs its tab"),
        (
            "spend",
            {"spreadsheet_id": "https://docs.google.com/spreadsheets/d/x/edit"},
            "between /d/ and /edit",
        ),
        (
            "spend",
            {"columns": {"Cost": "decimal", "Cost ($)": "decimal"}},
            "two headers are the same column: cost",
        ),
        (
            "spend",
            {"columns": {"Cost": "decimal", " COST": "decimal"}},
            "two headers are the same column",
        ),
        ("spend", {"columns": {"費用": "decimal"}}, "Latin letter"),
        ("spend", {"columns": {"Cost": "money"}}, "sheets.spend.columns.Cost is not valid"),
        ("spend", {"columns": {}}, "sheets.spend.columns is not valid"),
        ("spend", {"tab": "x"}, "sheets.spend.tab is not valid"),
        ("Spend 2026", {}, "cannot be a table"),
        ("spend__2026", {}, "cannot be a table"),
        ("windows", {}, "cannot be a table"),
    ],
)
def test_a_sheet_that_cannot_be_meant_is_refused(
    project: Project, name: str, changed: Any, said: str
) -> None:
    add(project, **{name: {**SHEET, **changed}})
    with pytest.raises(ConfigurationError) as raised:
        configured()
    assert re.search(said, str(raised.value))


@pytest.mark.parametrize(
    ("wrong", "right", "variable"),
    [
        ({"range": "A1:Z"}, "'Extra'!A1:Z", "SHEETS__EXTRA__RANGE"),
        ({"spreadsheet_id": "a b"}, "book", "SHEETS__EXTRA__SPREADSHEET_ID"),
        ({"min_rows": -1}, "0", "SHEETS__EXTRA__MIN_ROWS"),
        ({"columns": {"Cost": "money"}}, "decimal", "SHEETS__EXTRA__COLUMNS__COST"),
        (
            {"columns": {"Cost (USD)": "money"}},
            '{"Cost (USD)": "decimal"}',
            "SHEETS__EXTRA__COLUMNS",
        ),
        ({"columns": {}}, '{"Cost": "decimal"}', "SHEETS__EXTRA__COLUMNS"),
        ({"skip_rows": ["Total", ""]}, '["Total"]', "SHEETS__EXTRA__SKIP_ROWS"),
    ],
)
@pytest.mark.parametrize("stands_in", ["environment", "file"])
def test_the_variable_that_an_error_names_mends_it(
    project: Project, wrong: Any, right: str, variable: str, stands_in: str
) -> None:
    sheets = {"extra": {**SHEET, **wrong}, "spend": SHEET}
    project.add_api_client("713", "google_sheets", credentials=json.dumps(KEY))
    if stands_in == "environment":
        project.configure("713", "google_sheets", sheets=json.dumps(sheets))
    else:
        lines = [f"{json.dumps(key)} = {as_toml(value)}" for key, value in sheets["extra"].items()]
        text = "\n".join(["[sources.google_sheets.clients.713.sheets.extra]", *lines])
        (project.root / ".dlt" / "config.toml").write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        configured()
    named = re.findall(r"as an environment variable: (\w+)", str(raised.value))
    assert named == [f"SOURCES__GOOGLE_SHEETS__CLIENTS__713__{variable}"]
    project.set(**{named[0]: right})
    assert "extra" in configured().sheets


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(key)} = {as_toml(cell)}" for key, cell in value.items())
            + "}"
        )
    return json.dumps(value)


def test_a_sheet_may_stand_in_the_environment_key_by_key(project: Project) -> None:
    project.add_api_client(
        "713",
        "google_sheets",
        credentials=json.dumps(KEY),
        sheets__more__range="'More'!A1:Z",
        sheets__more__spreadsheet_id="book",
        sheets__more__columns__cost="decimal",
    )
    assert configured().sheets["more"].columns == {"cost": "decimal"}
    assert "more" in catalog.outline("google_sheets").resources


def test_the_outline_has_every_clients_tables_without_a_secret(project: Project) -> None:
    project.add_api_client(
        "713", "google_sheets", sheets=json.dumps({"spend": SHEET, "budgets": SHEET})
    )
    other = {**SHEET, "columns": {"Paid On": "datetime", "Cost": "decimal", "Odd": "money"}}
    project.add_api_client(
        "cti", "google_sheets", sheets=json.dumps({"spend": other, "Bad Name": SHEET, "worse": 7})
    )
    project.add_api_client("abc", "google_sheets", sheets="{not json")
    tables = catalog.outline("google_sheets").resources
    assert set(tables) == {"spend", "budgets", "windows", "restatements"}
    columns = tables["spend"].compute_table_schema()["columns"]
    assert {name: hint.get("data_type") for name, hint in columns.items()} == {
        "_client_id": "text",
        "_loaded_at": "timestamp",
        "_row_id": "bigint",
        "cost": "decimal",
        "paid_on": "timestamp",
    }
    assert [name for name, hint in columns.items() if hint.get("primary_key")] == [
        "_client_id",
        "_row_id",
    ]


def test_two_clients_may_not_have_one_column_as_two_kinds(project: Project) -> None:
    add(project, "713", spend=SHEET)
    add(project, "cti", spend={**SHEET, "columns": {"cost": "text"}})
    for client_id in ("713", "cti"):
        with pytest.raises(ConfigurationError, match="clients .* column cost of sheet spend is"):
            accounts.settings_for("google_sheets", get_client(client_id))


def test_a_missing_key_file_is_a_configuration_error_of_the_whole_source(
    project: Project, tmp_path: Path
) -> None:
    add(project, credentials=str(tmp_path / "nothing.json"), spend=SHEET)
    with pytest.raises(ConfigurationError, match="neither JSON nor the path of a file"):
        account()
