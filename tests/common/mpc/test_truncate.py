"""Truncation: exact or one above, for every shift in use, over the whole range, whatever the dealer's offset."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer, deal_truncation
from common.mpc.fixedpoint import UPDATE_SHIFT, WEIGHT_SCALE, Words, as_words
from common.mpc.session import Kind, Session
from common.mpc.truncate import known, open_sum, placed, shifted, truncate
from common.party import Party
from tests.common.mpc.problems import halves, run
from tests.peers import Trio

SHIFTS = [UPDATE_SHIFT, *range(1, WEIGHT_SCALE - 3)]  # the plan opens weights on grids 2^-4 to 2^-20
EDGES = [0, 1, -1, 2**62 - 1, -(2**62) + 1, 2**36, -(2**36), 2**36 - 1, 2**61]
VALUES = st.one_of(st.integers(-(2**62) + 1, 2**62 - 1), st.sampled_from(EDGES))


async def truncated(trio: Trio, x: Words, offset: Words, shift: int, seed: int = 0) -> Words:
    """x >> shift by the two parties, their shares summing to x - offset and the dealer knowing the offset."""
    shares = halves(x - offset, np.random.default_rng(seed))

    async def side(session: Session, correlations: DealtCorrelations) -> Words:
        return await truncate(session, await correlations.truncation(3, len(x)), shares[session.party], shift)

    async def deal(dealer: Dealer) -> None:
        for party, label, values in deal_truncation(dealer._prg, 3, offset, shift):
            await trio.to_party[party].send(label, values)

    result = await trio.run(side, deal)
    return result[Party.GRID] + result[Party.BANK]


def excess(result: Words, x: list[int], shift: int) -> list[int]:
    return [int(got) - (value >> shift) for got, value in zip(result.view(np.int64), x, strict=True)]


@settings(max_examples=60)
@given(st.lists(VALUES, min_size=1, max_size=40), st.sampled_from(SHIFTS), st.integers(0, 2**32))
def test_exact_or_one_above(x: list[int], shift: int, seed: int) -> None:
    offset = np.random.default_rng(seed).integers(0, 2**64, len(x), dtype=np.uint64)
    result = run(truncated(Trio(), as_words(np.array(x, np.int64)), offset, shift, seed))
    assert set(excess(result, x, shift)) <= {0, 1}


@pytest.mark.parametrize("shift", SHIFTS)
async def test_edges_at_every_shift(shift: int) -> None:
    x = as_words(np.repeat(np.array(EDGES, np.int64), 50))
    for offset in (np.zeros_like(x), np.arange(len(x), dtype=np.uint64) << np.uint64(40)):
        result = await truncated(Trio(), x, offset, shift)
        assert set(excess(result, np.repeat(EDGES, 50).tolist(), shift)) <= {0, 1}


async def test_beyond_the_range_it_fails() -> None:
    """The bound is real: this is what the fixed-point budget must keep away from."""
    x = as_words(np.full(200, 2**62 + 2**60, np.int64))
    result = await truncated(Trio(), x, np.zeros_like(x), 36)
    assert max(map(abs, excess(result, [2**62 + 2**60] * 200, 36))) >= 2**26


async def test_rounds_up_in_proportion() -> None:
    """What is dropped comes back on average: the result is unbiased, at any fraction."""
    x = np.repeat(np.array([1, 3, 7], np.int64), 4000)  # eighths
    up = np.array(excess(await truncated(Trio(seed=1), as_words(x), np.zeros(len(x), np.uint64), 3), x.tolist(), 3))
    assert np.abs(up.reshape(3, -1).mean(axis=1) - np.array([1, 3, 7]) / 8).max() < 0.03


@pytest.mark.parametrize("shift", SHIFTS)
async def test_what_is_placed_is_what_is_shifted_and_the_dealer_knows_the_share_of_the_others_block(shift: int) -> None:
    rng = np.random.default_rng(shift)
    x = as_words(rng.integers(-(2**62), 2**62, 500))
    shares, offset = halves(x, rng), rng.integers(0, 2**64, len(x), dtype=np.uint64)
    own = {Party.GRID: slice(200), Party.BANK: slice(200, None)}

    async def side(session: Session, correlations: DealtCorrelations) -> tuple[Words, Words, Words]:
        part = await correlations.truncation(3, len(x))
        lacking = shares[session.party] - (offset if session.party is Party.BANK else np.uint64(0))
        c = await open_sum(session, part, lacking)
        other = own[session.party.other]
        return (
            shifted(session.party, part, c, shift),
            placed(part, c, shift, own[session.party]),
            known(part.body, part.top, shift)[other],
        )

    async def deal(dealer: Dealer) -> None:
        await dealer.deal(iter([deal_truncation(dealer.expanded, 3, offset, shift)]))

    found = await Trio(seed=2).run(side, deal)
    plain, moved = (found[Party.GRID][at] + found[Party.BANK][at] for at in (0, 1))
    assert np.array_equal(plain, moved) and set(excess(moved, x.view(np.int64).tolist(), shift)) <= {0, 1}
    for party in Party:
        share, told = found[party][1][own[party.other]], found[party][2]
        assert np.array_equal(share << np.uint64(shift), told << np.uint64(shift))


async def test_cost() -> None:
    trio = Trio()
    await truncated(trio, np.zeros(17, np.uint64), np.zeros(17, np.uint64), 5)
    for party in Party:
        assert trio.session[party].traffic.rounds == 1
        assert trio.session[party].traffic.sent == {Kind.MASKED_UPDATE: 8 * 17}
        dealt = Counter({round.kind: values.nbytes for round, values in trio.to_party[party].log})
        assert dealt == {Kind.SEED: 96, Kind.DEALT_TRUNCATION: 8 * 17}
