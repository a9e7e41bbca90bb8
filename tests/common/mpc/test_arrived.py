"""One combination at the end of a training: right to a step, told to the bank alone, and a spoilt training fails there."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from common.disclosure import Opened
from common.errors import PeerProtocolError, PolicyError
from common.mpc.arrived import CHECK_BITS, Rest, check_arrived, signs
from common.mpc.fixedpoint import Reals, Words, decode, encode
from common.mpc.session import Kind
from common.party import Party
from tests.common.mpc.problems import halves
from tests.peers import Trio

SCALE, COIN = 28, b"the same at both"


Said = list[bool | BaseException]  # of the grid and of the bank


async def check(
    values: Reals, limit: float, change: int = 0, allowed: frozenset[Opened] | None = None, usual: float = 0.0
) -> Said:
    rng = np.random.default_rng(len(values))
    shares = halves(encode(values, SCALE), rng)
    shares[Party.GRID][:1] += np.uint64(change)
    trio = Trio() if allowed is None else Trio(allowed)
    found = await asyncio.gather(
        *(check_arrived(trio.session[p], shares[p], SCALE, COIN, Rest(usual or limit, limit)) for p in Party),
        return_exceptions=True,
    )
    sent = [(p, label.kind, values.nbytes) for p in Party for label, values in trio.peer[p].log]
    assert sent in ([(Party.GRID, Kind.TRAINING_CHECK, 8)], [])
    return found


def combination(values: Reals) -> float:
    return float(np.where(signs(COIN, len(values)), values, -values).sum())


@pytest.mark.parametrize("seed", range(40))
async def test_what_is_within_the_limit_passes_and_what_is_beyond_fails_at_the_bank_to_a_step(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.0, 0.5, 9)
    size, step = abs(combination(values)), 2.0**-CHECK_BITS
    assert await check(values, size + 2 * step) == [True, True]
    if size > 2 * step:
        assert await check(values, size + 2 * step, usual=size - 2 * step) == [True, False]
    if size > 2 * step:
        grid, bank = await check(values, size - 2 * step)
        assert grid is True and isinstance(bank, PeerProtocolError)


@pytest.mark.parametrize("bit", [28, 35, 50, 62, 63])
async def test_a_share_that_was_changed_is_found(bit: int) -> None:
    grid, bank = await check(np.zeros(4), 0.5, change=1 << bit)
    assert grid is True and isinstance(bank, PeerProtocolError) and "did not arrive" in bank.message
    assert not any(character.isdigit() for character in bank.message)  # how far tells of labels


async def test_a_plan_that_does_not_list_it_opens_nothing() -> None:
    found = await check(np.zeros(4), 1.0, allowed=frozenset(Opened) - {Opened.TRAINING_CHECK})
    assert all(isinstance(error, PolicyError) for error in found)


def test_no_value_is_left_out_and_another_coin_is_another_combination() -> None:
    drawn = np.stack([signs(bytes([k]), 50) for k in range(200)])
    assert drawn.mean(axis=0).min() > 0.3 and drawn.mean(axis=0).max() < 0.7
    assert len({row.tobytes() for row in drawn}) == 200


async def test_what_the_grid_sends_is_uniform_and_tells_the_bank_the_combination_alone() -> None:
    told: list[int] = []
    for seed in range(400):
        words: dict[Party, Words] = halves(encode(np.full(3, 0.25), SCALE), np.random.default_rng(seed))
        trio = Trio()
        await asyncio.gather(*(check_arrived(trio.session[p], words[p], SCALE, COIN, Rest(9.0, 9.0)) for p in Party))
        told.append(int(trio.peer[Party.GRID].log[0][1][0]))
    low = np.bincount([word & 15 for word in told], minlength=16)
    assert low.max() < 60 and low.min() > 5  # 25 each
    assert abs(decode(np.array([sum(told) // len(told)], np.uint64), 0)[0] / 2.0 ** (64 - SCALE + CHECK_BITS) - 0.5) < 0.1
