"""What is sent, and what can come of sending it: the contract between those that have something to say and channels.

No channel's own words here, and nothing of reports, clients or Dagster.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Channel: TypeAlias = Literal["slack", "email", "sms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG that goes with a message; an e-mail's HTML shows it as `cid:<name>`."""

    name: str
    content: bytes
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message to one recipient: a channel's id or name, an e-mail address, or a number in E.164.

    `key` is the idempotency key, the same each time one delivery is tried.
    """

    channel: Channel
    recipient: str
    subject: str = ""
    text: str
    html: str | None = None
    pictures: tuple[Picture, ...] = ()
    key: str


class NotConfiguredError(Exception):
    """The channel has no credentials: the message is skipped with a warning."""


class PermanentDeliveryError(Exception):
    """The provider refused the message: trying again would not help."""


class RetryableDeliveryError(Exception):
    """Certainly not sent, and may be tried again; `retry_after` are the seconds that the provider asks to wait."""

    def __init__(self, said: str, retry_after: float | None = None) -> None:
        super().__init__(said)
        self.retry_after = retry_after


class UnknownOutcomeError(Exception):
    """May or may not have been sent: never sent again by itself."""
