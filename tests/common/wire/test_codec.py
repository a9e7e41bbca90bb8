"""Frames: pinned bytes for each kind, bytes that must be refused, and a round trip for every shape."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import PeerProtocolError
from common.mpc.session import Array, Kind, Round
from common.wire.codec import CHUNK_BYTES, LEAST_CHUNK, Assembler, chunk_bytes
from common.wire.codec import encode as pieces
from common.wire.frames import pack, unpack
from common.wire.peer_pb2 import Abort, Block, Fault, Frame, Hello
from tests.common.wire.framed import encode
from tests.source import ROOT

VECTORS: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / "frames.json").read_text())
LABEL = Round(Kind.MASKED_MATRIX, 7)
BIG = np.arange(3 * CHUNK_BYTES // 8 - 5, dtype=np.uint64)  # three chunks, the last one short


def decode(*frames: Frame) -> tuple[Round, Array]:
    """What the frames give, which must come with the last of them."""
    assembler = Assembler()
    done = [assembler.add(unpack(frame.SerializeToString())) for frame in frames]
    assert all(early is None for early in done[:-1])
    assert done[-1] is not None
    return done[-1]


def changed(frame: Frame, **fields: Any) -> Frame:
    """`frame` with fields of its block replaced."""
    block = getattr(frame, str(frame.WhichOneof("payload")))
    for name, value in fields.items():
        if name == "shape":
            del block.shape[:]
            block.shape.extend(value)
        else:
            setattr(block, name, value)
    return frame


def refuse(*frames: Frame) -> str:
    """The error that the last of `frames` raises; those before it are taken."""
    assembler = Assembler()
    for frame in frames[:-1]:
        assert assembler.add(frame) is None
    with pytest.raises(PeerProtocolError) as caught:
        assembler.add(frames[-1])
    return str(caught.value)


def test_every_kind_has_a_field_of_its_own_and_every_field_a_kind() -> None:
    fields = {field.name for field in Frame.DESCRIPTOR.oneofs_by_name["payload"].fields}
    assert fields - {"hello", "abort"} == {kind.value for kind in Kind}
    blocks = {field.name for field in Frame.DESCRIPTOR.fields if field.message_type is Block.DESCRIPTOR}
    assert blocks == {kind.value for kind in Kind}
    assert [vector["kind"] for vector in VECTORS["frames"]] == [kind.value for kind in Kind]


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=[vector["kind"] for vector in VECTORS["frames"]])
def test_a_frame_of_each_kind_is_pinned(vector: dict[str, Any]) -> None:
    label = Round(Kind(vector["kind"]), vector["number"])
    values = np.array(vector["values"], vector["element"]).reshape(vector["shape"])
    (frame,) = encode(label, values)
    assert frame.SerializeToString(deterministic=True).hex() == vector["frame"]
    got, decoded = decode(Frame.FromString(bytes.fromhex(vector["frame"])))
    assert got == label
    assert decoded.dtype == values.dtype
    np.testing.assert_array_equal(decoded, values, strict=True)


def test_greeting_and_abort_are_pinned() -> None:
    hello = Frame.FromString(bytes.fromhex(VECTORS["hello"]))
    assert hello == Frame(hello=Hello(protocol=1, job="job-1", plan_digest=bytes(range(32)), software="0.1.0"))
    abort = Frame.FromString(bytes.fromhex(VECTORS["abort"]))
    fault = Fault(kind="DataError", message="a value is out of range", remedy="Mend it.", origin="bank")
    assert abort == Frame(abort=Abort(fault=fault))


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=[vector["why"] for vector in VECTORS["refused"]])
def test_a_bad_frame_is_refused(vector: dict[str, Any]) -> None:
    refuse(*(Frame.FromString(bytes.fromhex(frame)) for frame in vector["frames"]))


def test_a_claim_is_refused_before_memory_is_given() -> None:
    bad = [Frame.FromString(bytes.fromhex(v["frames"][0])) for v in VECTORS["refused"] if v["why"].startswith("claims")]
    assert len(bad) == 4
    tracemalloc.start()
    try:
        for frame in bad:
            assert "impossible size" in refuse(frame)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_chunks_are_of_one_mebibyte_and_in_order() -> None:
    frames = list(encode(LABEL, BIG))
    assert [(f.masked_matrix.chunk, f.masked_matrix.chunks) for f in frames] == [(0, 3), (1, 3), (2, 3)]
    assert [len(f.masked_matrix.data) for f in frames] == [CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES - 40]
    assert max(frame.ByteSize() for frame in frames) < CHUNK_BYTES + 64
    label, values = decode(*frames)
    assert label == LABEL
    np.testing.assert_array_equal(values, BIG, strict=True)


def test_chunks_out_of_order_are_refused() -> None:
    one, two, three = encode(LABEL, BIG)
    refuse(two)
    refuse(one, one)
    refuse(one, three)
    refuse(one, two, two)


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": (BIG.size, 1)},
        {"shape": (BIG.size + 1,)},
        {"shape": ()},
        {"element": Block.ELEMENT_U32},
        {"element": Block.ELEMENT_UNSPECIFIED},
        {"chunks": 4},
        {"chunk": 5},
        {"data": b""},
        {"data": bytes(CHUNK_BYTES - 1)},
        {"data": bytes(CHUNK_BYTES + 1)},
    ],
    ids=["column", "longer", "no shape", "element", "no element", "chunks", "chunk", "no data", "truncated", "oversized"],
)
def test_what_changes_in_the_middle_of_an_array_is_refused(fields: dict[str, Any]) -> None:
    one, two, _ = encode(LABEL, BIG)
    text = refuse(one, changed(two, **fields))
    assert "expected chunk 1 of 3 of masked_matrix/7, 1048576 bytes" in text


def test_another_array_in_the_middle_of_one_is_refused() -> None:
    one, *_ = encode(LABEL, BIG)
    refuse(one, list(encode(Round(Kind.MASKED_MATRIX, 8), BIG))[1])
    refuse(one, list(encode(Round(Kind.MASKED_WEIGHTS, 7), BIG))[1])
    refuse(one, next(encode(Round(Kind.SPLIT, 8), np.zeros(1, np.uint8))))
    refuse(one, Frame())


def test_the_text_of_a_refusal_quotes_no_data() -> None:
    frame = next(encode(Round(Kind.SCORES, 3), np.frombuffer(b"s3cr3t!!", np.uint64)))
    assert "s3cr3t" not in refuse(changed(frame, data=b"s3cr3t!!s3cr3t!!"))


arrays = st.tuples(
    st.sampled_from([np.uint8, np.uint32, np.uint64]),
    st.tuples(st.integers(0, 40)) | st.tuples(st.integers(0, 40), st.integers(0, 40)),
    st.integers(0, 2**32),
)


@given(arrays=st.lists(arrays, min_size=1, max_size=4), kind=st.sampled_from(Kind), number=st.integers(0, 2**64 - 1))
def test_arrays_of_any_shape_survive_one_after_another(arrays: list[Any], kind: Kind, number: int) -> None:
    assembler = Assembler()
    for dtype, shape, seed in arrays:
        values = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        (frame,) = encode(Round(kind, number), values)
        done = assembler.add(unpack(frame.SerializeToString()))
        assert done is not None
        assert done[0] == Round(kind, number)
        np.testing.assert_array_equal(done[1], values, strict=True)


@settings(max_examples=10)
@given(extra=st.integers(-9, 9), columns=st.sampled_from([1, 3, 32]), dtype=st.sampled_from([np.uint8, np.uint32, np.uint64]))
def test_arrays_about_a_chunk_and_more_survive(extra: int, columns: int, dtype: Any) -> None:
    rows = CHUNK_BYTES // np.dtype(dtype).itemsize // columns + extra
    values = np.arange(rows * columns).astype(dtype).reshape(rows, columns)
    label, decoded = decode(*encode(LABEL, values))
    assert label == LABEL
    np.testing.assert_array_equal(decoded, values, strict=True)


@pytest.mark.parametrize("shape", [(0,), (0, 32), (32, 0), (0, 2**32 - 1)])
def test_empty_arrays_are_one_frame_without_data(shape: tuple[int, ...]) -> None:
    (frame,) = encode(LABEL, np.empty(shape, np.uint8))
    assert frame.masked_matrix.data == b""
    assert decode(frame)[1].shape == shape


def test_the_order_of_memory_does_not_change_the_bytes() -> None:
    rows = np.arange(60, dtype=np.uint64).reshape(6, 10)
    for view in (np.asfortranarray(rows), np.arange(120, dtype=np.uint64)[::2].reshape(6, 10) // 2):
        assert list(encode(LABEL, view)) == list(encode(LABEL, rows))


def test_a_decoded_array_may_be_changed_in_place() -> None:
    _, values = decode(*encode(LABEL, np.zeros(3, np.uint64)))
    values += np.uint64(1)
    assert values.tolist() == [1, 1, 1]


@given(size=st.integers(0, 1 << 30), lanes=st.integers(1, 16))
def test_chunks_over_lanes_are_whole_words_alike_and_as_many_as_lanes_share(size: int, lanes: int) -> None:
    most = chunk_bytes(size, lanes)
    chunks = max(1, -(-size // most))
    assert most % 8 == 0 and most <= CHUNK_BYTES
    if lanes == 1:
        assert most == CHUNK_BYTES  # as with no lanes
    elif most > LEAST_CHUNK:
        assert chunks % lanes == 0 and chunks * most - size <= 8 * chunks  # each lane has as much to carry
    else:
        assert most == LEAST_CHUNK and chunks <= max(1, lanes)


@settings(max_examples=20, deadline=None)
@given(size=st.integers(0, 5 * LEAST_CHUNK), lanes=st.integers(1, 5), told=st.integers(1, 5))
def test_an_array_over_lanes_survives_and_one_cut_for_other_lanes_is_refused(size: int, lanes: int, told: int) -> None:
    values, assembler = (np.arange(size) % 251).astype(np.uint8), Assembler(lanes=told)
    frames = list(pieces(LABEL, values, lanes))
    cut, expected = (min(size, chunk_bytes(size, count)) for count in (lanes, told))
    if cut != expected:
        with pytest.raises(PeerProtocolError, match=r"impossible size|misplaced"):
            for frame in frames:
                assembler.add(frame)
        return
    *early, done = (assembler.add(unpack(pack(frame))) for frame in frames)
    assert not any(early) and done is not None
    np.testing.assert_array_equal(done[1], values, strict=True)
