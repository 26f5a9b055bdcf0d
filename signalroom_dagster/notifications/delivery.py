"""A message in, one provider call out. A new channel is a file beside this one and a row in
`CHANNELS`.

Nothing is tried again here: callers know whether a message may be sent twice.
"""

import importlib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

from signalroom_dagster.notifications.message import BeforeCall, Channel, Message, Sender

CHANNELS: Mapping[Channel, str] = {
    "slack": "signalroom_dagster.notifications.slack",
    "email": "signalroom_dagster.notifications.email",
    "sms": "signalroom_dagster.notifications.sms",
}
"""Each channel's module, imported when it is first used: a provider's SDK costs more than a small
load.
"""
A_DAY = timedelta(days=1)


def send(message: Message, before: BeforeCall = lambda: None) -> str:
    """Send a message through its channel; the provider's id.

    `before` is called right before the request that can make it arrive, after all that only
    prepares it. Raises NotConfiguredError, PermanentDeliveryError, RetryableDeliveryError and
    UnknownOutcomeError.
    """
    return _channel(message.channel).send(message, before)


def look_up(
    message: Message, since: datetime | None = None, others: Collection[str] = ()
) -> str | None:
    """The provider's id of a message whose outcome is unknown; None when the provider certainly
    does not have it.

    Looked for among what was sent since then, or in the last day, and is none of `others`. Raises
    UnknownOutcomeError when the provider cannot tell, as of an e-mail, and NotConfiguredError.
    """
    return _channel(message.channel).look_up(message, since or datetime.now(UTC) - A_DAY, others)


def _channel(name: Channel) -> Sender:
    return cast("Sender", importlib.import_module(CHANNELS[name]))
