"""What every channel takes and what can come of it. How a provider is asked stands in one file per
channel.

No secret, no address, no phone number and no text of a message ever gets into one of these errors.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from signalroom_dagster.errors import SignalRoomError

Channel = Literal["slack", "email", "sms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG that goes with a message; `alt` says in words what it shows."""

    name: str
    content: bytes
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message to one recipient: a Slack channel (id or name), an e-mail address, or a number in
    E.164.

    `text` is mrkdwn for Slack and plain text elsewhere; `html` is e-mail's, and shows a picture as
    `cid:<name>`. `key` stands for one delivery: the same key is the same delivery, however often it
    is tried.
    """

    channel: Channel
    recipient: str
    text: str
    key: str
    subject: str = ""
    html: str | None = None
    pictures: tuple[Picture, ...] = ()


class NotConfiguredError(SignalRoomError):
    """The channel lacks settings; names them. Callers skip the message with a warning."""


class PermanentDeliveryError(SignalRoomError):
    """The provider refused the message, and would again."""

    retried = False


class RetryableDeliveryError(SignalRoomError):
    """Certainly not sent; `in_doubt`: it may be, and is safe to send again with the same key and
    words.

    `retry_after`: seconds that the provider asks for.
    """

    def __init__(
        self, message: str, retry_after: float | None = None, *, in_doubt: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.in_doubt = in_doubt


class UnknownOutcomeError(SignalRoomError):
    """It may or may not have been sent: look it up before anybody sends it again.

    Of a look-up: the provider cannot tell; `passing`: it may be able to a little later.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


BeforeCall: TypeAlias = Callable[[], None]
"""Called right before the one request that can make a message arrive; what it raises keeps that
from being made.
"""


class Sender(Protocol):
    """What sends and looks up: a channel, all of them (`notifications.delivery`), or a test's
    own.
    """

    def send(self, message: Message, before: BeforeCall) -> str:
        """Send a message; the provider's id of it. Raises the errors above."""
        ...

    def look_up(self, message: Message, since: datetime, others: Collection[str]) -> str | None:
        """The provider's id of a message that was sent since then (UTC), or None when it certainly
        was not.

        `others` are ids of other messages, which it cannot be. Raises UnknownOutcomeError when the
        provider cannot tell, and NotConfiguredError.
        """
        ...
