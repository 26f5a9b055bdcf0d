"""Contacts in the warehouse are Mautic's: new, changed, deleted and merged ones, whatever happens
between two pages.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.sandbox.mautic_data import MauticInstance, contact_row, dnc_row, utm_row
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.http import VendorDataError
from signalroom_dagster.sources.s3_exports.layouts import plan_columns
from signalroom_dagster_tests.loads import ask, load
from signalroom_dagster_tests.projects import Project
from signalroom_dagster_tests.sources.mautic.instances import (
    ADDED,
    ago,
    configure,
    ids,
    iso,
    read,
    swept_days_ago,
    touch,
)


def fields() -> Any:
    return json.loads(read("contacts").rows[0]["fields"])


def wheres(vendor: VendorServer) -> list[tuple[str | None, str | None]]:
    """What each request for contacts asked for beside ids: a column and a value."""
    return [
        (r.query.get("where[1][col]"), r.query.get("where[1][val]"))
        for r in vendor.asked("/api/contacts")
    ]


def test_a_contact_is_what_mautic_says(vendor: VendorServer, instance: MauticInstance) -> None:
    touch(instance, 1, datetime(2026, 3, 4, 8, tzinfo=UTC), points=15)
    load("mautic", "713", "contacts")
    assert ask(
        "SELECT id, is_published, date_added, date_modified, points, owner_id, stage_id, stage,"
        " _client_id FROM mautic.contacts ORDER BY id"
    )[:2] == [
        (1, True, ADDED, datetime(2026, 3, 4, 8, tzinfo=UTC), 15, 1, 2, "Customer", "713"),
        (2, True, ADDED, None, 0, 1, 2, "Customer", "713"),
    ]


def test_two_loads_leave_what_one_does(vendor: VendorServer) -> None:
    tables = ("contacts", "emails", "campaigns", "email_stats")
    load("mautic", "713")
    first = {table: ids(table) for table in tables}
    load("mautic", "713")
    assert {table: ids(table) for table in tables} == first
    assert [len(first[table]) for table in tables] == [3, 2, 0, 6]


def test_a_second_load_reads_only_what_changed_or_is_new(
    vendor: VendorServer, instance: MauticInstance
) -> None:
    load("mautic", "713", "contacts")
    touch(instance, 2, ago(minutes=5), points=7)
    touch(instance, 3, ago(minutes=20), points=9)
    instance.contacts[4] = contact_row(4, ago(minutes=5), email="c4@example.test")
    vendor.requests.clear()
    load("mautic", "713", "contacts")
    assert ask("SELECT id, points FROM mautic.contacts ORDER BY id") == [
        (1, 0),
        (2, 7),
        (3, 0),
        (4, 0),
    ]
    asked = wheres(vendor)
    assert [column for column, _ in asked] == ["dateModified", "dateAdded"]
    assert all(
        value and datetime.fromisoformat(value).replace(tzinfo=UTC) < ago(minutes=9)
        for _, value in asked
    )


def test_deleted_and_merged_contacts_vanish_with_the_sweep_of_a_week(
    vendor: VendorServer, instance: MauticInstance
) -> None:
    load("mautic", "713", "contacts")
    del instance.contacts[2]
    load("mautic", "713", "contacts")
    assert ids("contacts") == [1, 2, 3]
    swept_days_ago("contacts", 8)
    load("mautic", "713", "contacts")
    assert ids("contacts") == [1, 3]
    assert ask("SELECT swept_at > %s FROM mautic.windows", ago(days=1)) == [(True,)]


@pytest.mark.parametrize(("days", "replaces"), [(6, "keys"), (7, "client")])
def test_a_sweep_is_due_after_seven_days(duck: VendorServer, days: int, replaces: str) -> None:
    assert read("contacts", after=read("contacts"), swept=ago(days=days)).replaces == replaces


def test_an_empty_mautic_empties_its_client_and_no_other(
    vendor: VendorServer, any_warehouse: Project, instance: MauticInstance, other: MauticInstance
) -> None:
    configure(any_warehouse, vendor, other)
    tables = ("contacts", "emails", "email_stats")
    for client in ("713", "cti"):
        load("mautic", client)
    instance.contacts.clear()
    instance.emails.clear()
    instance.stats.clear()
    swept_days_ago("contacts", 8)
    swept_days_ago("email_stats", 31)
    load("mautic", "713")
    assert {table: ids(table, "713") for table in tables} == dict.fromkeys(tables, [])
    assert {table: len(ids(table, "cti")) for table in tables} == {
        "contacts": 3,
        "emails": 2,
        "email_stats": 6,
    }


def test_rows_that_come_and_go_between_pages_are_neither_lost_nor_doubled(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    configure(project, duck, instance, page_size="2")
    pages: list[str] = []

    def change(path: str) -> None:
        pages.append(path)
        if len(pages) == 1:
            instance.contacts[1]["lastActive"] = iso(ago())
            del instance.contacts[1]
            instance.contacts |= {
                number: contact_row(number, ADDED, email="x") for number in (8, 9)
            }

    instance.after_page = change
    found = read("contacts")
    assert found.ids == [
        1,
        2,
        3,
        8,
        9,
    ]  # 1 was read before it was deleted: the next sweep sees to it
    assert found.reading.counted == 4


def test_a_server_that_gives_less_than_was_asked_for_is_asked_on(
    duck: VendorServer, instance: MauticInstance
) -> None:
    instance.largest_page = 1
    assert read("contacts").ids == [1, 2, 3]
    assert len(read("email_stats").ids) == 6


@pytest.mark.parametrize("unseen", [{2}, {3}, {1, 2, 3}])
def test_a_list_that_shows_less_than_it_counts_does_not_replace_the_whole(
    duck: VendorServer, instance: MauticInstance, unseen: set[int]
) -> None:
    instance.unseen = frozenset(unseen)
    with pytest.raises(VendorDataError, match=f"shows {3 - len(unseen)} rows and counts 3"):
        read("contacts")


def test_contacts_that_come_after_the_last_page_are_read_when_the_count_names_them(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    configure(project, duck, instance, page_size="2")
    changes = [
        lambda: instance.contacts.pop(3),
        lambda: instance.contacts.update({number: contact_row(number, ADDED) for number in (4, 5)}),
    ]
    instance.after_page = lambda _: changes.pop(0)() and None if changes else None
    found = read("contacts")
    assert found.ids == [1, 2, 4, 5]
    assert found.reading.counted == 4


def test_collections_come_as_lists_too(duck: VendorServer, instance: MauticInstance) -> None:
    instance.as_lists = True
    assert read("contacts").ids == [1, 2, 3]
    assert read("emails").ids == [5, 6]


@pytest.mark.parametrize("resource", ["contacts", "emails", "campaigns", "email_stats"])
def test_an_empty_collection_of_either_form_is_no_row(
    duck: VendorServer, instance: MauticInstance, resource: str
) -> None:
    for rows in (instance.contacts, instance.emails, instance.stats):
        rows.clear()
    found = read(resource)
    assert found.rows == []
    assert found.reading.counted == 0


def test_the_days_of_a_run_reach_back_further_than_the_last_load(
    duck: VendorServer, instance: MauticInstance
) -> None:
    first = read("contacts")
    touch(instance, 2, ADDED, points=7)
    assert read("contacts", after=first).ids == []
    again = read("contacts", after=first, since=ADDED.date())
    assert {row["id"]: row["points"] for row in again.rows} == {1: 0, 2: 7, 3: 0}
    assert (again.replaces, again.why) == ("keys", "changed or new since 2026-03-02 05:00:00 UTC")


def test_by_default_no_field_that_names_or_reaches_a_person_is_stored(
    duck: VendorServer, instance: MauticInstance
) -> None:
    instance.contacts[1] = contact_row(
        1,
        ADDED,
        email="c1@example.test",
        firstname="Ada",
        lastname="Test",
        phone="202-555-0101",
        mobile="2025550101",
        address1="1 Maple Street",
        state="OH",
        last_offer="Home Safety Course",
    ) | {"doNotContact": [dnc_row(1)], "utmtags": {"0": utm_row(1, ADDED, "facebook")}}
    row = read("contacts").rows[0]
    assert json.loads(row["fields"]) == {"id": 1, "state": "OH", "last_offer": "Home Safety Course"}
    assert json.loads(row["do_not_contact"]) == [
        {"id": 1, "reason": 2, "channel": "email", "channelId": 1}
    ]
    assert json.loads(row["utm_tags"])[0]["utmSource"] == "facebook"
    for secret in ("example.test", "192.0.2.", "Ada", "Admin", "Maple", "0101", "550 no such"):
        assert secret not in str(row)


def test_fields_are_kept_hashed_and_dropped_as_configured(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    policy = {"Firstname": "keep", "email": "hash", "*": "drop"}
    configure(project, duck, instance, fields=json.dumps(policy), hash_key="key-of-713")
    digest = (
        plan_columns(["email"], {"email": "hash"}, "key-of-713").digest(b"c1@example.test").decode()
    )
    assert fields() == {"firstname": "Ada", "email": digest}  # as the exports' is: joinable


def test_email_is_hashed_as_soon_as_there_is_a_key(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    assert "email" not in fields()
    configure(project, duck, instance, hash_key="key-of-713")
    assert len(fields()["email"]) == 64


def test_a_policy_of_hashing_needs_the_clients_own_key(
    duck: VendorServer, project: Project, instance: MauticInstance
) -> None:
    configure(project, duck, instance, fields='{"email": "hash"}')
    with pytest.raises(
        ConfigurationError, match="hash_key is missing.*SOURCES__MAUTIC__CLIENTS__713__HASH_KEY"
    ):
        read("contacts")


@pytest.mark.parametrize("empty", [[], {"all": []}, {"all": {}}, None])
def test_empty_fields_come_as_a_list(
    duck: VendorServer, instance: MauticInstance, empty: Any
) -> None:
    instance.contacts = {
        1: {**contact_row(1, ADDED), "fields": empty, "owner": None, "stage": None}
    }
    assert fields() == {}


@pytest.mark.parametrize(
    "never", ["-0001-11-30T00:00:00+00:00", "0000-00-00 00:00:00", "10000-01-01T00:00:00+00:00"]
)
def test_a_date_that_is_none_costs_its_own_cell_alone_and_is_told(
    vendor: VendorServer, instance: MauticInstance, never: str
) -> None:
    instance.contacts[2]["dateIdentified"] = never
    load("mautic", "713", "contacts")
    assert ask("SELECT id, date_added FROM mautic.contacts ORDER BY id") == [
        (n, ADDED) for n in (1, 2, 3)
    ]
    assert ask("SELECT date_identified FROM mautic.contacts WHERE id = 2") == [(None,)]
    ((aside,),) = ask(
        "SELECT CAST(set_aside AS text) FROM mautic.windows WHERE resource = 'contacts'"
    )
    (entry,) = json.loads(aside)
    assert (entry["column"], entry["count"], entry["keys"]) == ("date_identified", 1, ["id=2"])


def test_contacts_none_of_which_has_an_id_do_not_empty_the_table(vendor: VendorServer) -> None:
    load("mautic", "713", "contacts")
    ask("UPDATE mautic.windows SET swept_at = NULL, read_cursor = NULL RETURNING 1")
    vendor.fail("/api/contacts", status=200, body='{"total": "1", "contacts": [{}]}')
    with pytest.raises(VendorDataError, match="only 0 of 1 rows can be read"):
        load("mautic", "713", "contacts")
    assert len(ids("contacts")) == 3
