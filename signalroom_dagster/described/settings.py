"""What a client configures of a described API: whatever stands in braces is its own, never anybody
else's.
"""

from typing import Annotated, Any

from pydantic import BaseModel, Field, SecretStr, create_model

from signalroom_dagster.addresses import Address
from signalroom_dagster.config import ClientOnly
from signalroom_dagster.described.files import Api, Zone
from signalroom_dagster.sources.days import DaySettings


def described_settings(api: Api) -> type[BaseModel]:
    """The settings of `[sources.<name>.clients.<id>]`."""
    fields: dict[str, Any] = {
        name: (Annotated[SecretStr if is_secret else str, ClientOnly()], Field(min_length=1))
        for name, is_secret in api.names.items()
    }
    client, windows = api.description.client, api.description.windows
    fields["base_url"] = (Address, client.base_url)
    if api.has_own_address:
        fields["base_url"] = (Annotated[Address, ClientOnly()], ...)
    fields["requests_per_minute"] = (int, Field(default=client.requests_per_minute, gt=0))
    if windows:
        fields["timezone"] = (Zone, api.description.timezone)
    for table, window in windows.items():
        if window.kept_days:
            fields[f"{table}_kept_days"] = (int, Field(default=window.kept_days, gt=0))
    base = DaySettings if windows else BaseModel
    return create_model(f"{api.name}_settings", __base__=base, **fields)
