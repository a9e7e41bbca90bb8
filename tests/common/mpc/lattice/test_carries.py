"""Shifts of shared values by products of bits: exact at every edge, noise as the formula says, messages that are coins."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import LocalProtocolError
from common.mpc.fixedpoint import Words
from common.mpc.lattice import carries
from common.mpc.lattice.carries import AT_ONCE, CARRY_BITS, LIFT, PLACES, HeldBits, OwnBits, polynomials_of, share_carries
from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.sampled import ERROR_DEVIATION, Public, Sampler
from common.mpc.session import Kind, Session
from common.party import Party
from tests.channels import MemoryChannel, memory_pair

NONCES = {Party.GRID: bytes(32), Party.BANK: bytes(range(32))}
EDGE = 1 << 62
Found = tuple[dict[Party, Words], dict[Party, MemoryChannel]]


def shifted(x: list[int], by: int | Words, shares: Words, seed: int = 0) -> Found:
    """Shares of x / 2^by of shares whose grid's part is `shares`, and what both said."""
    channels = dict(zip(Party, memory_pair(), strict=True))
    whole = np.array([value % 2**64 for value in x], np.uint64)
    words = {Party.GRID: shares, Party.BANK: whole - shares}

    async def side(party: Party) -> Words:
        sampler = Sampler(bytes([seed, party.index]) * 16)
        session = Session(party, channels[party])
        made = await share_carries(session, sampler, Public(NONCES, Party.GRID), len(x))
        return await made.shift(words[party], by)

    async def both() -> list[Words]:
        return list(await asyncio.gather(*(side(party) for party in Party)))

    return dict(zip(Party, asyncio.run(both()), strict=True)), channels


def off(x: list[int], by: int, found: dict[Party, Words]) -> np.ndarray:
    """How far each is from x / 2^by, of what words of that many bits can tell."""
    bits = min(64, 64 - by + CARRY_BITS)
    up = np.uint64(64 - bits)
    low = [value >> by for value in x]
    exact = np.array([value % 2**64 for value in low], np.uint64)
    apart = ((sum(found.values()) - exact) << up).view(np.int64) >> int(up)
    return apart - np.array([value - (whole << by) for value, whole in zip(x, low, strict=True)]) / 2.0**by


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from([0, 1, -1, EDGE - (1 << 41), 1 - EDGE]), st.integers(1 - EDGE, EDGE - (1 << 41))),
            st.one_of(st.sampled_from([0, 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]), st.integers(0, 2**64 - 1)),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([1, CARRY_BITS, 39, 40]),
)
def test_whatever_is_shared_however_comes_out_less_than_a_unit_off(values: list[tuple[int, int]], by: int) -> None:
    x, shares = [value for value, _ in values], np.array([share for _, share in values], np.uint64)
    assert np.abs(off(x, by, shifted(x, by, shares)[0])).max() < 1.0 + 2.0**-20


def test_many_values_are_shifted_each_by_its_own_and_without_a_bias() -> None:
    rng = np.random.default_rng(0)
    count = 33 * AT_ONCE + 5  # more than are in memory at once
    x = rng.integers(-(2**61), 2**61, count).tolist()
    by = np.where(np.arange(count) % 2, 39, 12).astype(np.uint64)
    found, channels = shifted(x, by, rng.integers(0, 2**64, count, np.uint64))
    for places in (slice(0, None, 2), slice(1, None, 2)):
        errors = off(x[places], int(by[places][0]), {p: words[places] for p, words in found.items()})
        assert np.abs(errors).max() < 1.0
        assert abs(errors.mean()) < 6 * np.sqrt(1 / 6 / len(errors))
    sent = {p: [label.kind for label, _ in channels[p].log] for p in Party}
    assert sent[Party.GRID] == [Kind.LATTICE_BITS] * 3 + [Kind.LATTICE_CARRIES]
    assert sum(v.nbytes for _, v in channels[Party.GRID].log[:-1]) == 8 * DEGREE * (polynomials_of(count) + 1)
    assert channels[Party.GRID].log[-1][1].nbytes == -(-count // 8)


def products(rng: np.random.Generator) -> tuple[OwnBits, HeldBits, Words, Words, Words]:
    owner, holder = Sampler(rng.bytes(32)), Sampler(rng.bytes(32))
    public = Public(NONCES, Party.GRID)
    own = OwnBits(owner, public, owner.bits(4, AT_ONCE))
    held = HeldBits(holder, public, holder.bits(4, AT_ONCE), own.masked(-1, 1)[0])
    masked = own.masked(0, 4)
    c, mine = held.multiplied(0, masked)
    return own, held, masked, c, own.share(c) + mine


def test_products_of_bits_are_exact_modulo_what_they_are_shared_by() -> None:
    own, held, _, _, found = products(np.random.default_rng(1))
    assert np.array_equal(found & np.uint64((1 << CARRY_BITS) - 1), (own.bits * held.bits).astype(np.uint64))
    assert 0.2 < (own.bits * held.bits).mean() < 0.3 and abs(own.bits.mean() - 0.5) < 0.15


def test_noise_of_products_is_as_the_formula_says_and_far_below_half_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sum e beta + v e_0 - s e': a wrong scale would show from above or from below."""
    noise, ones = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        with monkeypatch.context() as whole:
            own, held, masked, _, _ = products(rng)
            whole.setattr(carries, "LIFT", 0)  # nothing is rounded away
            c, mine = held.multiplied(0, masked)
            raw = own.share(c) + mine - np.uint64(1)
        noise.append((raw - ((own.bits * held.bits).astype(np.uint64) << np.uint64(LIFT))).view(np.int64))
        ones.append(held.bits.sum(axis=1).mean())
    deviation = ERROR_DEVIATION * np.sqrt(np.mean(ones) + 2 * DEGREE * 2 / 3)
    assert np.std(noise) == pytest.approx(deviation, rel=0.08)
    assert np.sqrt(2 / np.pi) * deviation / 2**LIFT < 2.0**-35  # how often rounding is wrong


def test_no_two_places_sum_to_twice_a_third() -> None:
    sums = (PLACES[:, None] + PLACES[None, :]).ravel()
    found, counts = np.unique(sums, return_counts=True)
    assert len(PLACES) == len(set(PLACES)) == AT_ONCE and sums.max() < DEGREE
    assert all(counts[np.searchsorted(found, 2 * PLACES)] == 1)


def test_what_is_said_is_coins_and_a_second_use_is_refused() -> None:
    count = 64 * AT_ONCE
    _, channels = shifted([0] * count, 39, np.zeros(count, np.uint64))
    for party in Party:
        for label, values in channels[party].log:
            ones = np.unpackbits(np.ascontiguousarray(values).view(np.uint8))
            assert abs(ones.mean() - 0.5) < 6 / np.sqrt(len(ones)) / 2, label
    both = channels[Party.GRID].log[-1][1] ^ channels[Party.BANK].log[-1][1]
    assert abs(np.unpackbits(both).mean() - 0.5) < 6 / np.sqrt(count) / 2

    async def twice() -> None:
        sessions = [Session(p, c) for p, c in zip(Party, memory_pair(), strict=True)]

        async def side(session: Session) -> None:
            sampler = Sampler(bytes([9, session.party.index]) * 16)
            made = await share_carries(session, sampler, Public(NONCES, Party.GRID), 3)
            await made.shift(np.zeros(AT_ONCE, np.uint64), 5)
            with pytest.raises(LocalProtocolError, match="more values are shifted"):
                await made.shift(np.zeros(1, np.uint64), 5)

        await asyncio.gather(*map(side, sessions))

    asyncio.run(twice())
