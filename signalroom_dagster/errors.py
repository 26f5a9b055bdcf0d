"""What SignalRoom raises itself, as one tree: how a failure is handled stands on its class."""

from typing import ClassVar, Literal

Concern = Literal["", "settings", "request", "warehouse"]


class SignalRoomError(Exception):
    """The root. Messages name the client, the source and what to do, and hold no secret.

    `retried`: whether another attempt may succeed. `told`: whether the message alone says what
    happened; the command line adds the class to all others. `concerns`: what an alert makes of it:
    "request" alerts nobody, "warehouse" is one incident for everybody.
    """

    retried: ClassVar[bool] = True
    told: ClassVar[bool] = True
    concerns: ClassVar[Concern] = ""


class ConfigurationError(SignalRoomError):
    """Something a person has to set or correct. Names the key, never its value."""

    retried = False
    concerns = "settings"


class WrongRequestError(ConfigurationError):
    """What a person asked for cannot be: answered where it was asked. Nothing is broken."""

    concerns = "request"
