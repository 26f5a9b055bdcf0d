"""What a client's configuration says about its RedTrack account."""

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import ConfigDict, Field, SecretStr, field_validator

from signalroom_dagster.addresses import Address
from signalroom_dagster.config import ClientOnly
from signalroom_dagster.sources.days import DaySettings


class Settings(DaySettings):
    """`[sources.redtrack.clients.<id>]`.

    `account_timezone` is the zone that the account itself is set to: logs are filtered by its days
    and may tell times without a zone. Unset, days around are read too, whatever the zone, and times
    without one are the client's. RedTrack allows 20 reports a minute; one is left to requests that
    are long on their way.
    """

    model_config = ConfigDict(frozen=True)

    api_key: Annotated[SecretStr, ClientOnly()] = Field(min_length=1)
    account_timezone: Annotated[str | None, ClientOnly()] = None
    base_url: Address = "https://api.redtrack.io"
    reports_per_minute: int = Field(default=19, gt=0)
    requests_per_minute: int = Field(default=60, gt=0)

    @field_validator("account_timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError("not a time zone name such as America/New_York")
        return value
