"""The stand-in for Mautic has the traps that the source has to get around, and the sandbox's
Mautics load.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from signalroom_dagster.sandbox import mautic
from signalroom_dagster.sandbox.market import sales_of
from signalroom_dagster.sandbox.mautic_data import MauticInstance, contact_row
from signalroom_dagster.sandbox.vendor_server import serve
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project


@pytest.fixture
def instance() -> MauticInstance:
    instance = MauticInstance("713", "id", "secret")
    for number, day in ((1, 3), (2, 5), (3, 4)):
        added = datetime(2026, 3, day, tzinfo=UTC)
        instance.contacts[number] = contact_row(number, added, email=f"c{number}@example.test")
    return instance


@pytest.fixture
def http(instance: MauticInstance) -> Iterator[httpx.Client]:
    with (
        serve(mautic.routes([instance])) as server,
        httpx.Client(base_url=f"{server.url}/mautic/713") as client,
    ):
        client.headers["Authorization"] = f"Bearer {instance.new_token()}"
        yield client


def listed(http: httpx.Client, **params: Any) -> list[str]:
    return list(http.get("/api/contacts", params=params).json()["contacts"])


def test_contacts_come_by_last_activity_unless_ordered_by_a_column(http: httpx.Client) -> None:
    assert listed(http) == ["2", "3", "1"]
    assert listed(http, orderBy="id", limit=0) == ["1", "2", "3"]
    assert http.get("/api/contacts", params={"orderBy": "dateModified"}).status_code == 500
    assert http.get("/api/emails", params={"orderBy": "dateModified"}).status_code == 200


def test_an_unknown_search_is_one_for_text(http: httpx.Client) -> None:
    assert listed(http, search="c2@example") == ["2"]
    assert listed(http, search="dateModified:>=2026-01-01") == []


def test_a_token_is_not_given_for_json(http: httpx.Client) -> None:
    wanted = {"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret"}
    assert http.post("/oauth/v2/token", json=wanted).status_code == 400
    assert http.post("/oauth/v2/token", data=wanted).json()["token_type"] == "bearer"


def test_an_old_token_and_a_foreign_one_are_refused(
    http: httpx.Client, instance: MauticInstance
) -> None:
    instance.tokens = dict.fromkeys(instance.tokens, 0.0)
    assert (
        http.get("/api/contacts").json()["errors"][0]["message"]
        == "The access token provided has expired."
    )
    instance.tokens.clear()
    assert http.get("/api/contacts").json()["errors"][0]["type"] == "invalid_grant"


def test_every_buyer_of_both_clients_is_a_contact(project: Project) -> None:
    with serve(mautic.routes()) as server:
        for client in ("713", "cti"):
            project.add_api_client(client, "mautic", **mautic.settings(client, server.url))
            load("mautic", client)
    counted = dict(ask("SELECT _client_id, count(*) FROM mautic.contacts GROUP BY 1"))
    assert counted == {client: len(sales_of(client)) for client in ("713", "cti")}
    assert ask(
        "SELECT count(*) FROM mautic.email_stats s LEFT JOIN mautic.contacts c ON c._client_id ="
        " s._client_id AND c.id = s.lead_id LEFT JOIN mautic.emails e ON e._client_id ="
        " s._client_id AND e.id = s.email_id WHERE c.id IS NULL OR e.id IS NULL"
    ) == [(0,)]
    assert ask(
        "SELECT count(*) FROM mautic.emails e WHERE sent_count <> (SELECT count(*) FROM"
        " mautic.email_stats s WHERE s._client_id = e._client_id AND s.email_id = e.id)"
    ) == [(0,)]
    assert ask("SELECT count(*) FROM mautic.windows WHERE rows <> vendor_total") == [(0,)]
