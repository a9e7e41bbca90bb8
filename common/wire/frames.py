"""Frames as they cross the network: an array's bytes go from its memory into the message and back with one copy each way.

protobuf copies a payload three times on either side. So the bytes around it are made by protobuf and the payload is joined
to them by hand; what arrives is taken apart the same way if it is laid out exactly so, and is parsed by protobuf otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError, Message

from common.errors import PeerProtocolError
from common.text.visible import tidy
from common.wire.peer_pb2 import Block, Frame

_LARGE = 1 << 15  # below this, parsing by hand gains nothing
_NUMBER, _DATA = 0x08, 0x2A  # keys: Frame.number is a varint, Block.data is delimited
_NAMES = {field.number: field.name for field in Frame.DESCRIPTOR.fields if field.message_type is Block.DESCRIPTOR}
_TOGETHER = Frame.DESCRIPTOR.fields_by_name["together"].number
MOST_TOGETHER = 1 << 15  # bytes of frames that leave as one message; twice as many are taken
_SPOKEN = ("hello", "abort")  # frames with text in them


class Piece:
    """A frame that carries part of an array: the field's name, the round's number, the block but its data, and the data.

    Nobody changes one, nor its block. It is no frozen dataclass, which takes four times as long to make.
    """

    __slots__ = ("_head", "block", "data", "kind", "number")

    def __init__(self, kind: str, number: int, block: Block, data: memoryview | bytes) -> None:
        self.kind, self.number, self.block, self.data = kind, number, block, data
        self._head: bytes | None = None

    @property
    def head(self) -> bytes:
        """The bytes that stand before the data."""
        if self._head is None:
            block, size = self.block.SerializeToString(), len(self.data)
            if size:
                block += _DATA_KEY + _varint(size)
            number = _NUMBER_KEY + _varint(self.number) if self.number else b""
            self._head = b"".join((number, _KEYS[self.kind], _varint(len(block) + size), block))
        return self._head

    def ByteSize(self) -> int:  # noqa: N802 - as of a protobuf message
        return len(self.head) + len(self.data)

    def __repr__(self) -> str:
        return f"Piece({self.kind}/{self.number}, {len(self.data)} bytes)"


class Together:
    """The frames of several small arrays in one message, which nobody changes."""

    __slots__ = ("frames", "packed")

    def __init__(self, frames: tuple[Piece, ...]) -> None:
        """packed: its bytes."""
        self.frames = frames
        parts = [(_TOGETHER_KEY, _varint(frame.ByteSize()), frame.head, frame.data) for frame in frames]
        self.packed = b"".join([piece for part in parts for piece in part])

    def ByteSize(self) -> int:  # noqa: N802 - as of a protobuf message
        return len(self.packed)

    def __repr__(self) -> str:
        return f"Together({', '.join(map(repr, self.frames))})"


def pack(message: Message | Piece | Together) -> bytes:
    """The bytes of a message."""
    if isinstance(message, Together):
        return message.packed
    if isinstance(message, Piece):
        return b"".join((message.head, message.data))
    return message.SerializeToString()


def unpack(data: bytes) -> Frame | Piece:
    """The frame of these bytes; raises DecodeError for what is none."""
    if len(data) >= _LARGE:
        try:
            return _unpack(memoryview(data))
        except (_Unusual, IndexError, DecodeError):
            pass
    frame: Frame = Frame.FromString(data)
    return tidy(frame) if frame.WhichOneof("payload") in _SPOKEN else frame


def parts(frame: Frame | Piece) -> Sequence[Frame | Piece]:
    """The frames in one message: itself, or those that travel in it.

    Raises PeerProtocolError for more than one level, and for more bytes than may travel so.
    """
    if isinstance(frame, Piece) or not frame.together:
        return (frame,)
    if (size := frame.ByteSize()) > 2 * MOST_TOGETHER:
        raise PeerProtocolError("too many frames came in one", expected=f"at most {2 * MOST_TOGETHER} bytes", got=size)
    if frame.number or frame.WhichOneof("payload") or any(one.together for one in frame.together):
        raise PeerProtocolError("a frame came with others in it", remedy="Both sides must run the same protocol version.")
    return frame.together


def check_array(frame: Frame | Piece) -> None:
    """Raises PeerProtocolError for what is no array's frame, before it is kept: of 4 MiB of empty fields protobuf makes 80."""
    for one in parts(frame):
        name = one.kind if isinstance(one, Piece) else one.WhichOneof("payload")
        block = one.block if isinstance(one, Piece) else getattr(one, name) if name in _KEYS else None
        if block is None or len(block.shape) > 2:
            raise PeerProtocolError("a frame that is no array's came", remedy="Both sides must run the same protocol version.")


class _Unusual(Exception):
    """Not laid out as `pack` does; it may be a frame all the same."""


def _unpack(data: memoryview) -> Piece:
    place, number = 0, 0
    if data[0] == _NUMBER:
        number, place = _read(data, 1)
    key, place = _read(data, place)
    size, place = _read(data, place)
    name = _NAMES.get(key >> 3)
    if key & 7 != 2 or name is None or place + size != len(data):
        raise _Unusual
    begin = place
    while data[place] != _DATA:
        key, place = _read(data, place)
        if key & 7 not in (0, 2):
            raise _Unusual
        value, place = _read(data, place)
        place += value if key & 7 == 2 else 0
    end = place
    size, place = _read(data, place + 1)
    if place + size != len(data):
        raise _Unusual
    return Piece(name, number, Block.FromString(bytes(data[begin:end])), data[place:])


def _read(data: memoryview, place: int) -> tuple[int, int]:
    """A varint of at most ten bytes, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise _Unusual


def _varint(value: int) -> bytes:
    if value < 0x80:
        return _BYTES[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_BYTES = [bytes([value]) for value in range(0x80)]
_KEYS = {name: _varint(number << 3 | 2) for number, name in _NAMES.items()}
_NUMBER_KEY, _DATA_KEY, _TOGETHER_KEY = _varint(_NUMBER), _varint(_DATA), _varint(_TOGETHER << 3 | 2)


def codec(kind: Any) -> tuple[Any, Any]:
    """(from message to bytes, from bytes to message) of a protobuf message class. Text that comes in is made visible."""
    return (pack, unpack) if kind is Frame else (kind.SerializeToString, lambda data: tidy(kind.FromString(data)))
