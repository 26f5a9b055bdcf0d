"""What is wrong with a description is told with its file, the key and what to do, and takes nothing
else down.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from signalroom_dagster.declarations import set_aside
from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.checks import build_load_checks
from signalroom_dagster.described.asking import check_public
from signalroom_dagster.described.proposals import columns_in
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.loading.slice_checks import reconciled
from signalroom_dagster.registry import accounts, catalog
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.described.apis import ADS, CRM, Vendor, contact
from signalroom_dagster_tests.loads import load
from signalroom_dagster_tests.projects import Project

MISTAKES = {
    'complete = { total = "total" }': {
        "": r"crm.toml: resources.contacts.complete is missing \(say how it is known",
        'complete = { totl = "total" }': "resources.contacts.complete.totl: .*did you mean total",
        "complete = {}": "resources.contacts.complete: say how it is known",
        'complete = { total = "t", unproven = true }': "unproven goes with nothing else",
        'complete = { total = "t", count = "/n" }': "total and count are two",
        'complete = { sum = { column = "cost", select = "x" } }': "there is no column cost",
    },
    'primary_key = "id"': {
        "": r"resources.contacts.primary_key is missing\. `signalroom source try crm",
        'primary_key = "nr"': "resources.contacts.primary_key: there is no column nr",
    },
    'id = "bigint"': {
        'id = "number"': r"columns.id: no kind 'number' \(there are: text, bigint",
        'id = "bigint", _client_id = "text"': "columns._client_id: SignalRoom has",
        'id = "bigint", group = "text"': "columns.group: group is a word of SQL: add another one",
    },
    'token = "{api_key}"': {
        'token = "{Api-Key}"': "client.auth.token: {Api-Key} is unknown",
        'token = "{resources.contacts.id}"': "{resources.contacts.id} is unknown",
        'token = "{api_key"': "client.auth.token: a brace that is no name is written twice",
        'tokn = "{api_key}"': "client.auth.token is missing",
        'token = "{api_key}", tokn = "x"': "client.auth: .*tokn",
    },
    '"bearer"': {'"magic"': r"client.auth: no type magic \(there are: bearer, api_key"},
    "limit = 2": {
        'since = "{since}"': r"resources.contacts: {since} is a day, and there is no \[resources",
        'x = "{sinse}"': r"{sinse} is unknown: did you mean {since}\?",
        'x = "{start_date}"': "{start_date} is the name of a setting that every source has",
    },
    'type = "cursor"': {
        'type = "auto"': r"paginator: no type auto \(there are: single_page, cursor"
    },
    'cursor_param = "after"': {'cursor_parm = "after"': "paginator cursor: .*cursor_parm"},
    'data_selector = "items"': {
        'data_selector = "items["': "endpoint.data_selector: items\\[ is no JSONPath; a name with"
    },
    '"/v1/contacts"': {'"https://evil.example/x"': "endpoint.path: it has to be a path below"},
    "[resources.contacts]": {"[resources.windows]": "resources.windows: SignalRoom keeps"},
    "[client]": {"[client": r"crm.toml is not valid TOML: .*line 5"},
}
CASES = [
    (right, wrong, words) for right, given in MISTAKES.items() for wrong, words in given.items()
]


@pytest.mark.parametrize(("right", "wrong", "words"), CASES, ids=[words for *_, words in CASES])
def test_a_mistake_is_told_with_its_place(
    described: Callable[[str, str], ModuleType], right: str, wrong: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as raised:
        described("crm", CRM.replace(right, wrong))
    assert "crm.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('format = "YYYY-MM-DD"', "window.format: it has to be a strftime form such as %Y-%m-%d"),
        ('timezone = "EST5"', "window.timezone: must be an IANA time zone"),
        ('moment = "at"\nkept_days = 0', "window.kept_days: it has to be greater than 0"),
    ],
)
def test_a_mistake_about_days_is_told_with_its_place(
    described: Callable[[str, str], ModuleType], line: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"ads.toml: resources.costs.{words}"):
        described("ads", f"{ADS}{line}\n")


def test_windows_that_ask_for_nothing_are_told(described: Callable[[str, str], ModuleType]) -> None:
    with pytest.raises(ConfigurationError, match="write {since} and {until} into the endpoint's"):
        described("ads", ADS.replace(', to = "{until}"', ""))


def describe(project: Project, **files: str) -> None:
    folder = project.root / "data" / "shared" / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (Path(folder) / f"{name}.toml").write_text(text)


def test_a_file_that_is_wrong_is_no_source_and_keeps_no_other_from_being_one(
    project: Project,
) -> None:
    describe(project, crm=CRM, ads=ADS.replace('day = "date"', ""), everflow=CRM)
    assert {"crm", "everflow"} <= {*catalog.source_names()}
    assert "ads" not in catalog.source_names()
    problems = {each.subject: each.problem for each in set_aside()}
    assert (
        "data/shared/sources/ads.toml: resources.costs.window.day: is missing"
        in (problems["source ads"])
    )
    assert "another source has this name" in problems["source data/shared/sources/everflow.toml"]


@pytest.mark.parametrize("name", ["daily_sync", "public", "order", "My-CRM", "new_report"])
def test_a_file_whose_name_is_taken_is_told_and_takes_nothing_else_down(
    project: Project, name: str
) -> None:
    describe(project, **{name: CRM, "crm": CRM})
    assert name not in catalog.source_names() and "crm" in catalog.source_names()
    problems = {each.subject: each.problem for each in set_aside()}
    assert problems[f"source {name}"].startswith(f"data/shared/sources/{name}.toml: ")


def test_dlts_own_list_of_resources_is_read_too(
    described: Callable[[str, str], ModuleType],
) -> None:
    text = CRM.replace("[resources.contacts]", '[[resources]]\nname = "contacts"')
    assert vars(described("crm", text))["TABLES"] == vars(described("crm", CRM))["TABLES"]
    with pytest.raises(ConfigurationError, match="resources: each entry needs a `name`"):
        described("crm", text.replace('name = "contacts"', ""))


def test_a_described_source_is_assets_with_checks(project: Project) -> None:
    describe(project, ads=ADS)
    project.add_api_client("713", "ads", api_key="k")
    assets = build_ingest_assets("ads")
    assert {key.to_user_string() for key in assets.keys} == {
        "ads/costs",
        "ads/windows",
        "ads/restatements",
    }
    spec = assets.get_asset_spec(dg.AssetKey(["ads", "costs"]))
    assert spec.group_name == "ads"
    assert "What each campaign cost on each day. Grain: client, date, campaign_id. Proven:" in (
        spec.description or ""
    )
    assert "ads.toml" in str(spec.metadata["dagster/code_references"])
    assert [check.name for checks in build_load_checks("ads") for check in checks.check_specs][:1]


def test_a_client_without_a_value_is_told_the_variable(
    project: Project, server: VendorServer
) -> None:
    describe(project, crm=CRM)
    project.add_api_client("713", "crm", base_url=server.url)
    with pytest.raises(ConfigurationError, match="SOURCES__CRM__CLIENTS__713__API_KEY"):
        load("crm")


def test_a_key_in_a_section_that_clients_share_is_nobodys(
    project: Project, server: VendorServer
) -> None:
    describe(project, crm=CRM)
    project.add_api_client("713", "crm", base_url=server.url)
    project.set(SOURCES__CRM__API_KEY="key-cti", API_KEY="key-cti", TOKEN="key-cti")
    with pytest.raises(ConfigurationError, match=r"\[sources.crm.clients.713\] api_key is missing"):
        load("crm")


def test_what_proves_nothing_is_shown_on_the_asset_and_its_check(
    project: Project, server: VendorServer, vendor: Vendor
) -> None:
    unproven = "{ unproven = true }"
    describe(project, crm=CRM.replace('{ total = "total" }', unproven), ads=ADS)
    vendor.contacts = [contact(1)]
    project.add_api_client("713", "crm", api_key="key-713", base_url=server.url)
    resource = catalog.outline("crm").resources["contacts"]
    words = "Unproven: nothing the vendor says shows whether rows are missing."
    assert words in catalog.describe("crm", resource)
    run = load("crm")
    with access.exclusive(), access.connected() as query:
        assert reconciled(query, "crm", "contacts", "713", run).said == words
    other = catalog.describe("ads", catalog.outline("ads").resources["costs"])
    assert "Proven: rows are as many as the vendor counts." in other
    assert catalog.title("crm") == "A CRM" and "https://ads.example/docs" in other


def test_doctor_asks_whether_the_account_answers(
    project: Project, server: VendorServer, vendor: Vendor
) -> None:
    describe(project, crm=CRM)
    vendor.contacts = [contact(1), contact(2), contact(3)]
    project.add_api_client("713", "crm", api_key="key-713", base_url=server.url)
    assert accounts.probe("crm", get_client("713")) == ("the account answers: 2 contacts on a page")


def test_a_name_that_leads_into_a_private_network_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    places = {"inside.example": "10.0.0.5", "meta.example": "169.254.169.254"}
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *_: [(0, 0, 0, "", (places.get(host, "9.9.9.9"), 0))]
    )
    check_public("api.example")
    check_public("10.0.0.5")  # who writes the address itself means it
    for host in places:
        with pytest.raises(ConfigurationError, match=f"{host} lies in a private network; if"):
            check_public(host)


def test_what_stands_in_braces_are_the_sources_own_arguments(
    described: Callable[[str, str], ModuleType],
) -> None:
    module: Any = described("crm", CRM.replace('"https://crm', '"https://{shop}.crm', 1))
    arguments = inspect.signature(module.crm).parameters
    assert {"api_key", "shop", "base_url", "timezone"} <= {*arguments}
    assert "since" not in arguments
    settings = module.Settings.model_fields
    assert "SecretStr" in str(settings["api_key"].annotation)
    assert settings["shop"].annotation is str


def test_a_field_that_sql_has_a_word_for_is_proposed_under_another_name() -> None:
    rows = [{"order": 1, "1st": "a", "Group": {"to": 2}, "a__b": 3}]
    assert columns_in(rows) == {
        "field_order": ("bigint", "order"),
        "field_1st": ("text", "1st"),
        "group_to": ("bigint", "Group.to"),
        "a_b": ("bigint", "a__b"),
    }
