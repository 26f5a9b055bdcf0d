"""What the channels' stand-ins have in common: the account, and what was sent through it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT, TOKEN = "ACsandbox", "sandbox-token"
"""The one account at each provider, and its secret."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a provider took: its id there, who gets it, the text, and all that came with
    it.
    """

    id: str
    channel: str
    recipient: str
    text: str
    key: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Outbox:
    """Everything that was sent, in order; `files` are pictures by their id at Slack, `shown` where
    they were put.
    """

    sent: list[Sent] = field(default_factory=list[Sent])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    shown: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])

    def of(self, channel: str) -> list[Sent]:
        """What was sent through one channel."""
        return [sent for sent in self.sent if sent.channel == channel]
