"""Opening the weights: each block to its owner, on the plan's grid, unbiased, and nothing more is sent."""

from __future__ import annotations

import numpy as np
import pytest

from common.learn.linear.cost import reveal
from common.learn.linear.deal import Work
from common.learn.linear.reveal import reveal_weights
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import JOINT_LIMIT, WEIGHT_SCALE, Reals, encode
from common.mpc.link import Taylor
from common.mpc.session import Kind, Session
from common.mpc.share import Share
from common.party import Party
from tests.common.mpc.problems import halves
from tests.peers import Trio, deal_work


async def reveal_blocks(trio: Trio, weights: dict[Party, Reals], bits: int) -> dict[Party, Reals]:
    rng = np.random.default_rng(1)
    shares = {owner: halves(encode(values, WEIGHT_SCALE), rng) for owner, values in weights.items()}

    async def side(session: Session, correlations: DealtCorrelations) -> Reals:
        me = session.party
        own, other = Share(shares[me][me], WEIGHT_SCALE), Share(shares[me.other][me], WEIGHT_SCALE)
        return await reveal_weights(session, correlations, 0, own, other, bits)

    async def deal(dealer: Dealer) -> None:
        await deal_work(dealer, Work([], Taylor(), 1, {p: len(w) for p, w in weights.items()}, bits))

    return await trio.run(side, deal)


@pytest.mark.parametrize("bits", [4, 8, 19, 20])
async def test_each_gets_its_own_block_on_the_grid(bits: int) -> None:
    rng = np.random.default_rng(0)
    weights = {Party.GRID: rng.uniform(-60, 60, 7), Party.BANK: rng.uniform(-60, 60, 4)}
    opened = await reveal_blocks(Trio(), weights, bits)
    for party in Party:
        steps = opened[party] * 2.0**bits
        assert opened[party].shape == weights[party].shape
        assert (steps == np.rint(steps)).all()
        assert np.abs(opened[party] - weights[party]).max() < 2.0**-bits + 2.0**-WEIGHT_SCALE


@pytest.mark.parametrize("bits", [4, 20])
async def test_no_bit_above_the_largest_weight_is_sent(bits: int) -> None:
    """So many bits a weight are what its opening is priced at; a weight that has more is wrong, and tells no more."""
    trio, largest = Trio(), JOINT_LIMIT - 2.0**-bits
    weights = {party: np.array([largest, -JOINT_LIMIT, JOINT_LIMIT + 3.0]) for party in Party}
    opened = await reveal_blocks(trio, weights, bits)
    for party, kind in ((Party.GRID, Kind.BANK_WEIGHT_SHARE), (Party.BANK, Kind.GRID_WEIGHT_SHARE)):
        assert np.abs(opened[party] - [largest, -JOINT_LIMIT, 3.0 - JOINT_LIMIT]).max() <= 2.0**-bits
        (sent,) = (words for label, words in trio.peer[party].log if label.kind is kind)
        assert (sent >> np.uint64(bits + 11)).max() == 0


async def test_unbiased() -> None:
    """A weight is moved to a neighbour on the grid, in proportion: half a unit of bias was here once."""
    rng = np.random.default_rng(0)
    weights = {party: rng.uniform(-3, 3, 1000) for party in Party}
    opened = await reveal_blocks(Trio(seed=3), weights, 8)
    error = np.concatenate([opened[p] - weights[p] for p in Party]) * 2.0**8
    assert abs(error.mean()) < 0.05
    assert np.abs(error).max() < 1.001


@pytest.mark.parametrize("bits", [8, 20])
async def test_sends_only_what_it_must(bits: int) -> None:
    trio = Trio()
    sizes = {Party.GRID: 7, Party.BANK: 4}
    await reveal_blocks(trio, {party: np.ones(size) for party, size in sizes.items()}, bits)
    for party, share in ((Party.GRID, Kind.BANK_WEIGHT_SHARE), (Party.BANK, Kind.GRID_WEIGHT_SHARE)):
        sent = trio.session[party].traffic.sent
        rounding = {Kind.MASKED_UPDATE: 8 * 11} if bits < WEIGHT_SCALE else {}
        assert sent == rounding | {share: 8 * sizes[party.other]}
        assert sum(sent.values()) == reveal(sizes[party], sizes[party.other], bits)
        assert trio.session[party].traffic.rounds == (3 if bits < WEIGHT_SCALE else 2)
    assert [kind.value for kind in (r.kind for r, _ in trio.peer[Party.GRID].log) if "weight" in kind.value] == [
        "bank_weight_share"
    ]
