"""What any dlt source is given: the client's own section, and nothing that stands anywhere else."""

import re
from pathlib import Path

import pytest

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.redaction import redact
from signalroom_dagster.retries import root_error
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project

STRANGER = "signalroom_dagster_tests.loading.stranger"


def configured(project: Project, source: str, resource: str, name: str = "odd") -> None:
    """A source of the stranger's, which acme uses without any argument."""
    project.set(
        **{
            f"SOURCES__{name.upper()}__DLT_SOURCE": source,
            f"SOURCES__{name.upper()}__RESOURCES": f'["{resource}"]',
        }
    )
    project.add_api_client("acme", name)


def refused(words: str, source: str = "odd") -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - what dlt wraps it in is dlt's
        load(source, "acme")
    error = root_error(caught.value)
    assert isinstance(error, ConfigurationError)
    assert re.search(words, str(error)), str(error)


def test_a_key_that_a_source_looks_up_itself_is_the_clients_or_none(project: Project) -> None:
    configured(project, f"{STRANGER}:careless", "keys", "careless")
    project.set(
        API_KEY="shared-key",
        SOURCES__API_KEY="shared-key",
        SOURCES__CARELESS__API_KEY="shared-key",
        SOURCES__STRANGER__CARELESS__API_KEY="shared-key",
        SOURCES__STRANGER__KEYS__API_KEY="shared-key",
    )
    project.add_api_client("zen", "careless", api_key="key-of-zen")
    refused(
        r"client acme, source careless: \[sources.careless.clients.acme\] api_key is missing; as an"
        " environment variable: SOURCES__CARELESS__CLIENTS__ACME__API_KEY",
        "careless",
    )
    load("careless", "zen")
    project.configure("acme", "careless", api_key="key-of-acme")
    load("careless", "acme")
    found = ask("SELECT _client_id, key, other FROM careless.keys ORDER BY 1")
    assert found == [("acme", "key-of-acme", "key-of-acme"), ("zen", "key-of-zen", "key-of-zen")]


def test_a_secret_stands_in_the_clients_section_alone(project: Project) -> None:
    configured(project, f"{STRANGER}:shop", "products")
    project.set(SOURCES__ODD__ARGUMENTS='{"api_key": "shared-key", "folder": "/tmp"}')
    refused(r"api_key is a secret: .*\[sources.odd.clients.acme\]")


@pytest.mark.parametrize(
    ("source", "resource", "words"),
    [
        ("nowhere.to_be:found", "rows", "nowhere.to_be cannot be imported"),
        (f"{STRANGER}:nothing", "rows", "has no function nothing"),
        (f"{STRANGER}:KEY", "rows", "has no function KEY"),
        (f"{STRANGER}:shop", "rows", r"api_key, folder is missing"),
        (f"{STRANGER}:tagged", "cells", r"has no resource cells \(there are: rows\)"),
        (f"{STRANGER}:tagged", "rows", "a column _client_id of its own"),
        (f"{STRANGER}:windows_of_others", "panes", "a table is called windows"),
        ("os.path:join", "rows", r"\[sources.odd.clients.acme\] a is missing"),
        ("os.path:sep", "rows", "has no function sep"),
        ("os:getcwd", "rows", "gives no dlt source but str"),
    ],
)
def test_what_cannot_be_loaded_is_told_with_client_and_source(
    any_warehouse: Project, source: str, resource: str, words: str
) -> None:
    configured(any_warehouse, source, resource)
    refused(words)


def test_a_table_of_another_system_is_left_as_it_is(any_warehouse: Project, tmp_path: Path) -> None:
    configured(any_warehouse, f"{STRANGER}:shop", "products")
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "products.json").write_text('[{"id": 1}]')
    any_warehouse.configure("acme", "odd", folder=str(tmp_path / "acme"), api_key="key-of-acme")
    ask("CREATE SCHEMA odd")
    ask("CREATE TABLE odd.products (id integer)")
    refused("another system made it.*ALTER TABLE odd.products RENAME TO products_before")
    assert ask("SELECT count(*) FROM odd.products") == [(0,)]


def test_a_clients_secrets_are_in_no_words(project: Project) -> None:
    configured(project, f"{STRANGER}:shop", "products")
    project.configure(
        "acme", "odd", folder="/nowhere/else", api_key="key-of-somebody", url="x://me:hush-hush@h"
    )
    with pytest.raises(Exception, match="not that of"):
        load("odd", "acme")
    assert redact("key-of-somebody hush-hush /nowhere/else") == "*** *** /nowhere/else"


def test_what_the_machine_has_is_not_taken(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-machine")
    configured(project, "dlt.sources.filesystem:readers", "read_jsonl")
    project.configure("acme", "odd", bucket_url="s3://somebody")
    refused("no credentials are given")
