"""What a client's configuration says about its Everflow network."""

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import ConfigDict, Field, SecretStr, field_validator

from signalroom_dagster.addresses import Address
from signalroom_dagster.config import ClientOnly
from signalroom_dagster.sources.days import DaySettings


class Settings(DaySettings):
    """`[sources.everflow.clients.<id>]`. `advertiser_ids` narrows everything that is read to these
    advertisers.

    `timezone` is the zone whose days the reports count, the client's own by default. Everflow keeps
    raw rows for the days named here, today included; older ones are never asked for.
    """

    model_config = ConfigDict(frozen=True)

    api_key: Annotated[SecretStr, ClientOnly()] = Field(min_length=1)
    advertiser_ids: Annotated[list[int], ClientOnly()] = []
    base_url: Address = "https://api.eflow.team"
    timezone: str | None = None
    conversions_kept_days: int = 365
    clicks_kept_days: int = 90
    requests_per_minute: int = Field(default=300, gt=20)

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str | None) -> str | None:
        if name is not None and name not in available_timezones():
            raise ValueError("must be an IANA time zone, such as America/New_York")
        return name
