"""Small arrays of one breath as one message: held, released, in order; nothing but arrays' frames comes in another."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from common.errors import DataError, PeerProtocolError
from common.mpc.session import Kind, Round, Session
from common.party import Party
from common.wire import codec
from common.wire.codec import CHUNK_BYTES
from common.wire.frames import Piece, Together, pack, unpack
from common.wire.peer import Counter, FrameChannel, greeting
from common.wire.peer_pb2 import Abort, Frame
from common.wire.status import to_fault
from tests.common.wire.framed import encode
from tests.common.wire.streams import duplex
from tests.common.wire.test_codec import VECTORS
from tests.common.wire.test_peer import BITS, SHAPE, SOON, SPLIT, failure, lone, pair


def small(count: int) -> list[tuple[Round, np.ndarray[Any, Any]]]:
    return [(Round(Kind.SHAPE, k), np.arange(k, dtype=np.uint64)) for k in range(count)]


async def test_small_arrays_that_are_held_leave_as_one_message_in_order() -> None:
    near, far = duplex()
    bank, grid = FrameChannel(near, "the grid", Counter()), FrameChannel(far, "the bank", Counter())
    async with bank.hold():
        for label, values in small(5):
            await bank.send(label, values)
        assert near.out.empty()
    assert near.out.qsize() == 1 and bank._held is None
    grid.start()
    for label, values in small(5):
        np.testing.assert_array_equal(await asyncio.wait_for(grid.receive(label), SOON), values, strict=True)
    assert grid._counter.received == bank._counter.sent > sum(values.nbytes for _, values in small(5))
    await bank.send(*small(2)[1])  # nothing is held any more
    assert (await asyncio.wait_for(grid.receive(Round(Kind.SHAPE, 1)), SOON)).tolist() == [0]
    async with bank.hold():
        pass
    assert near.out.empty()
    await grid.stop()


@pytest.mark.parametrize("throughout", [False, True])
async def test_what_is_held_within_another_leaves_with_it_and_takes_nothing_away(throughout: bool) -> None:
    near, far = duplex()
    bank, grid = FrameChannel(near, "the grid", Counter()), FrameChannel(far, "the bank", Counter())
    one, two, three = small(4)[1:]
    async with bank.hold(throughout=throughout):
        await bank.send(*one)
        async with bank.hold():
            await bank.send(*two)
        await bank.send(*three)
        assert near.out.empty()
    assert near.out.qsize() == 1 and bank._held is None
    grid.start()
    for label, values in (one, two, three):
        np.testing.assert_array_equal(await asyncio.wait_for(grid.receive(label), SOON), values, strict=True)
    await grid.stop()


@pytest.mark.parametrize("size", [1 << 15, (1 << 15) + 8, CHUNK_BYTES + 8])
async def test_what_is_held_leaves_before_what_is_too_large_for_it(size: int) -> None:
    async with pair() as (bank, grid):
        large = np.arange(size // 8, dtype=np.uint64)
        async with bank.hold():
            await bank.send(*small(2)[1])
            await bank.send(Round(Kind.SPLIT, 2), large)
            await bank.send(*small(4)[3])
        assert (await asyncio.wait_for(grid.receive(Round(Kind.SHAPE, 1)), SOON)).tolist() == [0]
        np.testing.assert_array_equal(await asyncio.wait_for(grid.receive(Round(Kind.SPLIT, 2)), SOON), large)
        assert (await asyncio.wait_for(grid.receive(Round(Kind.SHAPE, 3)), SOON)).tolist() == [0, 1, 2]


async def test_what_is_held_leaves_as_it_was_sent_and_within_the_limit() -> None:
    near, far = duplex()
    bank, values = FrameChannel(near, "the grid", Counter()), np.zeros(2500, np.uint64)
    async with bank.hold():
        await bank.send(Round(Kind.SPLIT, 1), values)
        values[:] = 1
        await bank.send(Round(Kind.SPLIT, 2), values)  # 40,000 bytes with the first
    assert near.out.qsize() == 2
    first, second = [await far.read() for _ in range(2)]
    assert not any(first.split.data) and second.split.data == values.tobytes() and near.out.empty()


async def test_what_is_held_leaves_once_an_array_is_waited_for() -> None:
    async with pair() as (bank, grid):

        async def answer() -> None:
            await grid.receive(Round(Kind.SHAPE, 1))
            await grid.send(SPLIT, BITS)

        async with bank.hold():
            answering = asyncio.create_task(answer())
            await bank.send(*small(2)[1])
            np.testing.assert_array_equal(await asyncio.wait_for(bank.receive(SPLIT), SOON), BITS)
            await bank.send(*small(3)[2])  # not held: nobody may wait again
            assert (await asyncio.wait_for(grid.receive(Round(Kind.SHAPE, 2)), SOON)).tolist() == [0, 1]
        await answering


async def test_what_is_held_when_its_owner_fails_never_leaves() -> None:
    near, _ = duplex()
    bank = FrameChannel(near, "the grid", Counter())
    with pytest.raises(ZeroDivisionError):
        async with bank.hold():
            await bank.send(SPLIT, BITS)
            raise ZeroDivisionError
    assert near.out.empty() and bank._held is None


async def test_frames_within_frames_that_are_no_arrays_are_refused() -> None:
    (inner,) = encode(SPLIT, BITS)
    beside = Frame(together=[inner])
    beside.number = 1
    deeper = Frame(together=[Frame(together=[inner])])
    spoken = Frame(together=[inner, Frame(abort=Abort(fault=to_fault(DataError("no", public="no"), "bank")))])
    greeted = greeting("job-1", b"")
    greeted.together.append(inner)
    for wrong, text in ((beside, "with others"), (deeper, "with others"), (greeted, "with others"), (spoken, "known payload")):
        async with lone(wrong) as channel:
            if wrong is spoken:
                np.testing.assert_array_equal(await asyncio.wait_for(channel.receive(SPLIT), SOON), BITS)
            error = await failure(channel, SHAPE)
            assert type(error) is PeerProtocolError and text in str(error)


async def test_what_a_session_posts_together_is_one_message_and_its_rounds_are_as_ever() -> None:
    near, far = duplex()
    bank, grid = FrameChannel(near, "the grid", Counter()), FrameChannel(far, "the bank", Counter())
    for channel in (bank, grid):
        channel.start()
    one, other = Session(Party.BANK, bank), Session(Party.GRID, grid)
    words = np.arange(3, dtype=np.uint64)

    async def at_bank() -> None:
        async with one.together():
            await one.post(Kind.MASKED_U, words)
            await one.send(Kind.MASKED_UPDATE, words + np.uint64(1))
            await one.post(Kind.MASKED_U, words + np.uint64(2))
        async with one.together():  # an exchange within waits for nobody who waits for it
            await one.post(Kind.MASKED_U, words)
            assert (await one.exchange(Kind.MASKED_UPDATE, words)).tolist() == [9, 9, 9]
        async with one.together(throughout=True):  # also what is posted after something was collected
            await one.exchange(Kind.MASKED_UPDATE, words)
            await one.post(Kind.MASKED_U, words)
            await one.send(Kind.MASKED_UPDATE, words)
            await one.receive(Kind.MASKED_U, np.uint64, (3,))
            await one.post(Kind.MASKED_U, words)
            await one.post(Kind.MASKED_U, words)
        await one.send(Kind.MASKED_U, words)

    async def at_grid() -> None:
        for kind, plus in ((Kind.MASKED_U, 0), (Kind.MASKED_UPDATE, 1), (Kind.MASKED_U, 2), (Kind.MASKED_U, 0)):
            assert (await other.receive(kind, np.uint64, (3,)) - words).tolist() == [plus] * 3
        assert (await other.exchange(Kind.MASKED_UPDATE, np.full(3, 9, np.uint64))).tolist() == [0, 1, 2]
        await other.exchange(Kind.MASKED_UPDATE, words)
        for kind in (Kind.MASKED_U, Kind.MASKED_UPDATE):
            await other.receive(kind, np.uint64, (3,))
        await other.send(Kind.MASKED_U, words)
        for _ in range(3):
            await other.receive(Kind.MASKED_U, np.uint64, (3,))

    written = list[Any]()
    write = near.write

    async def count(message: Any) -> None:
        written.append(message)
        await write(message)

    near.write = count  # type: ignore[method-assign]
    await asyncio.wait_for(asyncio.gather(at_bank(), at_grid()), SOON)
    assert len(written) == 6 and one.traffic.rounds == 12
    for channel in (bank, grid):
        await channel.stop()


def test_together_is_the_message_of_the_known_answers() -> None:
    pieces = list[Piece]()
    for case in VECTORS["frames"][:3]:
        values = np.array(case["values"], case["element"]).reshape(case["shape"])
        pieces.extend(codec.encode(Round(Kind(case["kind"]), case["number"]), values))
    message = pack(Together(tuple(pieces)))
    assert message.hex() == VECTORS["together"]
    parsed = unpack(message)
    assert isinstance(parsed, Frame) and [frame.SerializeToString().hex() for frame in parsed.together] == [
        case["frame"] for case in VECTORS["frames"][:3]
    ]
