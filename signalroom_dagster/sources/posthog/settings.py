"""What a client's configuration says about its PostHog project."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from signalroom_dagster.addresses import Address
from signalroom_dagster.config import ClientOnly
from signalroom_dagster.sources.days import DaySettings

LARGEST_PAGE = 50_000
"""PostHog shortens a larger LIMIT without a word."""


class Settings(DaySettings):
    """`[sources.posthog.clients.<id>]`. Days are those on which PostHog took the events in.

    An event whose own time lies more than `lateness_days` before that (an import, a phone that was
    offline) is looked for apart, in a scan of the whole project; `read_older = false` leaves such
    events out. What came in during the last `settle_minutes` is left for the next run.
    `days_at_once` is the longest stretch that is loaded in one piece.
    """

    model_config = ConfigDict(frozen=True)

    api_key: Annotated[SecretStr, ClientOnly()] = Field(min_length=1)
    project_id: Annotated[int, ClientOnly()] = Field(gt=0)
    host: Address = "https://us.posthog.com"
    lookback: int | None = Field(default=None, ge=1)
    lateness_days: int = Field(default=30, ge=1)
    read_older: bool = True
    settle_minutes: int = Field(default=3, ge=0)
    days_at_once: int = Field(default=7, ge=1, le=31)
    page_rows: int = Field(default=10_000, ge=1, le=LARGEST_PAGE)
    queries_per_minute: int = Field(default=100, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _two_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        """`lookback` is another name of `lookback_days`."""
        days = values.get("lookback")
        return values if days is None else {**values, "lookback_days": days}

    @field_validator("api_key")
    @classmethod
    def _opens_the_api(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value().startswith("phc_"):
            raise ValueError(
                "this is a project token (phc_...), which opens nothing: a personal API key"
                " (phx_...) is needed, with query:read, feature_flag:read and experiment:read"
            )
        return key

    @field_validator("host")
    @classmethod
    def _answers_questions(cls, host: str) -> str:
        if ".i.posthog.com" in host:
            raise ValueError(
                "this host only takes events in: use https://us.posthog.com or"
                " https://eu.posthog.com"
            )
        return host
