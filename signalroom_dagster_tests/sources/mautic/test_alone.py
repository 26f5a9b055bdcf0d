"""Mautic runs alone: with dlt and a stock destination, twice without doubling, and gives what a
load gives.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from dlt.extract import DltSource

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.sandbox.mautic_data import MauticInstance, campaign_row, dnc_row
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.sources.mautic import TABLES, mautic
from signalroom_dagster_tests.loads import load
from signalroom_dagster_tests.sources.alone import (
    expect_the_rows_of_the_load,
    rows_alone,
    run_alone,
)
from signalroom_dagster_tests.sources.mautic.instances import ago, touch


def alone(server: VendorServer, **arguments: Any) -> DltSource:
    return mautic(
        base_url=f"{server.url}/mautic/713",
        client_id="id-713",
        client_secret="secret-713",
        requests_per_minute=60_000,
        **arguments,
    )


def test_mautic_alone_loads_twice_what_a_load_loads(
    vendor: VendorServer, instance: MauticInstance, tmp_path: Path
) -> None:
    touch(instance, 1, ago(minutes=5), points=15, doNotContact=[dnc_row(1)])
    instance.campaigns = {1: campaign_row(1, "Onboarding", 5)}
    load("mautic", "713")
    for _ in range(2):
        run_alone(tmp_path, alone(vendor))
    expect_the_rows_of_the_load(tmp_path, "mautic", TABLES)


def test_alone_a_deleted_email_vanishes_and_a_changed_contact_takes_its_own_place(
    server: VendorServer, instance: MauticInstance, tmp_path: Path
) -> None:
    run_alone(tmp_path, alone(server))
    del instance.emails[6]
    touch(instance, 2, ago(minutes=5), points=7)
    run_alone(tmp_path, alone(server))
    assert rows_alone(tmp_path, "mautic", "emails", ["id"]) == [(5,)]
    assert rows_alone(tmp_path, "mautic", "contacts", ["id", "points"]) == [(1, 0), (2, 7), (3, 0)]


def test_a_policy_of_hashing_needs_a_key_also_alone(server: VendorServer) -> None:
    with pytest.raises(ConfigurationError, match="source mautic: .* check hash_key"):
        alone(server, fields={"Email": "hash"})
    keyed = alone(server, fields={"Email": "hash", "*": "drop"}, hash_key="key")
    assert [len(json.loads(row["fields"])["email"]) for row in keyed.resources["contacts"]] == [
        64,
        64,
        64,
    ]
