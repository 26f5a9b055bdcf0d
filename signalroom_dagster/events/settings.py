"""What the gateway and its store are told, from `[events]` or `EVENTS__<KEY>`; tokens belong to one
client each.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.events.stores.store import Retention
from signalroom_dagster.registry.clients import load_clients
from signalroom_dagster.sections import section_settings

Secret: TypeAlias = Annotated[SecretStr, Field(min_length=16)]
"""Short tokens can be guessed: 32 random characters are asked for in the documentation, 16 are the
least.
"""

GOOGLE_CERTS = "https://www.googleapis.com/oauth2/v1/certs"


class EventSettings(BaseModel):
    """`[events]`. `store` is `sqlite:///path` (relative to the project) or a `postgresql://`
    URL.
    """

    model_config = ConfigDict(frozen=True)

    store: str | None = None
    retention_hours: float = Field(default=24, gt=0)
    job_days: float = Field(default=7, gt=0)
    dead_letter_days: float = Field(default=14, gt=0)
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    max_queue: int = Field(default=5_000, ge=1)
    max_batch: int = Field(default=500, ge=1, le=5_000)
    writers: int = Field(default=1, ge=1, le=8)
    commit_seconds: float = Field(default=2, gt=0)
    connections: int = Field(default=4_000, ge=10)
    peer_connections: int = Field(default=1_000, ge=1)
    request_seconds: float = Field(default=20, gt=0)
    poison_status: Literal[204, 400] = 204
    metrics_token: Secret | None = None

    @property
    def retention(self) -> Retention:
        """How long the store keeps what."""
        return Retention(
            payloads=timedelta(hours=self.retention_hours),
            jobs=max(timedelta(days=self.job_days), timedelta(hours=self.retention_hours)),
            dead_letters=timedelta(days=self.dead_letter_days),
        )


class Oidc(BaseModel):
    """`[events.oidc]`: tokens that Google Pub/Sub signs. `email` is the service account of a
    subscription that may send for every tenant; one that may send for a single tenant stands in
    that tenant's section.
    """

    audience: str | None = None
    email: str | None = None
    certs_url: str = GOOGLE_CERTS


class TenantAccess(BaseModel):
    """`[events.tenants.<id>]`: what a sender of this client's events shows; either is enough."""

    token: Secret | None = None
    email: str | None = None


class TriggerAccess(BaseModel):
    """`[events.triggers.<id>]`: what a sender of this client's webhooks shows, and the SNS topics
    it may come from.
    """

    token: Secret | None = None
    topic_arns: list[str] = Field(default_factory=list[str])


def event_settings() -> EventSettings:
    """The settings of the gateway and its store. Raises ConfigurationError naming the key."""
    return section_settings(EventSettings, "events")


def oidc_settings() -> Oidc | None:
    """How Google's tokens are checked, or None when they are not accepted. Raises
    ConfigurationError.
    """
    oidc = section_settings(Oidc, "events", "oidc")
    emails = oidc.email or any(access.email for access in tenant_access().values())
    if emails and not oidc.audience:
        raise ConfigurationError(
            "[events.oidc] audience is missing; as an environment variable: EVENTS__OIDC__AUDIENCE"
        )
    if oidc.audience and not emails:
        raise ConfigurationError(
            "[events.oidc] email is missing; as an environment variable: EVENTS__OIDC__EMAIL"
        )
    return oidc if oidc.audience else None


def tenant_access() -> Mapping[str, TenantAccess]:
    """Each client's own token or service account. Raises ConfigurationError naming the key."""
    return {
        client: section_settings(TenantAccess, "events", "tenants", client)
        for client in load_clients()
    }


def trigger_access() -> Mapping[str, TriggerAccess]:
    """Each client's trigger token and topics. Raises ConfigurationError naming the key."""
    return {
        client: section_settings(TriggerAccess, "events", "triggers", client)
        for client in load_clients()
    }
