"""A message in, one provider call out. A new channel is a file beside this one and a row in `CHANNELS`.

Nothing is tried again here: callers know whether a message may be sent twice.
"""

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from signalroom_dagster.notifications.message import Channel, LookUp, Message, Sender

CHANNELS: Mapping[Channel, str] = {
    "slack": "signalroom_dagster.notifications.slack",
    "email": "signalroom_dagster.notifications.email",
    "sms": "signalroom_dagster.notifications.sms",
}
"""Each channel's module, imported when it is first used: a provider's SDK costs more than a small load."""


class ChannelModule(Protocol):
    """What a channel's module offers."""

    send: Sender
    look_up: LookUp


def send(message: Message) -> str:
    """Send a message through its channel; the provider's id.

    Raises NotConfiguredError, PermanentDeliveryError, RetryableDeliveryError and UnknownOutcomeError.
    """
    return _channel(message.channel).send(message)


def look_up(message: Message) -> str | None:
    """The provider's id of a message whose outcome is unknown; None when the provider does not have it.

    For e-mail always None: sent again with the same key within a day, it is still delivered once. Raises
    UnknownOutcomeError when the provider cannot tell, and NotConfiguredError.
    """
    return _channel(message.channel).look_up(message)


def _channel(name: Channel) -> ChannelModule:
    return cast("ChannelModule", importlib.import_module(CHANNELS[name]))
