"""A local S3 over HTTP, on loopback and in memory: one bucket per client, filled with its exports.

It accepts any credentials and forgets everything when it stops.
https://docs.getmoto.org/en/latest/docs/server_mode.html
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.sandbox.exports import exports_of
from signalroom_dagster.sandbox.shops import SHOPS

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

REGION = "us-east-1"


def bucket_name(client_id: str) -> str:
    """The bucket that holds one client's exports."""
    return f"sandbox-{client_id.replace('_', '-')}"


def access_key(client_id: str) -> str:
    """The key id, and the secret too, that the sandbox hands out for one client's bucket."""
    return f"sandbox-{client_id}"


@contextmanager
def object_store() -> Generator[str]:
    """Run the store for the length of the block, with every client's bucket filled; yields its URL.

    One at a time in a process, since its contents belong to the process. Raises ConfigurationError
    when the `sandbox` extra is not installed.
    """
    server = _new_server()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        for client_id in SHOPS:
            _fill_bucket(url, client_id)
        yield url
    finally:
        server.stop()
        _forget_everything()


def _new_server() -> "ThreadedMotoServer":
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        raise ConfigurationError(
            "the sandbox needs moto, which is not installed: install SignalRoom with its extra"
            " `sandbox` (pip install 'signalroom[sandbox]')"
        ) from None
    return ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)


def _forget_everything() -> None:
    from moto.core.base_backend import BackendDict

    BackendDict.reset()


def _fill_bucket(url: str, client_id: str) -> None:
    client = _s3_client(url, client_id)
    bucket = bucket_name(client_id)
    client.create_bucket(Bucket=bucket)
    for key, content in exports_of(client_id):
        client.put_object(Bucket=bucket, Key=key, Body=content)


def _s3_client(url: str, client_id: str) -> Any:
    import boto3

    key = access_key(client_id)
    return boto3.client(
        "s3", endpoint_url=url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=key
    )
