"""A real S3 over HTTP for tests: moto behind a door that refuses, delays or loses what a test
says.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote

BUCKET = "exports"
KEYS = {"aws_access_key_id": "id", "aws_secret_access_key": "no-secret"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What S3 answers instead of an object: error code and HTTP status, and how long it takes to.

    With status 200 the answer breaks off.
    """

    code: str
    status: int
    seconds: float = 0.0


@dataclass(slots=True)
class ObjectStore:
    """The running store. `refusals` are by key, of listings by prefix; `asked` is method and
    key.
    """

    url: str
    client: Any
    refusals: dict[str, Refusal] = field(default_factory=dict[str, Refusal])
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def put(self, key: str, content: bytes, **options: str) -> None:
        """Store an object; with StorageClass="GLACIER" it is archived."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, **options)

    def refuse_reading(self, key: str, refusal: Refusal) -> None:
        """Answer requests for one object so from now on."""
        self.refusals[key] = refusal

    def remove(self, key: str) -> None:
        """Remove an object."""
        self.client.delete_object(Bucket=BUCKET, Key=key)

    @property
    def settings(self) -> dict[str, str]:
        """A client's settings for this bucket."""
        return {"bucket_url": f"s3://{BUCKET}", "endpoint_url": self.url, **KEYS}


@contextmanager
def running_object_store() -> Generator[ObjectStore]:
    """Run the store, with one empty bucket, for the length of the block."""
    import boto3
    from moto.core.base_backend import BackendDict
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = DomainDispatcherApplication(create_backend_app)
    store = ObjectStore("", None)
    server = make_server("127.0.0.1", 0, _door(store, moto), threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_port}"
    named = {"region_name": "us-east-1", "endpoint_url": store.url, **KEYS}
    store.client = boto3.client("s3", **named)  # pyright: ignore[reportCallIssue, reportArgumentType]
    store.client.create_bucket(Bucket=BUCKET)
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        BackendDict.reset()


def _door(store: ObjectStore, behind: Any) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    def door(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        key = (
            unquote(environ["RAW_URI"].partition("?")[0])
            .removeprefix(f"/{BUCKET}")
            .removeprefix("/")
        )
        key = key or parse_qs(environ["QUERY_STRING"]).get("prefix", [""])[0]
        store.asked.append((method, key))
        refusal = store.refusals.get(key) if method in ("GET", "HEAD") else None
        if refusal is None:
            return behind(environ, start_response)
        time.sleep(refusal.seconds)
        promised = [("Content-Length", "100000")] if refusal.status == 200 else []
        start_response(
            f"{refusal.status} {refusal.code}", [("Content-Type", "application/xml"), *promised]
        )
        words = f"<Error><Code>{refusal.code}</Code><Message>In the words of AWS.</Message></Error>"
        return [words.encode() if method == "GET" else b""]

    return door
