"""What is listed below a bucket URL, on the file systems that need no server."""

import os
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import fsspec
import pytest

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.sources.files import BucketUnavailableError
from signalroom_dagster.sources.s3_exports import refusals
from signalroom_dagster.sources.s3_exports.bucket import Bucket
from signalroom_dagster.sources.s3_exports.settings import Settings
from signalroom_dagster_tests.object_stores import ObjectStore, Refusal

Place = Callable[[str, bytes], None]


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/bucket"
    else:
        name = f"memory://bucket-{uuid.uuid4().hex}"
        yield name
        fsspec.filesystem("memory").rm(name.removeprefix("memory:/"), recursive=True)


@pytest.fixture
def put(url: str) -> Place:
    """Stores an object below the bucket URL."""

    def write(name: str, content: bytes) -> None:
        with fsspec.open(f"{url}/{name}", "wb", auto_mkdir=True) as target:
            target.write(content)  # pyright: ignore[reportAttributeAccessIssue]

    write("orders-create/first.csv", b"id\n1\n")
    return write


def bucket(url: str) -> Bucket:
    return Bucket(Settings(bucket_url=url, prefixes=["orders-create"]), "713")


def names(url: str, prefix: str = "orders-create") -> list[str]:
    return [item.version.file_name for item in bucket(url).files(prefix)]


def test_csv_files_below_the_prefix_are_listed_by_name(url: str, put: Place) -> None:
    for name in ("z.csv", "A.CSV", "b.csv.gz", "2026/03/deep.csv", "a.txt", "csv", "a.csv.tmp"):
        put(f"orders-create/{name}", b"x")
    assert names(url) == [
        "orders-create/2026/03/deep.csv",
        "orders-create/A.CSV",
        "orders-create/b.csv.gz",
        "orders-create/first.csv",
        "orders-create/z.csv",
    ]


def test_a_prefix_that_another_one_begins_with_is_another_prefix(url: str, put: Place) -> None:
    put("orders-create-old/x.csv", b"x")
    put("orders-create.csv", b"x")
    assert names(url) == ["orders-create/first.csv"]


def test_a_prefix_without_files_is_an_empty_list(url: str, put: Place) -> None:
    assert names(url, "prospects-create") == []


def test_a_slash_after_the_bucket_url_changes_no_name(url: str, put: Place) -> None:
    assert names(f"{url}/") == names(url)


def test_a_listed_file_can_be_opened_and_has_the_size_it_says(url: str, put: Place) -> None:
    store = bucket(url)
    (item,) = store.files("orders-create")
    with store.fs.open(item.path, "rb") as stream:
        assert len(stream.read()) == item.version.size == 5


def test_a_file_that_was_written_anew_is_another_version(url: str, put: Place) -> None:
    before = bucket(url).files("orders-create")
    put("orders-create/first.csv", b"id\n2\n3\n")
    assert bucket(url).files("orders-create")[0].version != before[0].version


def test_a_file_that_nobody_touched_stays_the_same_version(url: str, put: Place) -> None:
    assert bucket(url).files("orders-create") == bucket(url).files("orders-create")


def test_the_time_of_a_file_is_utc(tmp_path: Path) -> None:
    path = tmp_path / "orders-create" / "a.csv"
    path.parent.mkdir()
    path.write_bytes(b"")
    os.utime(path, (1_772_366_400, 1_772_366_400))
    (item,) = bucket(f"file://{tmp_path}").files("orders-create")
    assert (item.modified, item.version.size) == (datetime(2026, 3, 1, 12, tzinfo=UTC), 0)


def test_a_bucket_that_does_not_exist_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    told = (
        r"client 713, s3_exports: \[sources.s3_exports.clients.713\] bucket_url file://.*/nowhere"
        r" does not exist"
    )
    with pytest.raises(ConfigurationError, match=told):
        bucket(f"file://{tmp_path}/nowhere").files("orders-create")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"bucket_url": "file:///exports"}, "check who may read it"),
        (
            {
                "bucket_url": "s3://exports",
                "aws_access_key_id": "id",
                "aws_secret_access_key": "no-secret",
            },
            "check aws_access_key_id and aws_secret_access_key",
        ),
    ],
)
def test_a_refusal_names_the_keys_to_set_and_no_secret(
    given: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("The AWS Access Key Id you provided does not exist in our records.")

    store = Bucket(Settings.model_validate({**given, "prefixes": ["orders-create"]}), "713")
    monkeypatch.setattr(store.fs, "find", refuse)
    with pytest.raises(
        ConfigurationError, match=f"{given['bucket_url']} refuses to be read: {told}$"
    ):
        store.files("orders-create")


class SlowDown(BaseHTTPRequestHandler):
    """What S3 answers when it is asked too often."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(503)
        self.end_headers()
        self.wfile.write(
            b"<Error><Code>SlowDown</Code><Message>Please reduce your request"
            b" rate.</Message></Error>"
        )

    def log_message(self, *_: object) -> None: ...


def test_a_bucket_that_cannot_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlowDown, "asked", [])
    key = {"aws_access_key_id": "id", "aws_secret_access_key": "no-secret"}
    with ThreadingHTTPServer(("127.0.0.1", 0), SlowDown) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        given = {
            "bucket_url": "s3://exports",
            "prefixes": ["orders-create"],
            "endpoint_url": address,
            **key,
        }
        told = "^client 713, s3_exports: s3://exports at http://127.0.0.1:.*: it answers SlowDown"
        with pytest.raises(BucketUnavailableError, match=told):
            Bucket(Settings.model_validate(given), "713").files("orders-create")
        server.shutdown()
    assert len(SlowDown.asked) == 1


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refusal("AccessDenied", 403), refusals.REFUSED),
        (Refusal("KMS.DisabledException", 400), refusals.KEYLESS),
        (Refusal("KMS.KMSInvalidStateException", 400), refusals.KEYLESS),
        (Refusal("InvalidRequest", 400), refusals.CUSTOMER_KEY),
        (Refusal("NoSuchKey", 404), refusals.VANISHED),
        (
            Refusal("MethodNotAllowed", 405),
            "cannot be read: the bucket answers MethodNotAllowed (HTTP 405)",
        ),
    ],
    ids=lambda value: value.code if isinstance(value, Refusal) else "",
)
def test_what_s3_says_of_one_object_is_told_in_our_words(
    object_store: ObjectStore, refusal: Refusal, reason: str
) -> None:
    store = Bucket(
        Settings.model_validate({**object_store.settings, "prefixes": ["orders-create"]}), "713"
    )
    object_store.put("orders-create/a.csv", b"id\n1\n")
    object_store.refuse_reading("orders-create/a.csv", refusal)
    (item,) = store.files("orders-create")
    with pytest.raises(refusals.UnreadableObjectError) as refused, store.open(item, 64) as stream:
        stream.read()
    assert str(refused.value) == reason


def test_an_object_that_was_overwritten_behind_its_listing_is_never_read_in_part(
    object_store: ObjectStore,
) -> None:
    store = Bucket(
        Settings.model_validate({**object_store.settings, "prefixes": ["orders-create"]}), "713"
    )
    object_store.put("orders-create/a.csv", b"id\n1\n")
    (item,) = store.files("orders-create")
    object_store.put("orders-create/a.csv", b"id\n2\n")
    told = "orders-create/a.csv: it was overwritten while it was read"
    with pytest.raises(BucketUnavailableError, match=told), store.open(item, 64) as stream:
        stream.read()


def test_only_regular_files_are_taken_for_exports(tmp_path: Path) -> None:
    folder = tmp_path / "bucket" / "orders-create"
    folder.mkdir(parents=True)
    (folder / "real.csv").write_bytes(b"x")
    (tmp_path / "elsewhere").write_bytes(b"x")
    (folder / "link.csv").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "pipe.csv")
    (folder / "piped.csv").symlink_to(folder / "pipe.csv")
    (folder / "null.csv").symlink_to("/dev/null")
    bucket = Bucket(
        Settings(bucket_url=f"file://{tmp_path}/bucket", prefixes=["orders-create"]), "713"
    )
    names = [item.version.file_name for item in bucket.files("orders-create")]
    assert names == ["orders-create/link.csv", "orders-create/real.csv"]
    passed_over = {
        item.version.file_name: item.passed_over for item in bucket.objects("orders-create")
    }
    for name in ("pipe", "piped", "null"):
        assert "no regular file" in (passed_over[f"orders-create/{name}.csv"] or "")
