"""The stand-in vendors, by the source that asks them."""

from collections.abc import Mapping
from typing import Protocol

from starlette.routing import BaseRoute

from signalroom_dagster.sandbox import everflow, google_sheets, mautic, posthog, redtrack


class Vendor(Protocol):
    """What a stand-in's module offers."""

    def routes(self) -> list[BaseRoute]:
        """The vendor's paths, with the data of the sandbox's clients."""
        ...

    def settings(self, client_id: str, url: str) -> Mapping[str, str]:
        """A client's settings of the source, given the server's URL."""
        ...


VENDORS: Mapping[str, Vendor] = {
    "everflow": everflow,
    "google_sheets": google_sheets,
    "mautic": mautic,
    "posthog": posthog,
    "redtrack": redtrack,
}
