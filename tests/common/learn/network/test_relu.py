"""Units that are their sum or zero: exact to the last bit but in the least step above zero, forth and back."""

from __future__ import annotations

import numpy as np
import pytest

from common.learn.network import relu
from common.learn.network.activations import forward
from common.learn.network.scales import SUM, Scales
from common.learn.network.units import Lacks, Output, Seat
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.correlations.source import Source
from common.mpc.dealer import Dealer, both
from common.mpc.fixedpoint import Words
from common.mpc.prg import Purpose
from common.mpc.session import Session
from common.party import Party
from tests.peers import Trio

NUMBER, LEAST = 3, 1 << SUM - 12
SCALES = Scales.of(1024, "relu")


def random(shape: tuple[int, ...], seed: int) -> Words:
    return np.random.default_rng(seed).integers(0, 2**64, shape, np.uint64)


def split(values: Words, lack: Words, seed: int) -> dict[Party, Words]:
    """Shares that sum to values less what is lacking."""
    grid = random(values.shape, seed)
    return {Party.GRID: grid, Party.BANK: values - grid - lack}


def sums() -> Words:
    """Over the whole reach, dense around zero and at its ends, (4, 4096)."""
    draw, reach = np.random.default_rng(1), 1 << SUM + 4
    near = np.concatenate([np.arange(-2048, 2048) * 16, draw.integers(-2 * LEAST, 2 * LEAST, 4096)])
    far = np.concatenate([draw.integers(-reach, reach, 6144), draw.integers(reach - LEAST, reach, 1024)])
    ends = np.concatenate([far, draw.integers(-reach + LEAST, -reach + 2 * LEAST, 1024)])
    return np.concatenate([near, ends]).reshape(4, 4096).view(np.uint64)


async def test_forth_and_back_are_exact_to_the_last_bit() -> None:
    a, lack = sums(), random((4, 4096), 5)
    weights, residual = random((4,), 6), random((4096,), 7)
    shares, trio = split(a, lack, 8), Trio()
    later_of: list[Lacks] = []

    async def side(session: Session, correlations: DealtCorrelations) -> tuple[Words, Words, Words, Words]:
        seat = Seat(session, correlations, Source(session.party, correlations._prg, correlations._dealt))
        mask = correlations.mask(Purpose.OUTPUT_WEIGHTS, NUMBER, 4)
        prgs = trio.dealer.expanded
        output = Output(weights - both(prgs, Purpose.OUTPUT_WEIGHTS, NUMBER, 4), mask)
        u, held = await forward("relu", seat, NUMBER, shares[session.party], output, SCALES, trained=True)
        cover = correlations.residual_mask(NUMBER, 4096)
        mine = split(residual, np.zeros(4096, np.uint64), 9)[session.party]
        opened = residual - both(prgs, Purpose.RESIDUAL, NUMBER, 4096)
        back, output_pull = held.pulled(opened, mine, cover)
        return u, back, output_pull, held.hide + (held.values if session.party is Party.GRID else np.uint64(0))

    def dealing(dealer: Dealer):  # type: ignore[no-untyped-def]
        prgs = dealer.expanded
        hidden = [both(prgs, purpose, NUMBER, n) for purpose, n in ((Purpose.OUTPUT_WEIGHTS, 4), (Purpose.RESIDUAL, 4096))]
        later_of.append((yield from relu.deal(prgs, NUMBER, lack, hidden[0], hidden[1], SCALES)))

    found = await trio.run(side, lambda dealer: dealer.deal(dealing(dealer)))
    u, back, pulled, value = (one + two for one, two in zip(found[Party.GRID], found[Party.BANK], strict=True))
    (later,) = later_of
    signed = a.view(np.int64)
    unsure = (signed >= 0) & (signed < LEAST)
    assert unsure.any()
    assert (value == np.where(signed >= 0, a, 0))[~unsure].all()
    above = np.where(unsure, value == a, signed >= 0)
    assert ((value == a) | (value == 0))[unsure].all()
    assert (back == np.where(above, residual, np.uint64(0)))[~unsure | (a != 0)].all()
    assert (u + later.u == (weights[:, None] * value).sum(axis=0)).all()
    assert (pulled + later.output == (residual * value).sum(axis=1)).all()


@pytest.mark.parametrize("rows", [1, 1000, 1024, 4096, 1 << 20])
def test_scales_hold_whatever_the_rows(rows: int) -> None:
    """A value is below 16 and a residual at most one: their mean stays below 16, which the cut holds, and u fits a word."""
    scales = Scales.of(rows, "relu")
    assert scales.value + scales.mean <= 58 and scales.residual >= 5
    assert scales.output + 5 <= 64
