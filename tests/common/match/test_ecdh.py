"""Matching ids over an in-memory pair: the intersection, its order, its stated cost, and peers that must be refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.disclosure import Opened
from common.errors import LocalProtocolError, PeerProtocolError, PolicyError
from common.match import curve, ecdh
from common.match.agree import MatchLimits
from common.match.curve import Points, hash_to_curve
from common.match.ecdh import match_ids
from common.mpc.session import Array, Kind, Round, Session
from common.party import Party
from tests.channels import MemoryChannel, memory_pair

SMALL = MatchLimits(min_matched=1)
LISTED = frozenset({Opened.MATCHED_IDS})
P = 2**255 - 19
Tamper = Callable[[Round, Array], Array]


class Tampering(MemoryChannel):
    """An end whose messages are changed on their way out."""

    def __init__(self, honest: MemoryChannel, tamper: Tamper) -> None:
        super().__init__(honest._out, honest._in)
        self._tamper = tamper

    async def send(self, round: Round, values: Array) -> None:
        await super().send(round, self._tamper(round, values.copy()))


class Recorder:
    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.threads: set[int] = set()

    def progress(self, done: int, total: int) -> None:
        self.seen.append((done, total))
        self.threads.add(threading.get_ident())

    def warn(self, text: str) -> None:
        raise AssertionError(text)


def start(
    grid: Sequence[str], bank: Sequence[str], limits: tuple[MatchLimits, MatchLimits], sessions: tuple[Session, Session]
) -> list[asyncio.Task[Any]]:
    return [
        asyncio.create_task(match_ids(session, pa.array(ids, pa.string()), domain=b"job", limits=limit))
        for session, ids, limit in zip(sessions, (grid, bank), limits, strict=True)
    ]


async def run(
    grid: Sequence[str],
    bank: Sequence[str],
    limits: tuple[MatchLimits, MatchLimits] = (SMALL, SMALL),
    sessions: tuple[Session, Session] | None = None,
) -> tuple[Any, Any]:
    """What each party returned or raised."""
    one, two = await asyncio.gather(*start(grid, bank, limits, sessions or pair()), return_exceptions=True)
    return one, two


async def run_grid(
    grid: Sequence[str],
    bank: Sequence[str],
    limits: tuple[MatchLimits, MatchLimits] = (SMALL, SMALL),
    sessions: tuple[Session, Session] | None = None,
) -> Any:
    """What the grid returned or raised; the bank, which may be left waiting, is cancelled."""
    one, two = start(grid, bank, limits, sessions or pair())
    await asyncio.wait([one])
    two.cancel()
    return (await asyncio.gather(one, two, return_exceptions=True))[0]


def pair(tamper: Tamper | None = None) -> tuple[Session, Session]:
    """Sessions of an honest grid and a bank whose messages `tamper` changes."""
    one, two = memory_pair()
    bank = Tampering(two, tamper) if tamper else two
    return Session(Party.GRID, one, allowed=LISTED), Session(Party.BANK, bank, allowed=LISTED)


def logs(sessions: tuple[Session, Session], kind: Kind) -> list[set[bytes]]:
    channels: list[Any] = [session._peer for session in sessions]
    return [{row.tobytes() for round, sent in c.log if round.kind is kind for row in sent} for c in channels]


def names(start: int, stop: int) -> list[str]:
    return [f"91{number:016d}" for number in range(start, stop)]


ids = st.lists(st.integers(0, 30).map(lambda n: f"企业 {n}"), min_size=1, max_size=25, unique=True)


@settings(max_examples=25, deadline=None)
@given(ids, ids)
def test_rows_are_the_intersection_in_one_order(grid: list[str], bank: list[str]) -> None:
    one, two = asyncio.run(run(grid, bank))
    common = set(grid) & set(bank)
    if not common:
        assert isinstance(one, PolicyError) and isinstance(two, PolicyError)
        assert "written alike" in str(one)
        return
    assert one.dtype == two.dtype == np.int64
    assert [grid[row] for row in one] == [bank[row] for row in two]
    assert {grid[row] for row in one} == common and len(one) == len(common)


@pytest.mark.parametrize(("n", "m", "pieces"), [(150, 70, 3), (10, 129, 3), (64, 64, 1)])
async def test_rounds_and_bytes_are_as_stated(n: int, m: int, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecdh, "PIECE", 64)
    sessions = pair()
    one, two = await run(names(0, n), names(5, 5 + m), sessions=sessions)
    assert len(one) == len(two) == min(n, m + 5) - 5
    for session, mine, theirs in ((sessions[0], n, m), (sessions[1], m, n)):
        assert session.traffic.rounds == 2 + 2 * pieces
        assert session.traffic.sent == {Kind.PSI_COUNT: 48, Kind.PSI_POINTS: 32 * mine, Kind.PSI_REPLIES: 32 * theirs}


async def test_what_is_sent_is_neither_hashes_nor_repeated() -> None:
    grid, bank = names(0, 60), names(30, 90)
    hashes = {row.tobytes() for row in hash_to_curve(names(0, 90), b"job")}
    seen: set[bytes] = set(hashes)
    for _ in range(2):
        sessions = pair()
        await run(grid, bank, sessions=sessions)
        points, replies = logs(sessions, Kind.PSI_POINTS), logs(sessions, Kind.PSI_REPLIES)
        assert all(len(sent) == 60 for sent in points + replies)
        assert not points[0] & points[1]
        assert len(replies[0] & replies[1]) == 30  # the doubly multiplied common points, and nothing else, coincide
        run_sent = points[0] | points[1] | replies[0] | replies[1]
        assert not run_sent & seen
        seen |= run_sent


def test_ids_are_sent_in_a_random_order() -> None:
    one, two = ecdh.random_order(500), ecdh.random_order(500)
    assert sorted(one.tolist()) == list(range(500))
    assert one.tolist() not in (two.tolist(), list(range(500)))


async def test_points_are_sent_in_that_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def spy(part: Sequence[str], domain: bytes) -> Points:
        asked.append(list(part))
        return hash_to_curve(part, domain)

    monkeypatch.setattr(ecdh, "random_order", lambda count: np.arange(count)[::-1])
    monkeypatch.setattr(ecdh, "hash_to_curve", spy)
    one, two = await run(names(0, 8), names(4, 20))
    assert names(0, 8)[::-1] in asked and names(4, 20)[::-1] in asked
    assert (one - 4).tolist() == two.tolist()


async def test_progress_counts_points_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecdh, "PIECE", 32)
    monkeypatch.setattr(curve, "CHUNK", 8)
    workers: set[int] = set()

    def spy(part: Sequence[str], domain: bytes) -> Points:
        workers.add(threading.get_ident())
        return hash_to_curve(part, domain)

    monkeypatch.setattr(ecdh, "hash_to_curve", spy)
    recorder, (one, two) = Recorder(), memory_pair()
    sessions = Session(Party.GRID, one, recorder, allowed=LISTED), Session(Party.BANK, two, allowed=LISTED)
    await run(names(0, 50), names(10, 80), sessions=sessions)
    done = [entry[0] for entry in recorder.seen]
    assert {entry[1] for entry in recorder.seen} == {120}
    assert done == sorted(done) and done[-1] == 120 and len(done) >= 15
    assert recorder.threads == {threading.get_ident()}
    assert threading.get_ident() not in workers


async def test_a_plan_that_does_not_disclose_matched_ids_sends_nothing() -> None:
    one, two = memory_pair()
    sessions = Session(Party.GRID, one), Session(Party.BANK, two, allowed=LISTED)
    refused = await run_grid(names(0, 5), names(0, 5), sessions=sessions)
    assert isinstance(refused, PolicyError) and "matched_ids" in str(refused)
    assert not one.log


async def test_repeated_ids_are_a_local_error() -> None:
    one = await run_grid(["a", "b", "a"], ["a", "b"])
    assert isinstance(one, LocalProtocolError)


async def test_max_ids_of_either_side() -> None:
    strict = MatchLimits(max_ids=10, min_matched=1)
    sessions = pair()
    one = await run_grid(names(0, 11), names(0, 5), (strict, SMALL), sessions)
    assert isinstance(one, PolicyError) and "this party brings 11 ids, more than max_ids = 10" in str(one)
    assert sessions[0].traffic.rounds == 0
    sessions = pair()
    one = await run_grid(names(0, 5), names(0, 11), (strict, SMALL), sessions)
    assert isinstance(one, PolicyError) and "the other party brings 11 ids, more than max_ids = 10" in str(one)
    assert Kind.PSI_POINTS not in sessions[0].traffic.sent


async def test_min_matched_before_and_after_matching() -> None:
    limits = MatchLimits(min_matched=10)
    sessions = pair()
    one, two = await run(names(0, 9), names(0, 50), (limits, limits), sessions)
    assert isinstance(one, PolicyError) and isinstance(two, PolicyError)
    assert sessions[0].traffic.rounds == 1
    one, two = await run(names(0, 50), names(41, 90), (limits, limits))
    assert isinstance(one, PolicyError) and "only 9 ids are common" in str(one) and "min_matched = 10" in str(one)
    assert isinstance(two, PolicyError)
    one, two = await run(names(0, 50), names(40, 90), (limits, limits))
    assert len(one) == len(two) == 10


def change(kind: Kind, row: int, value: Callable[[Array], int | bytes]) -> Tamper:
    """Replaces row `row` of each message of `kind` by `value(message)`."""

    def tamper(round: Round, values: Array) -> Array:
        if round.kind is kind:
            new = value(values)
            raw = new if isinstance(new, bytes) else new.to_bytes(32, "little")
            values[row] = np.frombuffer(raw, np.uint8)
        return values

    return tamper


def small_order_twin(values: Array) -> int:
    """u of the first point plus the point (0, 0) of order two: on the curve, distinct, equal once multiplied."""
    return pow(int.from_bytes(values[0].tobytes(), "little"), -1, P)


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (change(Kind.PSI_POINTS, 3, lambda _: 2), "not a point of the curve"),  # u = 2 is on the twist
        (change(Kind.PSI_POINTS, 3, lambda _: 1), "low order"),
        (change(Kind.PSI_POINTS, 3, lambda _: P + 9), "not reduced"),
        (change(Kind.PSI_POINTS, 3, lambda points: points[0].tobytes()), "same point twice"),
        (change(Kind.PSI_POINTS, 3, small_order_twin), "same point twice"),
        (change(Kind.PSI_REPLIES, 3, lambda replies: replies[0].tobytes()), "same point twice"),
        (change(Kind.PSI_REPLIES, 3, lambda _: 9), "did not find the same"),
        (lambda round, values: values[:-1] if round.kind is Kind.PSI_POINTS else values, "another shape"),
        (lambda round, values: values[:-1] if round.kind is Kind.PSI_REPLIES else values, "another shape"),
        (lambda round, values: values[::-1].copy() if len(values) == 5 else values, "did not find the same"),
    ],
    ids=["twist", "low", "unreduced", "twice", "twin", "reply-twice", "reply", "fewer", "fewer-replies", "digest"],
)
async def test_a_peer_that_breaks_the_form_is_refused(tamper: Tamper, message: str) -> None:
    grid, bank = names(0, 20), names(0, 20)
    one = await run_grid(grid, bank, sessions=pair(tamper))
    assert isinstance(one, PeerProtocolError) and message in str(one)
