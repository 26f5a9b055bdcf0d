"""Where settings come from, what a client may never borrow, and what an error says."""

import os
from pathlib import Path
from typing import Annotated, Any

import dlt
import pytest
from pydantic import BaseModel, Field, SecretStr

from signalroom_dagster import config, sections
from signalroom_dagster.config import ClientOnly
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.registry.cadences import cadences, refused_cadences
from signalroom_dagster.sections import source_settings, unchecked_settings
from signalroom_dagster.warehouse import places

SECRET = "secret-for-tests"


class Extra(BaseModel):
    """A table of its own inside the settings."""

    column: str
    values: list[str]


class Vendor(BaseModel):
    """What a source might ask for."""

    api_key: Annotated[SecretStr, ClientOnly()]
    accounts: Annotated[list[str], ClientOnly()] = []
    only: Annotated[Extra | None, ClientOnly()] = None
    credentials: Annotated[str | None, ClientOnly()] = None
    base_url: str = "https://api.example.com"
    days: int = 2
    columns: dict[str, str] = {}


class Project:
    """A project folder whose settings are written before they are first read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / ".dlt").mkdir()

    def write(self, config: str = "", secrets: str = "") -> None:
        (self.root / ".dlt" / "config.toml").write_text(config)
        (self.root / ".dlt" / "secrets.toml").write_text(secrets)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in os.environ:
        if name.startswith(("SOURCES__", "SIGNALROOM_", "DESTINATION__", "SUPABASE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SIGNALROOM_PROJECT_DIR", str(tmp_path))
    return Project(tmp_path)


def vendor(client_id: str = "713") -> Vendor:
    return source_settings(Vendor, "vendor", client_id)


def refusal(client_id: str = "713") -> str:
    with pytest.raises(ConfigurationError) as caught:
        vendor(client_id)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_client_reads_its_own_section_and_the_shared_defaults(project: Project) -> None:
    project.write(
        '[sources.vendor]\ndays = 5\n[sources.vendor.clients.713]\napi_key = "a"\nbase_url ='
        ' "https://x"\n'
    )
    found = vendor()
    assert (found.api_key.get_secret_value(), found.base_url, found.days) == ("a", "https://x", 5)


def test_a_key_that_is_set_nowhere_has_the_sources_default(project: Project) -> None:
    project.write('[sources.vendor.clients.713]\napi_key = "a"\n')
    assert (vendor().base_url, vendor().days) == ("https://api.example.com", 2)


def test_zero_and_empty_are_values_of_a_client_and_not_missing(project: Project) -> None:
    project.write(
        "[sources.vendor]\ndays = 5\nbase_url ="
        ' "x"\n[sources.vendor.clients.713]\napi_key="a"\ndays=0\nbase_url=""\n'
    )
    assert (vendor().days, vendor().base_url) == (0, "")


def test_the_environment_goes_before_secrets_and_secrets_before_config(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = "[sources.vendor.clients.713]\n"
    project.write(
        section + 'api_key = "config"\nbase_url = "config"\ndays = 1\n',
        section + 'api_key = "secrets"\nbase_url = "secrets"\n',
    )
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__API_KEY", "environment")
    found = vendor()
    assert (found.api_key.get_secret_value(), found.base_url, found.days) == (
        "environment",
        "secrets",
        1,
    )


def test_a_client_goes_before_the_default_wherever_either_stands(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write('[sources.vendor.clients.713]\napi_key = "a"\ndays = 1\n')
    monkeypatch.setenv("SOURCES__VENDOR__DAYS", "9")
    assert vendor().days == 1


def test_a_missing_key_names_client_source_key_and_environment_variable() -> None:
    assert (
        refusal() == "client 713, source vendor: [sources.vendor.clients.713] api_key is missing; "
        "as an environment variable: SOURCES__VENDOR__CLIENTS__713__API_KEY"
    )


def test_setting_the_named_environment_variable_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(refusal().rpartition(" ")[2], "a")
    assert vendor().api_key.get_secret_value() == "a"


def test_an_account_key_is_never_read_from_another_clients_section(project: Project) -> None:
    project.write(secrets=f'[sources.vendor.clients.cti]\napi_key = "{SECRET}"\n')
    assert "client 713" in refusal()
    assert SECRET not in refusal()


@pytest.mark.parametrize(
    "shared",
    [
        pytest.param('[sources.vendor]\napi_key = "x"\naccounts = ["1"]\n', id="the source's"),
        pytest.param('[sources]\napi_key = "x"\naccounts = ["1"]\n', id="all sources'"),
        pytest.param(
            '[sources.vendor.clients]\napi_key = "x"\naccounts = ["1"]\n', id="all clients'"
        ),
        pytest.param('api_key = "x"\naccounts = ["1"]\n', id="everything's"),
        pytest.param(
            '["713"]\napi_key = "x"\n[clients.713]\napi_key = "x"\n',
            id="the client's of another source",
        ),
        pytest.param(
            '[sources.other.clients.713]\napi_key = "x"\n', id="the client's of yet another source"
        ),
    ],
)
def test_an_account_key_is_never_read_from_a_shared_section(project: Project, shared: str) -> None:
    project.write(shared, shared)
    assert "api_key is missing" in refusal()
    assert unchecked_settings(Vendor, "vendor", "713").accounts == []


@pytest.mark.parametrize(
    "name",
    [
        "SOURCES__VENDOR__API_KEY",
        "API_KEY",
        "SOURCES__API_KEY",
        "SOURCES__VENDOR__CLIENTS__API_KEY",
        "VENDOR__API_KEY",
    ],
)
def test_an_account_key_is_never_read_from_a_shared_variable(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, SECRET)
    assert "api_key is missing" in refusal()


def test_a_table_of_the_defaults_is_merged_with_the_clients(project: Project) -> None:
    project.write(
        '[sources.vendor]\ncolumns = { card = "drop", email = "hash"'
        ' }\n[sources.vendor.clients.713]\napi_key = "a"\ncolumns = { email = "keep", phone ='
        ' "drop" }\n[sources.vendor.clients.cti]\napi_key = "b"\n'
    )
    assert vendor().columns == {"card": "drop", "email": "keep", "phone": "drop"}
    assert vendor("cti").columns == {"card": "drop", "email": "hash"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [('["a", "b"]', ["a", "b"]), ("a,b", ["a", "b"]), ("a", ["a"]), ("713", ["713"]), ("[]", [])],
)
def test_a_list_may_stand_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: list[str]
) -> None:
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__API_KEY", "a")
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__ACCOUNTS", value)
    assert vendor().accounts == expected


def test_a_list_in_the_settings_is_a_list(project: Project) -> None:
    project.write('[sources.vendor.clients.713]\napi_key = "a"\naccounts = ["a", "b,c"]\n')
    assert vendor().accounts == ["a", "b,c"]


def test_a_table_in_the_environment_is_json_and_merged_like_any_other(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write('[sources.vendor]\ncolumns = { card = "drop" }\n')
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__API_KEY", "a")
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__COLUMNS", '{"email": "hash"}')
    assert vendor().columns == {"card": "drop", "email": "hash"}


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"ONLY": '{"column": "shop", "values": ["x"]}'}, id="as JSON"),
        pytest.param({"ONLY__COLUMN": "shop", "ONLY__VALUES": '["x"]'}, id="key by key"),
    ],
)
def test_a_setting_with_keys_of_its_own_may_stand_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for key, value in {"API_KEY": "a", **variables}.items():
        monkeypatch.setenv(f"SOURCES__VENDOR__CLIENTS__713__{key}", value)
    assert vendor().only == Extra(column="shop", values=["x"])


def test_half_of_a_setting_with_keys_of_its_own_is_an_error_and_not_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__API_KEY", "a")
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__ONLY__COLUMN", "shop")
    assert "only.values is missing" in refusal()
    assert refusal().endswith(": SOURCES__VENDOR__CLIENTS__713__ONLY__VALUES")


def test_text_that_looks_like_json_stays_text_where_text_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__API_KEY", '["a"]')
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__CREDENTIALS", '{"type": "service_account"}')
    found = vendor()
    assert (found.api_key.get_secret_value(), found.credentials) == (
        '["a"]',
        '{"type": "service_account"}',
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DAYS", f"many-{SECRET}"),
        ("ACCOUNTS", f'["{SECRET}"'),
        ("ACCOUNTS", f'{{"a": "{SECRET}"}}'),
        ("COLUMNS", SECRET),
        ("COLUMNS", f'{{"a": ["{SECRET}"]}}'),
        ("COLUMNS", f'{{"a": "{SECRET}'),
        ("ONLY", f'{{"column": {{"a": "{SECRET}"}}}}'),
    ],
)
def test_a_value_that_does_not_fit_is_named_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__API_KEY", SECRET)
    monkeypatch.setenv(f"SOURCES__VENDOR__CLIENTS__713__{key}", value)
    said = refusal()
    assert f"client 713, source vendor: [sources.vendor.clients.713] {key.lower()}" in said
    assert "is not valid" in said
    assert f"SOURCES__VENDOR__CLIENTS__713__{key}" in said
    assert SECRET not in said


def test_a_secret_that_does_not_fit_is_never_shown(project: Project) -> None:
    project.write(secrets=f'[sources.vendor.clients.713]\napi_key = {{ token = "{SECRET}" }}\n')
    assert "api_key is not valid" in refusal()
    assert SECRET not in refusal()


def test_a_secret_does_not_show_in_the_settings_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__API_KEY", SECRET)
    assert SECRET not in f"{vendor()!r} {vendor()}"


def test_every_mistake_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__DAYS", "x")
    assert "api_key is missing" in refusal()
    assert "days is not valid" in refusal()


def test_unchecked_settings_need_no_credentials_and_raise_nothing(project: Project) -> None:
    project.write("[sources.vendor.clients.713]\naccounts = ['1']\n[sources.vendor]\ndays = 'x'\n")
    found: Any = unchecked_settings(Vendor, "vendor", "713")
    assert (found.accounts, found.days, hasattr(found, "api_key")) == (["1"], "x", False)


def test_a_source_that_is_not_configured_at_all_has_unchecked_defaults() -> None:
    assert unchecked_settings(Vendor, "vendor", "713").base_url == "https://api.example.com"


class Marked(BaseModel):
    """A setting with a condition beside its mark."""

    names: Annotated[list[str], ClientOnly()] = Field(min_length=1)


def test_a_condition_on_an_account_key_does_not_open_it_to_the_shared_section(
    project: Project,
) -> None:
    project.write('[sources.vendor]\nnames = ["x"]\n')
    with pytest.raises(ConfigurationError, match="names is missing"):
        source_settings(Marked, "vendor", "713")


def test_two_projects_do_not_share_their_settings(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write('[sources.vendor.clients.713]\napi_key = "a"\n')
    assert vendor().api_key.get_secret_value() == "a"
    monkeypatch.setenv("SIGNALROOM_PROJECT_DIR", str(tmp_path_factory.mktemp("other")))
    assert "api_key is missing" in refusal()


def test_the_project_folder_is_the_checkout_unless_the_environment_names_another(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config.project_dir() == project.root
    monkeypatch.delenv("SIGNALROOM_PROJECT_DIR")
    assert config.project_dir() == Path(config.__file__).parent.parent


def test_scratch_files_lie_in_the_project_unless_the_environment_says_otherwise(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config.work_dir() == project.root / ".signalroom" / "work"
    monkeypatch.setenv("SIGNALROOM_WORK_DIR", "/elsewhere")
    assert config.work_dir() == Path("/elsewhere")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "dev"), ("", "dev"), ("dev", "dev"), ("production", "production")],
)
def test_the_environment_is_dev_unless_it_is_said(
    monkeypatch: pytest.MonkeyPatch, value: str | None, expected: str
) -> None:
    if value is not None:
        monkeypatch.setenv("SIGNALROOM_ENV", value)
    assert config.environment() == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "duckdb"), ("", "duckdb"), ("duckdb", "duckdb"), ("postgres", "postgres")],
)
def test_the_destination_is_duckdb_unless_it_is_said(
    monkeypatch: pytest.MonkeyPatch, value: str | None, expected: str
) -> None:
    if value is not None:
        monkeypatch.setenv("SIGNALROOM_DESTINATION", value)
    assert config.destination_name() == expected


def test_a_misspelt_environment_or_destination_is_an_error_that_names_the_choices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGNALROOM_ENV", "prod")
    monkeypatch.setenv("SIGNALROOM_DESTINATION", "Postgres")
    with pytest.raises(
        ConfigurationError, match="SIGNALROOM_ENV is 'prod'; set it to dev or production"
    ):
        config.environment()
    with pytest.raises(
        ConfigurationError,
        match="SIGNALROOM_DESTINATION is 'Postgres'; set it to duckdb or postgres",
    ):
        config.destination_name()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "{root}/signalroom.duckdb"),
        ("other.duckdb", "{root}/other.duckdb"),
        ("/data/w.duckdb", "/data/w.duckdb"),
        ("duckdb:///w.duckdb", "{root}/w.duckdb"),
        ("duckdb:////data/w.duckdb", "/data/w.duckdb"),
    ],
)
def test_the_duckdb_file_lies_in_the_project_unless_its_path_is_absolute(
    project: Project, monkeypatch: pytest.MonkeyPatch, value: str | None, expected: str
) -> None:
    if value:
        monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", value)
    assert str(places.duckdb_path()) == expected.format(root=project.root)


def test_the_postgres_url_is_taken_from_the_settings(project: Project) -> None:
    project.write(secrets='[destination.postgres]\ncredentials = "postgresql://u:p@h:1/d"\n')
    assert places.postgres_url() == "postgresql://u:p@h:1/d"


def test_the_postgres_url_is_composed_of_supabases_variables_and_its_password_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "HOST": "db.example.com",
        "USER": "postgres.ref",
        "PASSWORD": "a@b:c/d e%",
    }.items():
        monkeypatch.setenv(f"SUPABASE_DB_{name}", value)
    assert (
        places.postgres_url()
        == "postgresql://postgres.ref:a%40b%3Ac%2Fd%20e%25@db.example.com:6543/postgres"
    )


def test_the_postgres_url_goes_before_supabases_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_DB_HOST", "db.example.com")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", "postgresql://u:p@h:1/d")
    assert places.postgres_url() == "postgresql://u:p@h:1/d"


def test_a_port_of_supabase_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_DB_HOST", "db.example.com")
    monkeypatch.setenv("SUPABASE_DB_PORT", "5432/postgres")
    with pytest.raises(ConfigurationError, match="SUPABASE_DB_PORT is '5432/postgres'"):
        places.postgres_url()


def test_a_postgres_without_any_settings_is_an_error_that_names_them() -> None:
    with pytest.raises(
        ConfigurationError, match=r"DESTINATION__POSTGRES__CREDENTIALS.*SUPABASE_DB_HOST"
    ):
        places.postgres_url()


def test_dlt_reads_its_own_settings_from_the_project(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)  # where dlt would look for itself
    project.write("[load]\nworkers = 3\n")
    sections.anchor_dlt()
    assert dlt.config["load.workers"] == 3


def test_a_file_that_cannot_be_read_is_kept_from_dlt(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    project.write("[load\n", "[normalize]\nworkers = 2\n")
    sections.anchor_dlt()
    assert dlt.config.get("load.workers") is None
    assert dlt.secrets["normalize.workers"] == 2


def test_one_key_of_a_table_in_the_file_may_stand_in_the_environment(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        '[sources.vendor]\ncolumns = { card = "drop" }\n'
        '[sources.vendor.clients.713]\napi_key = "a"\nonly = { column = "shop", values = ["x"] }\n'
    )
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__ONLY__VALUES", "y,z")
    monkeypatch.setenv("SOURCES__VENDOR__COLUMNS__EMAIL", "hash")
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__COLUMNS__CARD", "keep")
    assert vendor().only == Extra(column="shop", values=["y", "z"])
    assert vendor().columns == {"card": "keep", "email": "hash"}


def test_the_variable_named_for_one_item_of_a_list_is_the_lists(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write('[sources.vendor.clients.713]\napi_key = "a"\naccounts = ["a", 7]\n')
    assert refusal().endswith("as an environment variable: SOURCES__VENDOR__CLIENTS__713__ACCOUNTS")
    monkeypatch.setenv("SOURCES__VENDOR__CLIENTS__713__ACCOUNTS", "a,7")
    assert vendor().accounts == ["a", "7"]


def test_a_schedule_may_have_one_of_its_keys_in_the_environment(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write('[sources.vendor.schedules]\ndaily = { cron = "0 6 * * *", lookback_days = 0 }\n')
    assert refused_cadences("vendor")["daily"].endswith(
        "SOURCES__VENDOR__SCHEDULES__DAILY__LOOKBACK_DAYS"
    )
    monkeypatch.setenv("SOURCES__VENDOR__SCHEDULES__DAILY__LOOKBACK_DAYS", "3")
    assert cadences("vendor")["daily"].lookback_days == 3


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            "sources = 5\n",
            "sources in config.toml is a whole number, and has to be a table of keys",
        ),
        (
            "[sources]\nvendor = 'x'\n",
            "[sources] vendor in config.toml is text, and has to be a table of keys",
        ),
        (
            "[sources.vendor]\nclients = ['713']\n",
            "[sources.vendor] clients in config.toml is a list, and has",
        ),
        (
            "[sources.vendor.clients]\n713 = 'x'\n",
            (
                "[sources.vendor.clients] 713 in config.toml is text, and has to be a table of"
                " keys: write them below [sources.vendor.clients.713]"
            ),
        ),
    ],
)
def test_a_section_that_is_no_table_is_told_as_what_it_is(
    project: Project, file: str, expected: str
) -> None:
    project.write(file)
    assert refusal().startswith(f"client 713, source vendor: {expected}")
    assert expected in sections.wrong_settings(Vendor, "vendor", "713")


def test_a_wrong_default_is_told_with_its_own_section_file_and_variable(project: Project) -> None:
    project.write(
        "[sources.vendor]\ndays = 'many'\n",
        '[sources.vendor.clients.713]\napi_key = "a"\naccounts = 7\n',
    )
    assert (
        refusal()
        == "client 713, source vendor: [sources.vendor.clients.713] accounts is not valid (it is a"
        " whole number, and has to be a list), in secrets.toml; as an environment variable:"
        " SOURCES__VENDOR__CLIENTS__713__ACCOUNTS; [sources.vendor] days is not valid (it is"
        " text, and has to be a whole number), in config.toml; as an environment variable:"
        " SOURCES__VENDOR__DAYS"
    )


def test_files_may_begin_with_a_byte_order_mark_also_where_dlt_reads_them(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    project.write(
        "\ufeff[sources.vendor]\ndays = 5\n[load]\nworkers = 3\n",
        '\ufeff[sources.vendor.clients.713]\napi_key = "a"\n',
    )
    assert (vendor().days, vendor().api_key.get_secret_value()) == (5, "a")
    sections.anchor_dlt()
    assert dlt.config["load.workers"] == 3


def test_a_project_folder_that_is_not_there_is_no_project_without_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGNALROOM_PROJECT_DIR", "/nowhere/at-all")
    with pytest.raises(
        ConfigurationError, match="SIGNALROOM_PROJECT_DIR is /nowhere/at-all, which is no folder"
    ):
        config.project_dir()
