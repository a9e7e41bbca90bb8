"""One stock on disk: a label, this party's seed, the dealt arrays in the order of their use. Read once, seed erased first.

Layout: MAGIC, the label's length (4 bytes) and JSON, the seed, then for each array its words, little-endian, and a tag: BLAKE2b
keyed by the seed over its round and its words, so that a damaged file is found before it spoils a model. Without the seed
the arrays are uniform to whoever holds them.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import hmac
import json
import math
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from common import __version__
from common.disk.files import sync_folder
from common.errors import DataError, LocalProtocolError
from common.learn.dealt_ahead import Ahead, Arrays
from common.learn.learner import Size
from common.mpc.correlations.asked import Demand
from common.mpc.fixedpoint import Words
from common.mpc.prg import SEED_BYTES
from common.mpc.session import Array, Round
from common.party import Party

MAGIC = b"WSSTOCK1"
BETWEEN = "both "
TAG_BYTES = 16
_LENGTH = 4
_LONGEST_LABEL = 1 << 16
_ERASED = bytes(SEED_BYTES)


@dataclass(frozen=True)
class StockLabel:
    """The label of a stock: what it serves, the same at both parties. name: the job that dealt it.

    dealer: who dealt; of one that both have made BETWEEN and a hash of both parties' lasting keys.

    bank: at a grid of several banks which one holds the other half, none being the first; at a bank none.

    reasons: of how many texts of the grid's the rows may be told reasons, of a stock for scores; 0: of none.
    """

    name: str
    dealer: str
    dealing: str
    rows: int
    grid_columns: int
    bank_columns: int
    bank: str = ""
    reasons: int = 0

    @property
    def made(self) -> bool:
        """Whether both parties have made it, and nobody dealt."""
        return self.dealer.startswith(BETWEEN)

    @property
    def size(self) -> Size:
        return Size(self.rows, self.grid_columns, self.bank_columns)

    def digest(self) -> Words:
        """Two words by which the parties compare stocks."""
        same = {name: value for name, value in self.fields().items() if name != "bank"}
        text = json.dumps(same, sort_keys=True).encode()
        return np.frombuffer(hashlib.blake2b(text, digest_size=16, person=b"wattscore.label").digest(), np.uint64)

    def fields(self) -> dict[str, Any]:
        """What a file says of it: without reasons where none can be told, as before there could be."""
        return {name: value for name, value in asdict(self).items() if name != "reasons" or value}


DEALING = 19  # raised when what is dealt for the same model changes: tables, scales, spans, their order


def dealing(ahead: Ahead) -> str:
    """A hash of all but the size that decides, in this software too, which arrays are dealt: equal ones share stocks."""
    return hashlib.sha256(json.dumps([__version__, DEALING, *ahead.alike]).encode()).hexdigest()


def stock_bytes(party: Party, ahead: Ahead, most: float = math.inf) -> int:
    """The size of a stock's file, but for some hundred bytes of its label.

    most: beyond which no more is counted: arrays are as many as who asks for a stock says, and counting them takes minutes.
    """
    size = 0
    for _, shape in ahead.all_arrays(party):
        size += 8 * math.prod(shape) + TAG_BYTES
        if size > most:
            break
    return size


def _tag(seed: bytes, label: Round, data: memoryview) -> bytes:
    digest = hashlib.blake2b(str(label).encode() + b":", key=seed, digest_size=TAG_BYTES, person=b"wattscore.stock")
    digest.update(data)
    return digest.digest()


class StockWriter:
    """Writes a stock as it is dealt, to NAME.part, which is locked; `commit` gives it its name. Leaving it removes a part."""

    def __init__(self, path: Path, label: StockLabel, seed: bytes) -> None:
        self.label, self._path, self._part, self._seed = label, path, path.with_suffix(".part"), seed
        text = json.dumps(label.fields()).encode()
        self._file = _new_part(self._part)
        self._write(MAGIC + len(text).to_bytes(_LENGTH, "little") + text + seed)

    def _write(self, data: bytes | memoryview) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) or 0 :]

    def add(self, label: Round, values: Array) -> None:
        data = memoryview(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
        self._write(data)
        self._write(_tag(self._seed, label, data))

    def finish(self) -> None:
        """All is on disk, under the name of a part."""
        os.fsync(self._file.fileno())

    def commit(self) -> None:
        """From here on it is a stock, after a power cut too."""
        self._part.rename(self._path)
        sync_folder(self._path.parent)

    def __enter__(self) -> StockWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


def _new_part(part: Path) -> FileIO:
    """A part that nobody had, locked. Who tidies may find it before it is, and take it for one whose writer was killed."""
    while True:
        file = FileIO(part, "xb", opener=lambda path, flags: os.open(path, flags, 0o600))
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def remove_part(part: Path) -> None:
    """Removes a part, unless its writer still lives: a command beside the daemon may be making a stock."""
    with suppress(FileNotFoundError, BlockingIOError), part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_nlink:  # else another has removed it, and its name may be a new one's
            part.unlink(missing_ok=True)


class StockFile:
    """A stored stock, opened: its label, its seed, and its arrays in order."""

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        """alone: nobody else can have it so until it is closed, or this process ends, however that comes.

        Raises DataError for a file that is none, or is not whole; BlockingIOError where another has it alone; OSError.
        """
        self._path = path
        self._file = path.open("r+b", buffering=0)
        try:
            if alone:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.label, self._seed_at = self._head()
            self.seed = bytes(self._exactly(SEED_BYTES))
            self.erased = self.seed == _ERASED
        except BaseException:
            self.close()
            raise

    def _head(self) -> tuple[StockLabel, int]:
        head = self._file.read(len(MAGIC) + _LENGTH)
        length = int.from_bytes(head[len(MAGIC) :], "little")
        if head[: len(MAGIC)] != MAGIC or not 0 < length < _LONGEST_LABEL:
            raise damaged(self._path)
        try:
            label = StockLabel(**json.loads(self._exactly(length)))
        except (ValueError, TypeError):
            raise damaged(self._path) from None
        return label, len(head) + length

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            if not (got := self._file.readinto(view)):
                raise damaged(self._path)
            view = view[got:]
        return data

    @property
    def there(self) -> bool:
        """Whether it still has a name."""
        return os.fstat(self._file.fileno()).st_nlink > 0

    def erase(self) -> None:
        """Takes the seed off the disk; the arrays can still be read through this object."""
        os.pwrite(self._file.fileno(), _ERASED, self._seed_at)
        os.fsync(self._file.fileno())
        self.erased = True

    @property
    def begin(self) -> int:
        """Where its arrays begin, in bytes."""
        return self._seed_at + SEED_BYTES

    def read(self, label: Round, shape: tuple[int, ...], at: int) -> Array:
        """The array, of words, at this place in bytes; raises DataError when it is not what was stored here."""
        data = self._there(8 * math.prod(shape) + TAG_BYTES, at)
        words, tag = data[:-TAG_BYTES], data[-TAG_BYTES:]
        if not hmac.compare_digest(tag, _tag(self.seed, label, words)):
            raise damaged(self._path)
        return np.frombuffer(words, np.uint64).reshape(shape)

    def _there(self, size: int, at: int) -> memoryview:
        data, done = memoryview(bytearray(size)), 0
        while done < size:
            if not (got := os.preadv(self._file.fileno(), [data[done:]], at + done)):
                raise damaged(self._path)
            done += got
        return data

    def close(self) -> None:
        self._file.close()


class StoredArrays:
    """A dealer's link, for DealtCorrelations, that reads an erased stock in place of a stream: each part of it in its order."""

    def __init__(self, stock: StockFile, party: Party, ahead: Ahead) -> None:
        self._stock, self._parts, place = stock, list[_Part](), stock.begin
        for part in ahead.parts():
            self._parts.append(_Part(part.demand, part.arrays(party), place))
            if part.then is not None:
                place += _stored_bytes(part.arrays(party))

    async def demand(self, demand: Demand) -> None:
        if not self._stock.erased or demand not in (part.demand for part in self._parts):
            expected = self._parts[0].demand
            raise LocalProtocolError("a stock serves once what it was dealt for", expected=expected, got=demand)

    async def send(self, round: Round, values: Array) -> None:
        raise LocalProtocolError("a stock takes no arrays", round=round)

    async def receive(self, round: Round) -> Array:
        coming = [part.coming for part in self._parts]
        for part in self._parts:
            if part.coming is not None and part.coming[0] == round:
                (_, shape), at = part.coming, part.place
                part.take()
                return await asyncio.to_thread(self._stock.read, round, shape, at)
        expected = next((label for label, _ in filter(None, coming)), None)
        raise LocalProtocolError("a stock was read out of order", expected=expected, got=round)


class _Part:
    """A part of a stock: what it was dealt for, its next array, and where that is, in bytes."""

    def __init__(self, demand: Demand, arrays: Arrays, place: int) -> None:
        self.demand, self._arrays, self.place = demand, arrays, place
        self.coming = next(arrays, None)

    def take(self) -> None:
        if self.coming is not None:
            self.place += _stored_bytes([self.coming])
            self.coming = next(self._arrays, None)


def _stored_bytes(arrays: Iterable[tuple[Round, tuple[int, ...]]]) -> int:
    return sum(8 * math.prod(shape) + TAG_BYTES for _, shape in arrays)


def damaged(path: Path) -> DataError:
    public = "a stock dealt ahead is damaged or of another format"
    return DataError(f"{public}: {path.name}", public=public, remedy="Train again with another, or deal a new one.")
