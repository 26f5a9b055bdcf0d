"""The client registry: one folder, one file, one client."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.registry.clients import (
    clients_of,
    get_client,
    load_clients,
    unreadable_clients,
)

COMPLETE = """
name = "Client 713"
status = "active"
start_date = 2025-09-22
timezone = "America/New_York"
currency = "USD"
sources = ["s3_exports", "everflow"]
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIGNALROOM_PROJECT_DIR", str(tmp_path))
    return tmp_path


def add(root: Path, client_id: str, text: str = COMPLETE) -> Path:
    path = root / "data" / "clients" / client_id / "client.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")
    return path


def named(client_id: str) -> str:
    """A client's file as messages name it."""
    return f"data/clients/{client_id}/client.toml"


def refusal(root: Path) -> str:
    assert load_clients(root) == {}
    [problem] = unreadable_clients(root).values()
    return problem


def test_a_client_is_a_folder_with_a_client_toml(root: Path) -> None:
    add(root, "713")
    client = get_client("713")
    assert (client.id, client.name, client.status) == ("713", "Client 713", "active")
    assert client.start_date == date(2025, 9, 22)
    assert client.zone == ZoneInfo("America/New_York")
    assert client.sources == ("s3_exports", "everflow")
    assert (client.reports, client.analysis) == ((), {})


def test_reports_and_the_analysis_contract_are_kept_as_written(root: Path) -> None:
    add(
        root,
        "713",
        COMPLETE
        + '[analysis]\nrequired = ["a"]\n[[reports]]\nname = "daily"\nparams = { advertiser_id ='
        " 1 }\n",
    )
    client = get_client("713")
    assert client.analysis == {"required": ["a"]}
    assert client.reports == ({"name": "daily", "params": {"advertiser_id": 1}},)


def test_clients_come_in_the_order_of_their_ids(root: Path) -> None:
    for client_id in ("cti", "713", "b_2"):
        add(root, client_id)
    assert list(load_clients()) == ["713", "b_2", "cti"]


def test_a_project_without_clients_has_none(root: Path) -> None:
    assert load_clients() == {}


def test_a_folder_without_client_toml_is_no_client(root: Path) -> None:
    (root / "data" / "clients" / "Notes").mkdir(parents=True)
    add(root, "713")
    assert list(load_clients()) == ["713"]


def test_another_project_can_be_read_by_its_root(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    add(other, "cti")
    assert (list(load_clients(other)), list(load_clients())) == (["cti"], [])


def test_the_clients_of_a_source_include_planned_ones(root: Path) -> None:
    add(root, "713")
    add(root, "cti", COMPLETE.replace("active", "planned"))
    add(root, "other", COMPLETE.replace('"s3_exports", ', ""))
    assert [client.id for client in clients_of("s3_exports")] == ["713", "cti"]
    assert clients_of("nothing") == []


def test_an_unknown_client_is_an_error_that_lists_the_known_ones(root: Path) -> None:
    add(root, "713")
    add(root, "cti")
    with pytest.raises(ConfigurationError, match=r"no client '999' .*713, cti"):
        get_client("999")


def test_an_unknown_client_of_an_empty_project_is_an_error_that_says_so() -> None:
    with pytest.raises(ConfigurationError, match="none yet"):
        get_client("713")


@pytest.mark.parametrize("folder", ["Client", "a__b", "_a", "a-b", "a b", "a\n"])
def test_a_folder_whose_name_is_no_client_id_is_an_error(root: Path, folder: str) -> None:
    add(root, folder)
    assert refusal(root).startswith(
        f"{named(folder)}: the folder name {folder!r} is the client's id"
    )


@pytest.mark.parametrize("key", ["name", "status", "start_date", "timezone", "currency", "sources"])
def test_a_missing_key_is_named_with_its_file(root: Path, key: str) -> None:
    lines = [line for line in COMPLETE.splitlines() if not line.startswith(f"{key} ")]
    add(root, "713", "\n".join(lines))
    assert refusal(root) == f"{named('713')}: {key}: is missing"


@pytest.mark.parametrize(
    ("written", "instead", "key"),
    [
        ('"Client 713"', '""', "name"),
        ('"active"', '"paused"', "status"),
        ("2025-09-22", '"soon"', "start_date"),
        ('"America/New_York"', '"Eastern"', "timezone"),
        ('"America/New_York"', '"../../etc/passwd"', "timezone"),
        ('"America/New_York"', '""', "timezone"),
        ('"USD"', '"usd"', "currency"),
        ('"USD"', '"USD\\n"', "currency"),
        ('["s3_exports", "everflow"]', '"s3_exports"', "sources"),
        ('["s3_exports", "everflow"]', '["everflow", "everflow"]', "sources"),
        ("name =", "nickname = 1\nname =", "nickname"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_file(
    root: Path, written: str, instead: str, key: str
) -> None:
    add(root, "713", COMPLETE.replace(written, instead))
    assert refusal(root).startswith(f"{named('713')}: {key}: ")


def test_every_mistake_of_a_file_is_told_at_once(root: Path) -> None:
    add(root, "713", 'name = ""\ncurrency = "x"\n')
    assert all(
        key in refusal(root)
        for key in ("name", "status", "start_date", "timezone", "currency", "sources")
    )


def test_a_file_that_is_not_toml_is_an_error_that_names_it(root: Path) -> None:
    add(root, "713", "name = ")
    assert refusal(root).startswith(f"{named('713')}: not valid TOML: ")


def test_a_file_that_is_not_utf_8_is_an_error_that_names_it(root: Path) -> None:
    path = add(root, "713")
    path.write_bytes(b'name = "Caf\xe9"\n')
    assert refusal(root).startswith(f"{named('713')}: not valid TOML: ")


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 4_000, "number = " + "9" * 5_000, "a = 1\na = 2\n"]
)
def test_a_file_that_the_parser_gives_up_on_is_told_like_any_other(root: Path, text: str) -> None:
    add(root, "713", text)
    assert refusal(root).startswith(f"{named('713')}: not valid TOML: ")


def test_a_file_that_cannot_be_opened_is_told(root: Path) -> None:
    path = root / "data" / "clients" / "713" / "client.toml"
    path.mkdir(parents=True)
    assert refusal(root) == f"{named('713')}: cannot be read: Is a directory"


def test_a_client_that_cannot_be_read_says_so_itself_and_the_others_are_there(root: Path) -> None:
    path = add(root, "713", COMPLETE.replace("New_York", "New_Yrok"))
    add(root, "cti")
    assert list(load_clients()) == ["cti"]
    assert [client.id for client in clients_of("everflow")] == ["cti"]
    with pytest.raises(ConfigurationError, match="not a time zone name") as caught:
        get_client("713")
    assert str(caught.value).startswith(f"{named('713')}: timezone: ")
    path.write_text(COMPLETE)
    assert get_client("713").id == "713"


def test_the_folder_decides_the_id_whatever_the_file_says(root: Path) -> None:
    add(root, "713", 'id = "cti"\n' + COMPLETE)
    assert get_client("713").id == "713"


def test_a_client_does_not_change_while_it_is_used(root: Path) -> None:
    add(root, "713")
    with pytest.raises(ValidationError):
        get_client("713").status = "planned"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_file_may_begin_with_a_byte_order_mark(root: Path) -> None:
    add(root, "713", f"\ufeff{COMPLETE}")
    assert get_client("713").name == "Client 713"
