"""One client's bucket, on any file system that fsspec knows.

https://s3fs.readthedocs.io/  https://filesystem-spec.readthedocs.io/
"""

import re
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.files import FileVersion
from signalroom_dagster.sources.s3_exports.listing import ListedFile
from signalroom_dagster.sources.s3_exports.settings import Settings

_CSV_NAME = re.compile(r"\.csv(\.gz)?$", re.IGNORECASE)


class Bucket:
    """Lists and opens objects below `bucket_url`."""

    def __init__(self, settings: Settings) -> None:
        from fsspec.core import url_to_fs

        self._url = settings.bucket_url
        on_s3 = bool(settings.storage_options)
        self._opened_by = "aws_access_key_id and aws_secret_access_key" if on_s3 else "who may read it"
        self.fs, root = cast("tuple[Any, str]", url_to_fs(settings.bucket_url, **settings.storage_options))
        if on_s3:
            self.fs.retries = 1  # s3fs would ask five times, out of sight: the step retries
        self._root = root.rstrip("/")

    def files(self, prefix: str) -> list[ListedFile]:
        """Every CSV object under a prefix, by name; none is an empty list.

        Raises ConfigurationError when the bucket does not exist or refuses us, and what the file system raises.
        """
        self.fs.invalidate_cache()
        try:
            with self._allowed():
                found = self.fs.find(f"{self._root}/{prefix}/", detail=True)
        except FileNotFoundError:  # S3 says so of a bucket, local folders are just empty
            found = {}
        if not found and not self.fs.exists(self._root):
            raise ConfigurationError(f"[sources.s3_exports] bucket_url {self._url} does not exist")
        listed = [self._listed(path, info) for path, info in found.items() if _CSV_NAME.search(path)]
        return sorted(listed, key=lambda item: item.version.file_name)

    def open(self, item: ListedFile, block_bytes: int) -> AbstractContextManager[BinaryIO]:
        """One object, to be read from its beginning. Raises as `files` does."""
        with self._allowed():
            return self.fs.open(item.path, "rb", block_size=block_bytes, cache_type="readahead")

    @contextmanager
    def _allowed(self) -> Generator[None]:
        try:
            yield
        except PermissionError as error:
            raise ConfigurationError(
                f"[sources.s3_exports.clients.<id>] bucket_url {self._url} refuses to be read: check {self._opened_by}"
            ) from error

    def _listed(self, path: str, info: Mapping[str, Any]) -> ListedFile:
        modified = info.get("LastModified") or info.get("mtime") or info.get("created") or 0
        if not isinstance(modified, datetime):
            modified = datetime.fromtimestamp(float(modified), UTC)
        etag = str(info.get("ETag") or info.get("etag") or f"{modified.timestamp():.6f}").strip('"')
        name = path[path.index(self._root) + len(self._root) :].lstrip("/")
        return ListedFile(FileVersion(name, etag, int(info.get("size") or 0)), path, modified)
