"""One client's bucket, on any file system that fsspec knows.

https://s3fs.readthedocs.io/  https://filesystem-spec.readthedocs.io/
"""

import stat
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

from signalroom_dagster.errors import ConfigurationError
from signalroom_dagster.sources.files import BucketUnavailableError, FileVersion, ListedFile
from signalroom_dagster.sources.s3_exports.refusals import (
    Scope,
    in_short,
    scope_of,
    unreadable,
    what_to_check,
)
from signalroom_dagster.sources.s3_exports.settings import Settings


class Bucket:
    """Lists and opens objects below `bucket_url`; `client_id` is named in errors.

    What S3 has not listed after `listing_seconds`, of all prefixes together, is given up.
    """

    def __init__(
        self, settings: Settings, client_id: str, listing_seconds: float | None = None
    ) -> None:
        from fsspec.core import url_to_fs

        self._url, self._client = settings.bucket_url, client_id
        self._on_s3 = bool(settings.storage_options)
        self._place = (
            f"{self._url} at {settings.endpoint_url}" if settings.endpoint_url else self._url
        )
        self.fs, root = cast(
            "tuple[Any, str]", url_to_fs(settings.bucket_url, **settings.storage_options)
        )
        if self._on_s3:
            self.fs.retries = 1  # s3fs would ask five times, out of sight: the step retries
            self.fs.split_path = self._split_path
        self._give_up_at = (
            time.monotonic() + listing_seconds if listing_seconds and self._on_s3 else None
        )
        self._root = root.rstrip("/")
        self._is_whole_bucket = self._on_s3 and "/" not in self._root

    def objects(self, prefix: str) -> list[ListedFile]:
        """Every object under a prefix, by name; none is an empty list.

        Raises ConfigurationError when the bucket does not exist or refuses us,
        BucketUnavailableError when it does not answer.
        """
        self.fs.invalidate_cache()
        limit = (
            {"timeout": max(self._give_up_at - time.monotonic(), 0.01)} if self._give_up_at else {}
        )
        with self._in_words():
            try:
                found = self.fs.find(f"{self._root}/{prefix}/", detail=True, **limit)
                is_there = self._is_whole_bucket or bool(found) or self.fs.exists(self._root)
            except FileNotFoundError:  # S3 says so of a bucket, local folders are just empty
                found, is_there = {}, False
            if not is_there:
                raise self._misconfigured("does not exist")
        listed = [self._listed(path, info) for path, info in found.items()]
        inside = (item for item in listed if item.version.file_name.startswith(f"{prefix}/"))
        return sorted(inside, key=lambda item: item.version.file_name)

    def files(self, prefix: str) -> list[ListedFile]:
        """The CSV objects among `objects`. Raises as it does."""
        return [item for item in self.objects(prefix) if not item.passed_over]

    @contextmanager
    def open(self, item: ListedFile, block_bytes: int) -> Generator[BinaryIO]:
        """One object, to be read from its beginning.

        Opening and reading raise UnreadableObjectError for what is wrong with this object,
        ConfigurationError for what is wrong with the bucket, BucketUnavailableError for what may
        pass.
        """
        size = {"size": item.version.size} if self._on_s3 else {}
        with self._in_words(item):
            stream = self.fs.open(
                item.path, "rb", block_size=block_bytes, cache_type="readahead", **size
            )
        if self._on_s3:  # what was listed is read, or nothing; s3fs would ask for both once more
            stream.details = {
                "name": item.path,
                "ETag": item.version.etag,
                "size": item.version.size,
            }
            stream.read_kw = {**stream.read_kw, "IfMatch": f'"{item.version.etag}"'}
        with stream:
            yield cast("BinaryIO", SimpleNamespace(read=partial(self._read, stream, item)))

    def _read(self, stream: BinaryIO, item: ListedFile, size: int = -1) -> bytes:
        """An error of the network must not look like one of the file's content."""
        with self._in_words(item):
            return stream.read(size)

    @contextmanager
    def _in_words(self, item: ListedFile | None = None) -> Generator[None]:
        """Tell apart what a file system raises: of the object in question, of the bucket, or of
        this moment.
        """
        try:
            yield
        except ConfigurationError:
            raise
        except (
            Exception
        ) as error:  # each of fsspec's file systems raises its own, and its libraries' errors
            scope = scope_of(error)
            if item and scope is Scope.OBJECT:
                raise unreadable(error) from error
            if scope is not Scope.NOW:
                to_check = what_to_check(error) if self._on_s3 else "who may read it"
                raise self._misconfigured(f"refuses to be read: check {to_check}") from error
            what = f"{self._place}: {item.version.file_name}" if item else self._place
            raise BucketUnavailableError(
                f"client {self._client}, s3_exports: {what}: {in_short(error)}"
            ) from error

    def _misconfigured(self, what: str) -> ConfigurationError:
        section = f"sources.s3_exports.clients.{self._client}"
        return ConfigurationError(
            f"client {self._client}, s3_exports: [{section}] bucket_url {self._url} {what}"
        )

    def _split_path(self, path: str) -> tuple[str, str, None]:
        """Bucket and key. s3fs takes `?versionId=` in a key for a version, and would read another
        object.
        """
        bucket, key = self.fs._find_bucket_key(
            path.removeprefix("s3://").removeprefix("s3a://").lstrip("/")
        )
        return bucket, key, None

    def _listed(self, path: str, info: Mapping[str, Any]) -> ListedFile:
        modified = info.get("LastModified") or info.get("mtime") or info.get("created") or 0
        if not isinstance(modified, datetime):
            modified = datetime.fromtimestamp(float(modified), UTC)
        etag = str(info.get("ETag") or info.get("etag") or f"{modified.timestamp():.6f}").strip('"')
        name = path[path.index(self._root) + len(self._root) :].lstrip("/")
        storable = (
            name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
        )  # as databases take it
        is_file = not _is_special(path, info)
        return ListedFile(
            FileVersion(storable, etag, int(info.get("size") or 0)), path, modified, is_file
        )


def _is_special(path: str, info: Mapping[str, Any]) -> bool:
    """Whether a local file is, or leads to, a pipe, a socket, a device or a folder: one may wait
    for ever.
    """
    if "mode" not in info:
        return False
    try:
        mode = Path(path).stat().st_mode if info.get("islink") else int(info["mode"])
    except OSError:
        return False  # a link to nothing: reading it says so
    return not stat.S_ISREG(mode)
