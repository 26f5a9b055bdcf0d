"""E-mails, their variants included, and campaigns: whole lists with what may be stored of them."""

import json

import pytest

from signalroom_dagster.sandbox.mautic_data import MauticInstance, campaign_row, email_row
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.sources.mautic.instances import read


def test_counters_move_without_a_date_of_change_and_deleted_emails_vanish(
    vendor: VendorServer, instance: MauticInstance
) -> None:
    instance.campaigns = {1: campaign_row(1, "Onboarding", 5)}
    load("mautic", "713", "emails", "campaigns")
    instance.emails[5] |= {"sentCount": 12, "readCount": 7}
    del instance.emails[6], instance.campaigns[1]
    load("mautic", "713", "emails", "campaigns")
    assert ask("SELECT id, name, sent_count, read_count, _client_id FROM mautic.emails") == [
        (5, "Welcome", 12, 7, "713")
    ]
    assert ask("SELECT count(*) FROM mautic.campaigns") == [(0,)]


def test_variants_that_the_list_leaves_out_are_rows_too(
    duck: VendorServer, instance: MauticInstance
) -> None:
    instance.emails |= {7: email_row(7, "Letter B", variantParent=6, sentCount=4)}
    found = read("emails")
    assert [(row["id"], row["variant_parent_id"], row["sent_count"]) for row in found.rows] == [
        (5, None, 0),
        (6, None, 0),
        (7, 6, 4),
    ]
    assert found.reading.counted == 3
    assert len(duck.asked("/api/emails/7$")) == 1


def test_a_variant_that_is_deleted_meanwhile_is_left_out(
    duck: VendorServer, instance: MauticInstance
) -> None:
    instance.emails |= {7: email_row(7, "Letter B", variantParent=6)}
    instance.after_page = lambda _: None if instance.emails.pop(7, None) else None
    found = read("emails")
    assert found.ids == [5, 6]
    assert found.reading.counted == 2


def test_bodies_and_addresses_of_emails_are_not_stored(
    duck: VendorServer, instance: MauticInstance
) -> None:
    instance.emails[5]["lists"] = {
        "1": {"id": 1, "name": "Buyers", "alias": "buyers", "filters": ["x@example.test"]}
    }
    rows = read("emails").rows
    assert "Hello" not in str(rows)
    assert "example.test" not in str(rows)
    assert json.loads(rows[0]["segments"]) == [{"id": 1, "name": "Buyers", "alias": "buyers"}]


@pytest.mark.parametrize("form", [dict, list])
def test_a_campaign_comes_with_its_events_and_without_their_keys(
    duck: VendorServer, instance: MauticInstance, form: type
) -> None:
    listed = campaign_row(1, "Onboarding", 5)
    listed["events"] = listed["events"] if form is dict else list(listed["events"].values())
    instance.campaigns = {1: listed}
    (row,) = read("campaigns").rows
    assert (row["name"], row["category"]) == ("Onboarding", "Onboarding")
    assert [
        (e["id"], e["parent"], e["type"], e.get("channelId")) for e in json.loads(row["events"])
    ] == [(11, None, "email.send", 5), (12, 11, "campaign.sendwebhook", None)]
    assert "sandbox-hook-secret" not in str(row)


@pytest.mark.parametrize("resource", ["contacts", "emails", "campaigns"])
def test_lists_are_ordered_by_a_name_that_contacts_and_the_others_both_know(
    duck: VendorServer, instance: MauticInstance, resource: str
) -> None:
    instance.campaigns = {1: campaign_row(1, "Onboarding", 5)}
    read(resource)
    (asked,) = duck.asked(f"/api/{resource}$")
    assert asked.query.items() >= {"orderBy": "id", "orderByDir": "asc", "start": "0"}.items()
    assert "search" not in asked.query
    assert int(asked.query["limit"]) > 0
