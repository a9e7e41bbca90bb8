"""Several streams as one: what arrives, what one lane's end does to all, and who may add a lane to a job."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import JobCancelled, PeerLost, PeerProtocolError, WattScoreError
from common.learn.linear import path
from common.learn.linear.schedule import nesterov, sgd
from common.mpc.correlations import dealt
from common.mpc.link import Fourier
from common.mpc.session import Array, Kind, Round, Session
from common.party import Identity, Party
from common.wire import lanes
from common.wire.codec import encode
from common.wire.lanes import MOST_LANES, Braid, Further, Wish, lane_key
from common.wire.peer import Counter, FrameChannel
from common.wire.peer_pb2 import Block, Frame, Hello
from common.wire.status import to_fault
from tests.common.mpc.problems import make_problem, train
from tests.common.wire.streams import End, duplex
from tests.patience import patience
from tests.peers import ALL, Trio

BANK, OTHER = Identity("acme", "bank"), Identity("bestbank", "bank")
SOON = patience(5)
PROBLEM = make_problem(700, 3, 4)
FULL, BATCHES = nesterov(700, 3, 2.5), sgd(700, 300, 1, 1.0)


class Slow(End):
    """An end that waits for a moment before what it reads and writes."""

    async def read(self) -> Any:
        message = await super().read()
        await asyncio.sleep(0.002)
        return message

    async def write(self, message: Any) -> None:
        await asyncio.sleep(0.001)
        await super().write(message)


class Held(End):
    """An end whose writes wait until they are let through."""

    def __init__(self, *queues: asyncio.Queue[Any]) -> None:
        super().__init__(*queues)
        self.let, self.begun = asyncio.Event(), asyncio.Event()

    async def write(self, message: Any) -> None:
        self.begun.set()
        await self.let.wait()
        await super().write(message)


def braids(count: int, slow: tuple[int, ...] = ()) -> tuple[list[End], list[End]]:
    """The ends of so many streams; those that are slow are so at both."""
    pairs = [duplex() for _ in range(count)]
    for k in slow:
        one, two = pairs[k]
        pairs[k] = Slow(one.out, one._in), Slow(two.out, two._in)
    return [one for one, _ in pairs], [two for _, two in pairs]


def channels(near: list[End], far: list[End]) -> tuple[FrameChannel, FrameChannel]:
    found = FrameChannel(Braid(near), "the grid", Counter()), FrameChannel(Braid(far), "the bank", Counter())
    for channel in found:
        channel.start()
    return found


async def failure(channel: FrameChannel, label: Round) -> WattScoreError:
    with pytest.raises(WattScoreError) as caught:
        await asyncio.wait_for(channel.receive(label), SOON)
    return caught.value


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(2, 5),
    sizes=st.lists(st.sampled_from([0, 1, 7, 4095, 4096, 4097, 20_000, 300_001]), min_size=1, max_size=7),
    slow=st.integers(0, 4),
    dtype=st.sampled_from([np.uint8, np.uint32, np.uint64]),
)
async def test_arrays_arrive_in_order_whatever_lane_is_slow(count: int, sizes: list[int], slow: int, dtype: Any) -> None:
    bank, grid = channels(*braids(count, (slow % count,)))
    sent = [(np.arange(size) % 251).astype(dtype) for size in sizes]

    async def send(channel: FrameChannel) -> None:
        for number, values in enumerate(sent):
            await channel.send(Round(Kind.MASKED_U, number), values)

    async def take(channel: FrameChannel) -> None:
        for number, values in enumerate(sent):
            got = await channel.receive(Round(Kind.MASKED_U, number))
            np.testing.assert_array_equal(got, values, strict=True)

    await asyncio.wait_for(asyncio.gather(send(bank), send(grid), take(bank), take(grid)), patience(20))
    assert bank._counter.sent == grid._counter.received == grid._counter.sent > 0
    await bank.stop()
    await grid.stop()


async def test_all_lanes_carry_a_part_of_a_large_array() -> None:
    near, far = braids(4)
    bank, braid = FrameChannel(Braid(near), "the grid", Counter()), [end._in for end in far]
    await bank.send(Round(Kind.MASKED_U, 1), np.zeros(1 << 18, np.uint8))
    assert [queue.qsize() for queue in braid] == [1, 1, 1, 1]
    assert {len(queue.get_nowait().data) for queue in braid} == {1 << 16}


async def test_memory_may_change_once_an_array_is_sent() -> None:
    """A lane that hangs holds up `send`, so that no later value leaves in place of the masked one."""
    (one, _), (two, far) = duplex(), duplex()
    held = Held(two.out, two._in)
    bank, values = FrameChannel(Braid([one, held]), "the grid", Counter()), np.zeros(1 << 17, np.uint8)
    sending = asyncio.create_task(bank.send(Round(Kind.MASKED_U, 1), values))
    await asyncio.wait_for(held.begun.wait(), SOON)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not sending.done()
    held.let.set()
    await sending
    values[:] = 1
    assert not any((await far.read()).data)


@pytest.mark.parametrize("lane", [0, 1, 2])
async def test_a_lane_that_breaks_out_of_its_turn_ends_all_and_is_named(lane: int) -> None:
    near, far = braids(3)
    bank, grid = channels(near, far)
    await far[lane].out.put(PeerLost("no connection", remedy="See it."))
    error = await failure(bank, Round(Kind.MASKED_U, 1))
    assert type(error) is PeerLost and str(error) == f"no connection (lane {lane} of 3). See it."
    await bank.stop()
    await grid.stop()


@pytest.mark.parametrize("lane", [0, 1, 2])
async def test_an_abort_on_any_lane_is_heard_at_once_and_goes_out_on_all(lane: int) -> None:
    near, far = braids(3)
    bank, grid = channels(near, far)
    told = to_fault(JobCancelled("cancelled by its client"), "client")
    hung = Held(far[lane].out, far[lane]._in)
    grid._stream._lanes = tuple(hung if k == lane else end for k, end in enumerate(far))  # type: ignore[attr-defined]
    await grid.abort(told)  # is not held up for ever by a lane that hangs
    error = await failure(bank, Round(Kind.MASKED_U, 1))
    assert type(error) is JobCancelled and error.origin == "client"
    assert all(end._in.qsize() <= 1 for end in near)
    with pytest.raises(PeerLost, match="ended here"):
        await grid.send(Round(Kind.MASKED_U, 1), np.zeros(4, np.uint8))
    await bank.stop()
    await grid.stop()


async def test_a_lane_that_is_closed_before_the_rest_of_an_array_ends_the_job() -> None:
    near, far = braids(2)
    bank, grid = channels(near, far)
    await far[1].close()
    sending = asyncio.create_task(grid.send(Round(Kind.MASKED_U, 1), np.zeros(1 << 18, np.uint8)))
    error = await failure(bank, Round(Kind.MASKED_U, 1))
    assert type(error) is PeerLost and error.message == "the grid closed the connection (lane 1 of 2)"
    await sending
    await bank.stop()
    await grid.stop()


async def test_frames_of_two_lanes_changed_about_are_refused() -> None:
    """A peer that sends lane 1's frame on lane 0 sends a chunk out of place."""
    near, far = braids(2)
    bank = FrameChannel(Braid(near), "the grid", Counter())
    grid = FrameChannel(Braid(list(reversed(far))), "the bank", Counter())
    bank.start()
    sending = asyncio.create_task(grid.send(Round(Kind.MASKED_U, 1), np.zeros(1 << 18, np.uint8)))
    error = await failure(bank, Round(Kind.MASKED_U, 1))
    assert type(error) is PeerProtocolError and "misplaced" in str(error)
    await sending
    await bank.stop()


async def test_a_lane_in_front_of_the_others_waits() -> None:
    near, far = braids(2)
    braid = Braid(near)
    for number in range(50):
        await far[1].write(*encode(Round(Kind.MASKED_U, number), np.zeros(1, np.uint8)))
    reading = asyncio.create_task(braid.read())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not reading.done() and near[1]._in.qsize() == 50 - lanes._AHEAD
    reading.cancel()
    await braid.stop()


async def test_what_is_no_arrays_frame_is_refused_before_it_is_kept() -> None:
    """Else each lane would keep two messages of which protobuf makes twenty times their bytes."""
    many = Frame(together=[Frame() for _ in range(30_000)])
    shaped = Frame(masked_u=Block(element=Block.ELEMENT_U8, shape=[1] * 3, chunks=1))
    for wrong, text in ((many, "too many frames"), (shaped, "no array's"), (Frame(hello=Hello(job="j")), "no array's")):
        near, far = braids(2)
        braid = Braid(near)
        await far[1].write(wrong)
        with pytest.raises(PeerProtocolError, match=text):  # although it is lane 0's turn
            await asyncio.wait_for(braid.read(), SOON)
        assert not any(braid._arrived)
        await braid.stop()


@pytest.mark.parametrize("steps", [FULL, BATCHES], ids=["shared", "owned"])
async def test_a_training_sends_the_same_arrays_over_any_number_of_lanes(steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uneven spans, chunks of 64 bytes: a step's arrays are over all lanes."""
    monkeypatch.setattr("common.wire.codec.LEAST_CHUNK", 64)
    monkeypatch.setattr(path, "SPAN_ROWS", 90)
    monkeypatch.setattr(dealt, "MATRIX_BLOCK", 50)
    one = await _trained(steps, 1)
    for count in (2, 4):
        found = await _trained(steps, count)
        assert (found.weights, found.arrays) == (one.weights, one.arrays)
        for frames in found.frames.values():
            assert max(frames) - min(frames) <= 1 and min(frames) > 5


@dataclass
class _Training:
    """weights: as bytes. arrays: that each party has sent, by label. frames: on each lane, of each party."""

    weights: bytes
    arrays: dict[Party, list[tuple[Round, bytes]]]
    frames: dict[Party, list[int]]


class _Logged(FrameChannel):
    """A channel that remembers what it sends."""

    log: list[tuple[Round, bytes]]

    async def send(self, round: Round, values: Array) -> None:
        self.log.append((round, values.tobytes()))
        await super().send(round, values)


async def _trained(steps: Any, count: int) -> _Training:
    trio, ends = Trio(seed=3), braids(count, (count - 1,) if count > 1 else ())
    sent = {party: [0] * count for party in Party}
    over = dict[Party, _Logged]()
    for party, streams in zip(Party, ends, strict=True):
        for lane, end in enumerate(streams):
            end.out = _Counted(end.out, sent[party], lane)  # type: ignore[assignment]
        over[party] = _Logged(Braid(streams) if count > 1 else streams[0], "the other", Counter())
        over[party].log = []
        over[party].start()
        trio.session[party] = Session(party, over[party], allowed=ALL)
    bits = 20 if steps is FULL else None
    found = await train(trio, PROBLEM, list(steps), Fourier(), bits)
    for channel in over.values():
        await channel.stop()
    return _Training(found.weights.tobytes(), {p: channel.log for p, channel in over.items()}, sent)


class _Counted:
    """A queue that counts what is put into it."""

    def __init__(self, queue: asyncio.Queue[Any], counts: list[int], lane: int) -> None:
        self._queue, self._counts, self._lane = queue, counts, lane

    async def put(self, message: Any) -> None:
        self._counts[self._lane] += 1
        await self._queue.put(message)


def test_both_derive_the_same_keys_and_no_two_are_alike() -> None:
    bank, grid = Wish.fresh(4), Wish.fresh(3)
    assert bank.agreed(grid) == grid.agreed(bank) == 3
    keys = {lane_key(bank, grid, job, attempt, lane) for job in ("a", "b") for attempt in (0, 1) for lane in (1, 2)}
    assert len(keys) == 8 and {len(key) for key in keys} == {32}
    assert lane_key(bank, grid, "a", 0, 1) != lane_key(Wish.fresh(4), grid, "a", 0, 1)
    assert bank.nonce.hex() not in repr(bank) and str(bank.nonce) not in repr(bank)


def test_one_lane_says_nothing_and_no_side_gets_more_than_it_wishes() -> None:
    assert Wish.fresh(1) == Wish() == Wish.of(Hello(), "the bank")
    assert Wish.fresh(1).agreed(Wish.fresh(8)) == 1
    assert Wish.fresh(1 << 30).lanes == MOST_LANES
    huge = Wish.of(Hello(lanes=2**32 - 1, nonce=bytes(16)), "the bank")
    assert Wish.fresh(2).agreed(huge) == 2
    with pytest.raises(PeerProtocolError, match="the bank wishes for lanes with no nonce"):
        Wish.of(Hello(lanes=2, nonce=b"short"), "the bank")


async def test_only_a_lane_of_the_job_by_whom_the_job_is_with_and_once() -> None:
    keys = [bytes([lane]) * 32 for lane in (1, 2)]
    waiting = Further[str](BANK, keys)
    wrong = [
        (BANK, 1, keys[1]),  # another lane's key
        (BANK, 2, b""),
        (BANK, 3, keys[1]),  # too many
        (BANK, 0, keys[1]),
        (OTHER, 1, keys[0]),  # another bank, though it knew the key
    ]
    for who, lane, key in wrong:
        with pytest.raises(PeerProtocolError, match=f"lane {lane} of job j is none that is waited for"):
            waiting.take(who, "j", lane, key, "no")
    waiting.take(BANK, "j", 2, keys[1], "two")  # in any order
    with pytest.raises(PeerProtocolError, match="lane 2 of job j"):
        waiting.take(BANK, "j", 2, keys[1], "twice")
    waiting.take(BANK, "j", 1, keys[0], "one")
    assert await waiting.all("the bank") == ["one", "two"]


async def test_lanes_that_do_not_come_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PATIENCE", 0.01)
    waiting = Further[str](BANK, [bytes([lane]) * 32 for lane in (1, 2, 3)])
    waiting.take(BANK, "j", 2, bytes([2]) * 32, "two")
    with pytest.raises(PeerLost, match=r"lanes 1, 3 of 4 of the bank did not come .*lanes = 1 needs one"):
        await waiting.all("the bank")
