"""The bytes of a text file as UTF-8, whatever it is encoded in and whether it is compressed; what its encoding is."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

_SAMPLE = 1 << 20
_BLOCK = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON = 0.9  # of the characters, which GB 2312 has: those in daily use
_GZIP = b"\x1f\x8b"
DAMAGED = (EOFError, zlib.error, OSError)
"""What reading raises of a file that is cut, of a compressed one too."""


@dataclass(frozen=True)
class Bytes:
    """A file's bytes, decompressed if it is a gzip file."""

    path: Path

    @property
    def compressed(self) -> bool:
        with self.path.open("rb") as stream:
            return stream.read(2) == _GZIP

    def open(self) -> IO[bytes]:
        return cast(IO[bytes], gzip.open(self.path, "rb")) if self.compressed else self.path.open("rb")

    def text(self, encoding: str) -> IO[bytes]:
        """The file as UTF-8 without a byte order mark."""
        stream = self.open()
        if encoding == "utf-8":
            return stream
        if encoding == "utf-8-sig":
            if stream.read(3) != codecs.BOM_UTF8:
                stream.seek(0)
            return stream
        return io.BufferedReader(_Recoded(stream, encoding), _BLOCK)


class _Recoded(io.RawIOBase):
    """A stream of one encoding as UTF-8. Raises UnicodeError for bytes that are none of it."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream, self._decoder = stream, codecs.getincrementaldecoder(encoding)()
        self._left, self._done, self._begun = b"", False, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while not self._left and not self._done:
            block = self._stream.read(_BLOCK)
            self._done = not block
            text = self._decoder.decode(block, final=self._done)
            self._left = (text if self._begun else text.removeprefix("\ufeff")).encode()
            self._begun = self._begun or bool(text)
        size = min(len(view), len(self._left))
        view[:size], self._left = self._left[:size], self._left[size:]
        return size

    def close(self) -> None:
        self._stream.close()
        super().close()


def told(file: Bytes) -> str | None:
    """The encoding of a text file by its first mebibyte: by its mark, as UTF-8, as GB 18030 if its characters are in daily use.

    None where nothing is certain.
    """
    with file.open() as stream:
        sample = stream.read(_SAMPLE)
    return _of_sample(sample, whole=len(sample) < _SAMPLE)


def told_by_all(file: Bytes) -> str | None:
    """As `told`, by all of the file, for one whose first mebibyte was plain ASCII."""
    with file.open() as stream:
        odd = b"".join(line for line in stream if not line.isascii())[: 4 * _SAMPLE]
    return _of_sample(odd, whole=len(odd) < 4 * _SAMPLE) if odd else "utf-8"


def _of_sample(sample: bytes, *, whole: bool) -> str | None:
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if not whole:
        sample = sample[: sample.rfind(b"\n") + 1] or sample[:-4]
    zeros = [sample[k::2].count(0) for k in (0, 1)]
    if 2 * max(zeros) > 0.4 * len(sample):
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    if _decodes(sample, "utf-8"):
        return "utf-8"
    return "gb18030" if _decodes(sample, "gb18030") and _is_chinese(sample.decode("gb18030")) else None


def _decodes(sample: bytes, encoding: str) -> bool:
    try:
        sample.decode(encoding)
    except UnicodeError:
        return False
    return True


def _is_chinese(text: str) -> bool:
    """Whether what is not ASCII is nearly all of GB 2312, whose characters other encodings' bytes hit by chance only."""
    odd = [c for c in text if not c.isascii()]
    return sum(map(_in_daily_use, odd)) >= _COMMON * len(odd)


def _in_daily_use(character: str) -> bool:
    """A Chinese character of GB 2312, or its punctuation and full-width forms."""
    if not any(low <= character <= high for low, high in (("\u3000", "\u303f"), ("\u4e00", "\u9fff"), ("\uff00", "\uffef"))):
        return False
    try:
        return len(character.encode("gb2312")) == 2
    except UnicodeEncodeError:
        return False
