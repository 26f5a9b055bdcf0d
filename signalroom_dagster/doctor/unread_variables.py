"""Environment variables like ours that nothing reads: misspelled, or in small letters."""

import difflib
import os
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from signalroom_dagster.registry.clients import load_clients
from signalroom_dagster.sandboxed import MARK

PLACES = (
    "ENV",
    "DESTINATION",
    "PROJECT_DIR",
    "SECRETS_DIR",
    "STATE_DIR",
    "WORK_DIR",
    "REPORTS_DIR",
    "UI_URL",
    "WEBSERVER_URL",
    "PLAIN_HTTP_HOSTS",
)
OF_DEPLOYMENT = (
    "CODE_SERVER",
    "WEBSERVER_HOST",
    "GATEWAY",
    "STOP_SECONDS",
    "UI_USER",
    "UI_PASSWORD_HASH",
    "DOMAIN",
    "BIND",
    "IMAGE",
    "SITE",
)
DATABASE = ("HOST", "PORT", "NAME", "USER", "PASSWORD")
PREFIXES = (
    "SIGNALROOM_",
    "SUPABASE_DB_",
    "EVENTS__",
    "NOTIFICATIONS__",
    "REPORTS__",
    "INGEST__",
    "DESTINATION__",
)
DLTS_OWN = ("DESTINATION__DUCKDB__", "DESTINATION__POSTGRES__")


def unread_variables() -> Iterator[tuple[str, str]]:
    """Each such variable and what is wrong with it; never its value."""
    known = known_variables()
    for name in sorted(os.environ):
        capital = name.upper()
        if name != capital and capital.startswith((*PREFIXES, "SOURCES__")):
            yield name, f"is not read: settings are read in capital letters, as {capital}"
        elif name.startswith(PREFIXES) and name not in known and not name.startswith(DLTS_OWN):
            near = difflib.get_close_matches(name, known, n=1)
            yield (
                name,
                f"is not read; did you mean {near[0]}?"
                if near
                else "is not read: no setting has this name",
            )


def known_variables() -> frozenset[str]:
    """The names of all settings but the sources', whose keys `loading.unread_settings` knows."""
    sections = {
        "__".join((*path, key)).upper()
        for path, model in _sections().items()
        for key in model.model_fields
    }
    own = {f"SIGNALROOM_{name}" for name in (*PLACES, *OF_DEPLOYMENT)} | {
        f"SUPABASE_DB_{name}" for name in DATABASE
    }
    return frozenset(sections | own | {MARK})


def _sections() -> Mapping[tuple[str, ...], type[BaseModel]]:
    from signalroom_dagster.analysis.export import ExportSettings
    from signalroom_dagster.events.settings import EventSettings, Oidc, TenantAccess, TriggerAccess
    from signalroom_dagster.notifications.settings import Email, Slack, Sms
    from signalroom_dagster.reports.settings import ReportSettings
    from signalroom_dagster.sections import IngestSettings

    sections: dict[tuple[str, ...], type[BaseModel]] = {
        ("events",): EventSettings,
        ("events", "oidc"): Oidc,
        ("events", "export"): ExportSettings,
        ("notifications", "slack"): Slack,
        ("notifications", "email"): Email,
        ("notifications", "sms"): Sms,
        ("reports",): ReportSettings,
        ("ingest",): IngestSettings,
    }
    for client_id in load_clients():
        sections |= {
            ("events", "tenants", client_id): TenantAccess,
            ("events", "triggers", client_id): TriggerAccess,
        }
    return sections
