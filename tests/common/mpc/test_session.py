"""What a session lets through: openings on the plan's list, arrays of the agreed shape, rounds in order."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from common.disclosure import Opened
from common.errors import LocalProtocolError, PeerProtocolError, PolicyError
from common.mpc.session import OPENS, Array, Kind, Round, Session, Silent
from common.party import Party
from tests.channels import memory_pair
from tests.peers import ALL

MASKED = [kind for kind in Kind if kind not in OPENS]
WORDS = np.arange(3, dtype=np.uint64)


def sessions(grid: frozenset[Opened] = ALL, bank: frozenset[Opened] = ALL) -> tuple[Session, Session]:
    one, two = memory_pair()
    return Session(Party.GRID, one, allowed=grid), Session(Party.BANK, two, allowed=bank)


@pytest.mark.parametrize("kind", OPENS)
async def test_what_the_plan_does_not_open_is_not_sent(kind: Kind) -> None:
    one, other = memory_pair()
    for number in (1, 2, 3):
        await other.send(Round(kind, number), WORDS)  # so that a session which lets it pass ends, too
    session = Session(Party.GRID, one, allowed=ALL - {OPENS[kind]})
    for attempt in (
        session.exchange(kind, WORDS),
        session.send(kind, WORDS),
        session.receive(kind, np.uint64, (3,)),
    ):
        with pytest.raises(PolicyError, match=OPENS[kind].value):
            await attempt
    assert one.log == [] and session.opened == set() and session.traffic.rounds == 0 and not session.traffic.sent


async def test_nothing_is_opened_by_default() -> None:
    one, _ = memory_pair()
    with pytest.raises(PolicyError):
        await Session(Party.GRID, one).send(Kind.SCORES, WORDS)
    assert one.log == []


@pytest.mark.parametrize("kind", OPENS)
async def test_openings_are_recorded(kind: Kind) -> None:
    grid, bank = sessions()
    mine, theirs = await asyncio.gather(grid.exchange(kind, WORDS), bank.exchange(kind, WORDS + np.uint64(7)))
    assert (mine == WORDS + np.uint64(7)).all() and (theirs == WORDS).all()
    assert grid.opened == bank.opened == {OPENS[kind]}


@pytest.mark.parametrize("kind", MASKED)
async def test_masked_kinds_need_no_disclosure(kind: Kind) -> None:
    grid, bank = sessions(frozenset(), frozenset())
    await asyncio.gather(grid.exchange(kind, WORDS), bank.exchange(kind, WORDS))
    assert grid.opened == set()


def test_the_list_of_masked_kinds() -> None:
    """A new kind opens something unless it is put here on purpose, having been shown to be uniform (test_privacy)."""
    dealt = {Kind.SEED, Kind.DEALT_PERIODS, Kind.DEALT_LINK, Kind.DEALT_TRUNCATION, Kind.DEALT_GRADIENT}
    hidden = {Kind.MASKED_MATRIX, Kind.MASKED_WEIGHTS, Kind.MASKED_U, Kind.MASKED_RESIDUAL, Kind.MASKED_UPDATE}
    hidden |= {Kind.MASKED_OPERAND, Kind.DEALT_TAGS}
    network = {Kind.MASKED_HIDDEN, Kind.MASKED_BACK, Kind.DEALT_HIDDEN, Kind.DEALT_CUT}  # learn/network/test_privacy.py
    counted = {Kind.MASKED_BINS, Kind.MASKED_COUNTS, Kind.DEALT_COUNTS}
    several = {Kind.MASKED_ADDEND, Kind.DEALT_SUM, Kind.NONCES, Kind.HEARD}  # of several banks: mpc/several/test_hub.py
    compared = {Kind.MASKED_COMPARED, Kind.MASKED_CARRIES, Kind.DEALT_LARGEST}
    signs = {Kind.MASKED_DIGITS, Kind.MASKED_SIGNS, Kind.DEALT_DIGITS}  # mpc/compare/test_signs.py
    ranks = {Kind.MASKED_RANKS, Kind.DEALT_RANKS}  # mpc/ranks/test_find.py
    grown = {
        Kind.MASKED_THRESHOLDS,
        Kind.MASKED_NODES,
        Kind.MASKED_SUMS,
        Kind.MASKED_BRANCH,
        Kind.MASKED_CHOICE,
        Kind.MASKED_LEAVES,
        Kind.MASKED_ORDER,
    }
    lattice = {Kind.LATTICE_SEED, Kind.LATTICE_MATRIX, Kind.LATTICE_COLUMNS, Kind.LATTICE_WEIGHTS, Kind.LATTICE_RESIDUAL}
    lattice |= {Kind.LATTICE_BITS, Kind.LATTICE_CARRIES}  # mpc/lattice/test_carries.py
    lattice |= {Kind.LATTICE_PHASORS, Kind.LATTICE_REPLY}  # mpc/lattice/test_phasors.py
    lattice |= {Kind.LATTICE_MODEL, Kind.LATTICE_ROWS}  # mpc/lattice/test_committed.py
    assert lattice <= set(MASKED)  # mpc/lattice/test_shares.py
    assert set(MASKED) - lattice == dealt | hidden | counted | network | compared | signs | ranks | grown | several | {
        Kind.DEALT_TREES,
        Kind.PERIOD_BITS,
        Kind.SEEDS,
        Kind.MODEL_MARKS,  # hashes of what both hold: learn/linear/test_score_undealt.py
        Kind.TRANSCRIPT,  # of what both have sent and taken: test_transcript.py
    }


@pytest.mark.parametrize(
    "theirs",
    [np.zeros(2, np.uint64), np.zeros((3, 1), np.uint64), np.zeros(3, np.uint32), np.zeros(24, np.uint8)],
    ids=lambda values: f"{values.dtype} {values.shape}",
)
async def test_another_shape_is_refused(theirs: Array) -> None:
    grid, bank = sessions()
    await bank.send(Kind.MASKED_UPDATE, theirs)
    with pytest.raises(PeerProtocolError) as caught:
        await grid.exchange(Kind.MASKED_UPDATE, WORDS)
    assert "masked_update/1" in str(caught.value) and str(theirs.shape) in str(caught.value)
    await bank.send(Kind.MASKED_UPDATE, theirs)
    with pytest.raises(PeerProtocolError):
        await grid.receive(Kind.MASKED_UPDATE, np.uint64, (3,))


async def test_another_kind_is_refused() -> None:
    grid, bank = sessions()
    await bank.send(Kind.MASKED_UPDATE, WORDS)
    with pytest.raises(PeerProtocolError, match="masked_residual/1, got masked_update/1"):
        await grid.exchange(Kind.MASKED_RESIDUAL, WORDS)


async def test_another_round_is_refused() -> None:
    grid, bank = sessions()
    await bank.send(Kind.MASKED_UPDATE, WORDS)
    with pytest.raises(PeerProtocolError, match="another round"):
        await grid.receive(Kind.MASKED_WEIGHTS, np.uint64, (3,))


async def test_an_array_sent_again_is_refused() -> None:
    one, other = memory_pair()
    session = Session(Party.GRID, one)
    for _ in range(2):
        await other.send(Round(Kind.MASKED_UPDATE, 1), WORDS)
    await session.receive(Kind.MASKED_UPDATE, np.uint64, (3,))
    with pytest.raises(PeerProtocolError, match="another round"):
        await session.receive(Kind.MASKED_UPDATE, np.uint64, (3,))


async def test_arrays_posted_ahead_arrive_in_order() -> None:
    grid, bank = sessions()
    for number in range(5):
        await grid.post(Kind.MASKED_U, WORDS + np.uint64(number))
    got = [await bank.collect(Kind.MASKED_U, np.uint64, (3,)) for _ in range(5)]
    assert [int(words[0]) for words in got] == [0, 1, 2, 3, 4]
    assert grid.traffic.rounds == 5


async def test_the_other_shape_may_be_given() -> None:
    grid, bank = sessions()
    got, _ = await asyncio.gather(
        grid.exchange(Kind.MASKED_WEIGHTS, WORDS, shape=(2,)), bank.exchange(Kind.MASKED_WEIGHTS, WORDS[:2], shape=(3,))
    )
    assert got.shape == (2,)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.bool_, object])
async def test_only_unsigned_words_travel(dtype: type) -> None:
    one, _ = memory_pair()
    session = Session(Party.GRID, one, allowed=ALL)
    with pytest.raises(LocalProtocolError):
        await session.send(Kind.MASKED_U, np.zeros(3, dtype))
    assert one.log == []


async def test_a_bounded_channel_does_not_deadlock() -> None:
    one, two = memory_pair(limit=1)
    grid, bank = Session(Party.GRID, one), Session(Party.BANK, two)
    for _ in range(5):
        await asyncio.gather(grid.exchange(Kind.MASKED_U, WORDS), bank.exchange(Kind.MASKED_U, WORDS))
    assert grid.traffic.rounds == 5 and grid.traffic.sent == {Kind.MASKED_U: 5 * 24}


async def test_what_was_sent_is_a_copy() -> None:
    grid, bank = sessions()
    mine = WORDS.copy()
    await grid.send(Kind.MASKED_U, mine)
    mine[:] = 9
    assert (await bank.receive(Kind.MASKED_U, np.uint64, (3,))).tolist() == [0, 1, 2]


async def test_compute_in_place_or_in_a_thread() -> None:
    grid, _ = sessions()
    assert await grid.compute(lambda: 5, 1) == await grid.compute(lambda: 5, 1 << 20) == 5


def test_labels_and_reporter() -> None:
    assert str(Round(Kind.MASKED_U, 4)) == "masked_u/4"
    silent = Silent()
    silent.progress(1, 2)
    silent.warn("a")
    assert silent.warnings == ["a"]
