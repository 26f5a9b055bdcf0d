"""Runs the gateway: one process, until SIGTERM or Ctrl-C; what is under way is then finished first.

https://www.uvicorn.org/settings/
"""

import resource
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.events.access import access_at, configured_access, is_loopback
from signalroom_dagster.events.connections import Limits, guarded
from signalroom_dagster.events.contracts import load_contracts
from signalroom_dagster.events.gateway import gateway_app
from signalroom_dagster.events.metrics import More
from signalroom_dagster.events.settings import (
    EventSettings,
    event_settings,
    oidc_settings,
    tenant_access,
    trigger_access,
)
from signalroom_dagster.events.stores.opening import open_store
from signalroom_dagster.events.webhooks import Webhooks
from signalroom_dagster.registry.clients import load_clients
from signalroom_dagster.triggers import trigger_run

KEEP_ALIVE_SECONDS = 620
"""Longer than load balancers keep a connection (Google's: 600 s): else a request is sometimes sent
into its closing.
"""
SHUTDOWN_SECONDS = 20
SPARE_FILES = 100
"""Of what a process may have open, beside its connections."""


def serve(
    host: str,
    port: int,
    more_metrics: More | None = None,
    announce: Callable[[], None] | None = None,
) -> None:
    """Serve until told to stop; webhooks start their runs through the configured Dagster.

    `announce` is called once nothing stands in the way. Raises ConfigurationError before anything
    is listened on.
    """
    settings, contracts, clients = event_settings(), load_contracts(), load_clients()
    access = access_at(
        host, configured_access(tenant_access(), oidc_settings(), frozenset(contracts))
    )
    webhooks = Webhooks(partial(trigger_run, by="webhook"), trigger_access(), clients)
    store, is_private = open_store(settings), is_loopback(host)
    app = gateway_app(
        store, contracts, access, settings, webhooks, more_metrics, is_private=is_private
    )
    _check_free(host, port)
    if announce:
        announce()
    uvicorn.run(app, host=host, port=port, **server_options(settings))


def server_options(settings: EventSettings) -> dict[str, Any]:
    """How uvicorn serves the application."""
    connections = _openable(settings.connections)
    limits = Limits(
        connections, min(settings.peer_connections, connections), settings.request_seconds
    )
    return {
        "http": guarded(
            limits
        ),  # it counts connections: uvicorn would refuse everybody where many are silent
        "ws": "none",
        "log_config": None,
        "access_log": False,  # it would write the tokens of webhooks
        "server_header": False,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
        "lifespan": "on",
    }


def _openable(connections: int) -> int:
    """How many of these connections the process may have, after it has asked for as many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if 0 <= soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft < 0 else max(10, min(connections, soft - SPARE_FILES))


def _check_free(host: str, port: int) -> None:
    """Uvicorn would say it to a log that nobody reads, and end."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise ConfigurationError(
            f"http://{host}:{port} cannot be listened on: {error.strerror}"
        ) from None
