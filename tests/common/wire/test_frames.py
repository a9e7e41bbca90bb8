"""Frames made and read by hand are the frames of protobuf, byte for byte, and what protobuf refuses is refused."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from common.mpc.session import Kind, Round
from common.wire.codec import encode
from common.wire.frames import _LARGE, Piece, pack, unpack
from common.wire.peer_pb2 import Abort, Block, Fault, Frame

LARGE = np.arange(_LARGE // 8 + 100, dtype=np.uint64)


def as_frame(read: Frame | Piece) -> Frame:
    if isinstance(read, Frame):
        return read
    block = Block(data=bytes(read.data))
    block.MergeFrom(read.block)
    return Frame(number=read.number, **{read.kind: block})  # type: ignore[arg-type]


@given(kind=st.sampled_from(Kind), number=st.integers(0, 2**64 - 1), size=st.integers(0, 3 * _LARGE))
@settings(max_examples=60, deadline=None)
def test_the_bytes_are_those_of_protobuf(kind: Kind, number: int, size: int) -> None:
    (piece,) = encode(Round(kind, number), np.arange(size).astype(np.uint8))
    data = pack(piece)
    frame = Frame.FromString(data)
    assert frame.SerializeToString(deterministic=True) == data
    assert piece.ByteSize() == len(data) == frame.ByteSize()
    read = unpack(data)
    assert isinstance(read, Piece) is (len(data) >= _LARGE)
    assert as_frame(read) == frame


@given(place=st.integers(0, 40), byte=st.integers(0, 255), cut=st.integers(0, 3))
@settings(max_examples=400, deadline=None)
def test_a_changed_byte_means_what_it_means_to_protobuf(place: int, byte: int, cut: int) -> None:
    (piece,) = encode(Round(Kind.MASKED_U, 300), LARGE)
    data = bytearray(pack(piece))
    data[place] = byte
    changed = bytes(data[: len(data) - cut])
    try:
        expected = Frame.FromString(changed)
    except DecodeError:
        with pytest.raises(DecodeError):
            unpack(changed)
        return
    assert as_frame(unpack(changed)) == expected


@pytest.mark.parametrize(
    "tail", [b"\x08\x05", b"\xaa\x06\x01x", b"\x8a\x01\x00"], ids=["number again", "unknown", "another kind"]
)
def test_other_layouts_are_left_to_protobuf(tail: bytes) -> None:
    (piece,) = encode(Round(Kind.MASKED_U, 300), LARGE)
    data = pack(piece) + tail
    read = unpack(data)
    assert isinstance(read, Frame)
    assert read == Frame.FromString(data)


def test_what_is_no_array_is_read_by_protobuf() -> None:
    abort = Frame(abort=Abort(fault=Fault(kind="DataError", message="x" * 2 * _LARGE)))
    assert unpack(pack(abort)) == abort


def test_the_data_are_not_copied_on_the_way_in() -> None:
    (piece,) = encode(Round(Kind.MASKED_U, 1), LARGE)
    data = pack(piece)
    read = unpack(data)
    assert isinstance(read, Piece)
    assert read.data.obj is data
    assert piece.data.obj is not None
    assert np.shares_memory(np.frombuffer(piece.data, np.uint8), LARGE)
    assert "bytes" in repr(piece)
