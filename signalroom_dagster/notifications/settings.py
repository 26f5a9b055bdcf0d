"""What each channel has to be told, from `[notifications.<channel>]` or
`NOTIFICATIONS__<CHANNEL>__<KEY>`.
"""

from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, Field, SecretStr

from signalroom_dagster.addresses import Address
from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.notifications.message import NotConfiguredError
from signalroom_dagster.sections import section_settings

Text: TypeAlias = Annotated[str, Field(min_length=1)]
Secret: TypeAlias = Annotated[SecretStr, Field(min_length=1)]


class Slack(BaseModel):
    """A bot token with chat:write, files:write and, for look-ups, channels:history and
    channels:read.
    """

    token: Secret
    base_url: Address = "https://slack.com/api/"
    channel: str | None = None
    timeout_seconds: int = Field(default=20, gt=0)


class Email(BaseModel):
    """A Resend account and the verified sender."""

    api_key: Secret
    from_address: Text
    base_url: Address = "https://api.resend.com"
    timeout_seconds: float = Field(default=30, gt=0)


class Sms(BaseModel):
    """A Twilio account and a number of its own."""

    account_sid: Text
    auth_token: Secret
    from_number: Text
    base_url: Address = "https://api.twilio.com"
    timeout_seconds: float = Field(default=30, gt=0)


Settings = TypeVar("Settings", Slack, Email, Sms)


def configured(model: type[Settings]) -> Settings:
    """The settings of a channel. Raises NotConfiguredError naming what to set."""
    channel = model.__name__.lower()
    try:
        return section_settings(model, "notifications", channel)
    except ConfigurationError as error:
        raise NotConfiguredError(f"{channel} is not configured: {error}") from None
