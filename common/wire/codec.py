"""Arrays to frames and back: typed blocks of at most 1 MiB, in order, every claim checked before memory is given."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from common.errors import PeerProtocolError
from common.mpc.session import MAX_ARRAY_BYTES, Array, Kind, Round
from common.wire.frames import Piece
from common.wire.peer_pb2 import Block, Frame

CHUNK_BYTES = 1 << 20
LEAST_CHUNK = 1 << 15  # of an array that goes over several lanes, but its last

_ELEMENTS: dict[Any, Any] = {
    np.dtype(np.uint8): Block.ELEMENT_U8,
    np.dtype(np.uint32): Block.ELEMENT_U32,
    np.dtype(np.uint64): Block.ELEMENT_U64,
}
_DTYPES = {element: dtype.newbyteorder("<") for dtype, element in _ELEMENTS.items()}
_KINDS = {kind.value: kind for kind in Kind}


def chunk_bytes(size: int, lanes: int = 1) -> int:
    """Bytes of each chunk but the last of an array of `size` bytes: the most there may be, or as many alike as lanes share."""
    if lanes == 1:
        return CHUNK_BYTES
    alike = lanes * max(1, -(-size // (lanes * CHUNK_BYTES)))
    return max(LEAST_CHUNK, -(-size // (8 * alike)) * 8)


def encode(label: Round, values: Array, lanes: int = 1) -> Iterator[Piece]:
    """Frames of a one- or two-dimensional array of uint8, uint32 or uint64; at least one frame, an empty array included.

    lanes: over which they go in turn.
    """
    if values.nbytes <= LEAST_CHUNK:
        yield single(label, values)
        return
    flat = memoryview(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    most = chunk_bytes(len(flat), lanes)
    chunks = -(-len(flat) // most)
    for chunk in range(chunks):
        block = Block(element=_ELEMENTS[values.dtype], shape=values.shape, chunk=chunk, chunks=chunks)
        yield Piece(label.kind.value, label.number, block, flat[chunk * most : (chunk + 1) * most])


def single(label: Round, values: Array) -> Piece:
    """The one frame of an array of at most `LEAST_CHUNK` bytes, over however many lanes; it holds a copy of the values."""
    return Piece(label.kind.value, label.number, _block(values.dtype, values.shape), values.tobytes())


@lru_cache(512)
def _block(dtype: Any, shape: tuple[int, ...]) -> Block:
    return Block(element=_ELEMENTS[dtype], shape=shape, chunk=0, chunks=1)


def claimed_bytes(frame: Frame | Piece) -> int:
    """The bytes of the array that begins with this frame, as it claims; 0 for one that begins none, or claims nonsense."""
    name = frame.kind if isinstance(frame, Piece) else frame.WhichOneof("payload") or ""
    if name not in _KINDS:
        return 0
    block = frame.block if isinstance(frame, Piece) else getattr(frame, name)
    dtype = _DTYPES.get(block.element)
    return 0 if block.chunk or dtype is None else math.prod(block.shape) * dtype.itemsize


class Assembler:
    """Puts the frames of one array after another together. Raises PeerProtocolError on anything out of order or size.

    largest: bytes of an array, above which none is taken. lanes: over which its frames come.
    """

    def __init__(self, largest: int = MAX_ARRAY_BYTES, lanes: int = 1) -> None:
        self._largest, self._lanes, self._most = largest, lanes, CHUNK_BYTES
        self._label: Round | None = None
        self._values: Array = np.empty(0, np.uint8)
        self._chunk = self._chunks = 0

    def add(self, frame: Frame | Piece) -> tuple[Round, Array] | None:
        """The array that this frame completes, if it does."""
        name = frame.kind if isinstance(frame, Piece) else frame.WhichOneof("payload") or ""
        kind = _KINDS.get(name)
        if kind is None:
            raise PeerProtocolError(
                "a frame without a known payload arrived", remedy="Both sides must run the same protocol version."
            )
        label = Round(kind, frame.number)
        block = frame.block if isinstance(frame, Piece) else getattr(frame, name)
        data = frame.data if isinstance(frame, Piece) else block.data
        if self._label is None:
            if (values := self._whole(block, data)) is not None:
                return label, values
            self._begin(label, block)
        self._check(label, block, len(data))
        start = block.chunk * self._most
        self._flat()[start : start + len(data)] = np.frombuffer(data, np.uint8)
        self._chunk += 1
        if self._chunk < self._chunks:
            return None
        self._label = None
        return label, self._values

    def _whole(self, block: Block, data: Any) -> Array | None:
        """An array that comes in this one frame; None where it does not, or the frame is not as it should be."""
        dtype, shape = _DTYPES.get(block.element), tuple(block.shape)
        if dtype is None or block.chunk or block.chunks != 1 or len(shape) not in (1, 2):
            return None
        if not len(data) == math.prod(shape) * dtype.itemsize <= min(self._largest, LEAST_CHUNK):
            return None
        values: Array = np.frombuffer(bytearray(data), dtype)  # a copy of its own
        return values if len(shape) == 1 else values.reshape(shape)

    def _flat(self) -> Array:
        return self._values.reshape(-1).view(np.uint8) if self._values.size else np.empty(0, np.uint8)

    def _begin(self, label: Round, block: Block) -> None:
        dtype = _DTYPES.get(block.element)
        if dtype is None or len(block.shape) not in (1, 2):
            raise PeerProtocolError("a frame with an unknown element or shape arrived", round=label)
        size = math.prod(block.shape) * dtype.itemsize
        most = chunk_bytes(size, self._lanes)
        if size > self._largest or block.chunks != max(1, -(-size // most)):
            raise PeerProtocolError(
                "a frame claims an impossible size",
                round=label,
                expected=f"at most {self._largest} bytes",
                got=f"{size} in {block.chunks}",
            )
        self._label, self._chunk, self._chunks, self._most = label, 0, block.chunks, most
        self._values = np.empty(tuple(block.shape), dtype)

    def _check(self, label: Round, block: Block, size: int) -> None:
        want = min(self._most, self._values.nbytes - self._chunk * self._most)
        same = label == self._label and block.chunk == self._chunk and block.chunks == self._chunks
        same = same and tuple(block.shape) == self._values.shape and _DTYPES.get(block.element) == self._values.dtype
        if not same or size != want:
            raise PeerProtocolError(
                "a truncated, oversized or misplaced frame arrived",
                round=label,
                expected=f"chunk {self._chunk} of {self._chunks} of {self._label}, {want} bytes",
                got=f"chunk {block.chunk} of {block.chunks}, {size} bytes",
            )
