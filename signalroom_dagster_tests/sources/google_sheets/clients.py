"""Clients that read sheets, and what a load leaves behind."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from signalroom_dagster.loading.pipelines import open_load
from signalroom_dagster.registry.clients import get_client
from signalroom_dagster.sandbox.google_sheets import account_email, service_account_key
from signalroom_dagster.sandbox.vendor_server import VendorServer
from signalroom_dagster.warehouse import access
from signalroom_dagster_tests.projects import Project

SPEND: Mapping[str, Any] = {
    "spreadsheet_id": "book-713",
    "range": "'Spend 2026'!A1:Z",
    "columns": {
        "date": "date",
        "source": "text",
        "cost": "decimal",
        "note": "text",
        "active": "bool",
    },
}
BUDGETS: Mapping[str, Any] = {
    "spreadsheet_id": "book-713",
    "range": "Budgets!A1:Z",
    "columns": {"month": "date", "budget": "integer"},
}
_runs = itertools.count(1)


def add_client(
    project: Project,
    server: VendorServer,
    client_id: str = "713",
    sheets: Mapping[str, Any] | None = None,
    **settings: str,
) -> None:
    """A client whose service account is known to the stand-in, with `spend` when no sheets are
    given.
    """
    values = {
        "credentials": json.dumps(service_account_key(account_email(client_id), server.url)),
        "sheets": json.dumps(sheets or {"spend": SPEND}),
        "base_url": f"{server.url}/google_sheets",
        "requests_per_minute": "600",
    }
    project.add_api_client(client_id, "google_sheets", **{**values, **settings})


def load_with_notes(client_id: str = "713") -> Mapping[str, Mapping[str, str]]:
    """Load everything of a client; what its source noted."""
    run_id = f"noted-{next(_runs)}"
    with access.exclusive(), open_load("google_sheets", get_client(client_id), run_id) as opened:
        opened.pipeline.run(opened.source)
        return opened.notes
