"""A stored file's text in blocks of whole lines: unpacked where it is gzip, in bounded memory."""

import gzip
import itertools
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from signalroom_dagster.sources.s3_exports.fields import exchange

# Larger blocks are unmapped when freed: their pages would have to be made anew.
BLOCK_BYTES = 256 * 1024
# Of gzip at a time, whatever a block is: what comes before a damage is then always the same.
UNPACKED_BYTES = 64 * 1024
LONGEST_LINE_BYTES = 64 * 1024 * 1024
_LONGEST_HEADER_BYTES = 1024 * 1024
_SEPARATOR = re.compile(rb'"?sep=([,;|\t])"?[,;|\t]*(?:\r*(?:\n|\Z)|\r)', re.IGNORECASE).match


class UnpackedText:
    """The text of one stored object, once.

    Known after the first block: `delimiter` (the first line may name it, as in `sep=;`) and
    `first_line` (the number of the first line that is read). Known after the last one: `truncated`
    (why reading stopped early, or None), whether it `ends_within_a_line`, and `bytes_read` of the
    object as it is stored.
    """

    def __init__(self, stream: BinaryIO, block_bytes: int, delimiter: str | None = None) -> None:
        self._stream = _Counted(stream)
        self._block_bytes = block_bytes
        self.delimiter = delimiter or ","
        self.delimiter_is_known = delimiter is not None
        self.first_line = 1
        self.truncated: str | None = None
        self.ends_within_a_line = False

    @property
    def bytes_read(self) -> int:
        """Bytes of the stored object, as they are stored."""
        return self._stream.total

    def whole_lines(self) -> Iterator[bytes]:
        """Blocks of whole lines, without the last line's end and the byte order mark."""
        chunks = self._chunks()
        start = b""
        for chunk in chunks:
            start += chunk
            if b"\n" in chunk or len(start) > _LONGEST_HEADER_BYTES:
                break
        old_mac = b"\r" in start and b"\n" not in start  # no other kind of line end in sight
        start = start.removeprefix(b"\xef\xbb\xbf")
        if separator := _SEPARATOR(start):
            start = start[separator.end() :]
            self.first_line = 2
            self.delimiter, self.delimiter_is_known = separator[1].decode(), True
        places = exchange(self.delimiter) if self.delimiter != "," else None
        rest = b""
        for chunk in itertools.chain([start], chunks):
            text = chunk.replace(b"\r", b"\n") if old_mac else chunk
            text = text.translate(places) if places else text
            if (end := text.rfind(b"\n")) >= 0:
                yield rest + text[:end]
                rest = text[end + 1 :]
            else:
                rest += text
            if len(rest) > LONGEST_LINE_BYTES:
                self.truncated = "a line is longer than 64 MiB: nothing was read from there on"
                break
        if rest:
            self.ends_within_a_line = self.truncated is not None
            yield rest
        while self._stream.read(BLOCK_BYTES):
            pass  # what stands behind the damage: the download is complete all the same

    def _chunks(self) -> Iterator[bytes]:
        magic = self._stream.read(2)
        stored = _Rejoined(magic, self._stream)
        # read1 hands over what was unpacked before the damage; read would throw it away
        zipped = magic == b"\x1f\x8b"
        read = gzip.GzipFile(fileobj=cast("BinaryIO", stored)).read1 if zipped else stored.read
        size = min(self._block_bytes, UNPACKED_BYTES) if zipped else self._block_bytes
        try:
            while chunk := read(size):
                yield chunk
        except EOFError:
            self.truncated = "the gzip stream ends early: the rest of the file is missing"
        except (gzip.BadGzipFile, zlib.error):
            self.truncated = "the gzip stream is damaged: the rest of the file cannot be read"


class _Counted:
    """Counts what is read from the stored object, so that a download cut short is noticed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.total = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.total += len(data)
        return data


class _Rejoined:
    """The stream with the two bytes put back that were read to recognize gzip."""

    def __init__(self, head: bytes, stream: _Counted) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        head, self._head = self._head, b""
        return head or self._stream.read(size)
