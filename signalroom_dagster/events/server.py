"""Runs the gateway: one process, until SIGTERM or Ctrl-C; what is under way is then finished first.

https://www.uvicorn.org/settings/
"""

import socket
from collections.abc import Callable
from functools import partial

import uvicorn

from signalroom_dagster.clients import load_clients
from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.events.access import check_bind, configured_access
from signalroom_dagster.events.contracts import load_contracts
from signalroom_dagster.events.gateway import gateway_app
from signalroom_dagster.events.metrics import More
from signalroom_dagster.events.settings import event_settings, oidc_settings, tenant_access, trigger_access
from signalroom_dagster.events.stores.opening import open_store
from signalroom_dagster.events.webhooks import Webhooks
from signalroom_dagster.triggers import trigger_run

KEEP_ALIVE_SECONDS = 620
"""Longer than load balancers keep a connection (Google's: 600 s): else a request is sometimes sent into its closing."""
SHUTDOWN_SECONDS = 20
CONNECTIONS = 4_000


def serve(host: str, port: int, more_metrics: More | None = None, announce: Callable[[], None] | None = None) -> None:
    """Serve until told to stop; webhooks start their runs through the configured Dagster.

    `announce` is called once nothing stands in the way. Raises ConfigurationError before anything is listened on.
    """
    settings, contracts, clients = event_settings(), load_contracts(), load_clients()
    access = configured_access(tenant_access(), oidc_settings(), frozenset(contracts))
    check_bind(host, access)
    webhooks = Webhooks(partial(trigger_run, by="webhook"), trigger_access(), clients)
    app = gateway_app(open_store(settings), contracts, access, settings, webhooks, more_metrics)
    _check_free(host, port)
    if announce:
        announce()
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,  # it would write the tokens of webhooks
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        limit_concurrency=CONNECTIONS,
        lifespan="on",
    )


def _check_free(host: str, port: int) -> None:
    """Uvicorn would say it to a log that nobody reads, and end."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise ConfigurationError(f"http://{host}:{port} cannot be listened on: {error.strerror}") from None
