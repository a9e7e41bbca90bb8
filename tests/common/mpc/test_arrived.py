"""Combinations at the end of a training: right to a step, told to the bank alone, and a spoilt training fails there."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest

from common.disclosure import Opened
from common.errors import PeerProtocolError, PolicyError
from common.mpc.arrived import CHECK_BITS, COMBINATIONS, Rest, check_arrived, combinations, path_combinations, signs
from common.mpc.fixedpoint import Reals, Words, decode, encode
from common.mpc.session import Kind
from common.party import Party
from tests.common.mpc.problems import halves
from tests.peers import Trio

SCALE, COIN = 28, b"the same at both"


Said = list[bool | BaseException]  # of the grid and of the bank


async def told(trio: Trio, shares: dict[Party, Words], rest: Rest) -> Said:
    return await asyncio.gather(
        *(check_arrived(trio.session[p], combinations(shares[p], COIN), SCALE, rest) for p in Party), return_exceptions=True
    )


async def check(
    values: Reals, limit: float, change: int = 0, allowed: frozenset[Opened] | None = None, usual: float = 0.0
) -> Said:
    shares = halves(encode(values, SCALE), np.random.default_rng(len(values)))
    shares[Party.GRID][:1] += np.uint64(change)
    trio = Trio() if allowed is None else Trio(allowed)
    found = await told(trio, shares, Rest(usual or limit, limit))
    sent = [(p, label.kind, values.nbytes) for p in Party for label, values in trio.peer[p].log]
    assert sent in ([(Party.GRID, Kind.TRAINING_CHECK, 8 * COMBINATIONS)], [])
    return found


def sums(values: Reals, coin: bytes = COIN) -> Reals:
    """What the combinations are, (COMBINATIONS,)."""
    drawn = signs(coin, COMBINATIONS * len(values)).reshape(COMBINATIONS, -1)
    found: Reals = np.where(drawn, values, -values).sum(axis=1)
    return found


@pytest.mark.parametrize("seed", range(40))
async def test_what_is_within_the_limit_passes_and_what_is_beyond_fails_at_the_bank_to_a_step(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.0, 0.5, 9)
    size, step = float(np.abs(sums(values)).max()), 2.0**-CHECK_BITS
    assert await check(values, size + 2 * step) == [True, True]
    assert await check(values, size + 2 * step, usual=size - 2 * step) == [True, False]
    grid, bank = await check(values, size - 2 * step)
    assert grid is True and isinstance(bank, PeerProtocolError)


@pytest.mark.parametrize("which", range(COMBINATIONS))
async def test_one_of_them_alone_is_enough(which: int) -> None:
    """Any one: values of which the others are zero."""
    drawn = np.where(signs(COIN, COMBINATIONS * 8).reshape(COMBINATIONS, -1), 1.0, -1.0)
    aim = np.zeros(COMBINATIONS)
    aim[which] = 8.0
    values = np.linalg.pinv(drawn) @ aim
    assert np.allclose(sums(values), aim)
    grid, bank = await check(values, 7.0)
    assert grid is True and isinstance(bank, PeerProtocolError)
    assert await check(values, 9.0, usual=7.0) == [True, False]


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


def test_combinations_of_one_coin_are_independent() -> None:
    """What one hides by chance the others do not: two alike cancel in each with probability 1/2, in all of them with 1/16."""
    values, coins = np.array([3.0, 3.0]), [n.to_bytes(2, "big") for n in range(4000)]
    near = np.array([np.abs(sums(values, coin)) < 1.0 for coin in coins])
    assert np.abs(near.mean(axis=0) - 0.5).max() < 0.04
    assert all(abs((near[:, a] & near[:, b]).mean() - 0.25) < 0.035 for a, b in itertools.combinations(range(COMBINATIONS), 2))
    assert abs(near.all(axis=1).mean() - 2.0**-COMBINATIONS) < 0.02


def test_each_party_adds_up_its_own_share() -> None:
    values = np.random.default_rng(2).normal(0.0, 5.0, 31)
    shares = halves(encode(values, SCALE), np.random.default_rng(3))
    both = sum((combinations(share, COIN) for share in shares.values()), np.zeros(COMBINATIONS, np.uint64))
    assert np.abs(decode(both, SCALE) - sums(values)).max() < 31 * 2.0**-SCALE


async def test_what_the_grid_sends_is_uniform_and_tells_the_bank_the_combinations_alone() -> None:
    sent: list[Words] = []
    for seed in range(400):
        trio = Trio()
        await told(trio, halves(encode(np.full(3, 0.25), SCALE), np.random.default_rng(seed)), Rest(9.0, 9.0))
        sent.append(trio.peer[Party.GRID].log[0][1])
    for words in np.array(sent).T:
        low = np.bincount(words & np.uint64(15), minlength=16)
        assert low.max() < 60 and low.min() > 5  # 25 each
        assert abs(words.astype(float).mean() / 2.0 ** (64 - SCALE + CHECK_BITS) - 0.5) < 0.1


@pytest.mark.parametrize("at", [0, 1, 5])
def test_what_one_step_moves_and_the_next_moves_back_is_in_half_of_a_paths_combinations(at: int) -> None:
    """Of signs that are drawn for each alike it would be in none of four, one time in 16."""
    steps = np.zeros((7, 3), np.uint64)
    steps[at, 1], steps[at + 1, 1] = np.uint64(1 << 30), np.uint64(2**64 - (1 << 30))
    missed = 0
    for coin in range(200):
        found = np.abs(path_combinations(list(steps), bytes([coin])).view(np.int64))
        assert sorted(found.tolist()) == [0] * 2 + [1 << 31] * 2
        missed += not combinations(steps.ravel(), bytes([coin])).any()
    assert 3 < missed < 30


def test_combinations_of_a_path_are_of_all_that_is_in_it_and_linear() -> None:
    rng = np.random.default_rng(0)
    shares = {p: [rng.integers(0, 2**64, 4, np.uint64) for _ in range(5)] for p in Party}
    whole = [a + b for a, b in zip(*shares.values(), strict=True)]
    parts = [path_combinations(shares[p], COIN) for p in Party]
    assert (path_combinations(whole, COIN) == parts[0] + parts[1]).all() and len(parts[0]) == COMBINATIONS
    for step, value in itertools.product(range(5), range(4)):
        one = [np.zeros(4, np.uint64) for _ in range(5)]
        one[step][value] = 1
        assert (np.abs(path_combinations(one, COIN).view(np.int64)) == 1).all()
