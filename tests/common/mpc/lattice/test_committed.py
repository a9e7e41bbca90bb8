"""Shares that both are committed to: products exact up to the noise of the formula, what each message shows, what is stored."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from common.mpc.committed import Committed, mark_of
from common.mpc.fixedpoint import X_LIMIT, X_SCALE, Words
from common.mpc.lattice import committed as module
from common.mpc.lattice.committed import FORM, LIFT, CommittedProducts, commit, flood_width, noise, public_of
from common.mpc.lattice.ring import DEGREE, integers, spectrum
from common.mpc.lattice.ring96 import UNIT, WORDS, Long, Wide, stacked, thirds_joined
from common.mpc.lattice.sampled import ERROR_DEVIATION, HIDDEN_BITS, Sampler, flood_bits
from common.mpc.lattice.sampled import distance as distance_left
from common.mpc.session import Kind
from common.party import Party
from tests.common.mpc.lattice.test_ring96 import long_of, product, whole
from tests.common.mpc.lattice.test_shares import (
    COINS,
    LOUD,
    NONCES,
    TERNARY,
    Loud,
    Narrow,
    NoFlood,
    distance,
    flat,
    minus,
    signed96,
    small,
)
from tests.peers import Trio

COLUMNS = {Party.GRID: 3, Party.BANK: 2}
FLOOD_BITS = 40


async def committed(words: dict[Party, Words] | None = None) -> tuple[dict[Party, Committed], Trio]:
    """words: each party's shares of the other's block; by default anything."""
    rng, trio = np.random.default_rng(0), Trio()
    held = words or {p: rng.integers(0, 2**64, COLUMNS[p.other], np.uint64) for p in Party}
    made = (commit(trio.session[p], NONCES, held[p], len(held[p.other])) for p in Party)
    return dict(zip(Party, await asyncio.gather(*made), strict=True)), trio


def rows(rng: np.random.Generator, party: Party, count: int, largest: int = 4 << X_SCALE) -> Words:
    return rng.integers(-largest, largest + 1, (count, COLUMNS[party])).view(np.uint64)


def off(held: dict[Party, Committed], owner: Party, x: Words, bits: int = FLOOD_BITS) -> np.ndarray:
    """By how much shares of products of this party's rows do not add up to them."""
    products = {p: CommittedProducts(p, held[p], bits) for p in Party}
    c, mine = products[owner].multiplied(x)
    exact = np.einsum("ij,j->i", x, held[owner.other].words) << np.uint64(LIFT)
    return small(mine + products[owner.other].share(c, len(x)) - exact)


@pytest.mark.parametrize("owner", Party)
async def test_noise_is_what_the_formula_says(owner: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sum_j X_j e_j + v e_0 - s e', from above and from below, of errors so loud that it shows in words."""
    monkeypatch.setattr(module, "Sampler", Loud)
    held, _ = await committed()
    x = rows(np.random.default_rng(1), owner, 2 * DEGREE)
    per_block = np.sum(small(x).reshape(2, DEGREE, -1) ** 2, axis=(1, 2)).mean()
    deviation = ERROR_DEVIATION * np.sqrt(per_block + 2 * DEGREE * TERNARY) * 2.0 ** (LOUD - UNIT)
    assert off(held, owner, x).std() == pytest.approx(deviation, rel=0.1)


@pytest.mark.parametrize("owner", Party)
async def test_without_floods_products_are_right_to_what_two_words_are_cut_by(
    owner: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Sampler", NoFlood)
    held, _ = await committed()
    assert np.abs(off(held, owner, rows(np.random.default_rng(1), owner, 2 * DEGREE))).max() <= 1


def test_the_formula_is_that_of_whitened_rows() -> None:
    """And floods are wider only where columns are so many that a score's finest step would hide less."""
    x = np.random.default_rng(0).normal(0, 1 << X_SCALE, (24, DEGREE))
    assert noise(24) == pytest.approx(ERROR_DEVIATION * np.sqrt(np.sum(x**2) + 2 * DEGREE * TERNARY), rel=0.02)
    for columns in (1, 24, 100, 1000, 10_000):
        bits = flood_width(columns, 26) + UNIT
        assert distance_left(noise(columns), bits) <= -HIDDEN_BITS
        assert bits == max(26 + UNIT, flood_bits(noise(columns)))
    assert flood_width(100, 26) == 26 < flood_width(10_000, 26)


async def likeness(of: Party, kind: type[Sampler], monkeypatch: pytest.MonkeyPatch) -> float:
    """How the sum of shares is like the holder's errors times rows, where only `of` has a flood, in deviations of chance."""

    class Louder(Sampler):
        def errors(self, *shape: int) -> np.ndarray:
            return super().errors(*shape) << 40

    monkeypatch.setattr(module, "Sampler", Louder)
    held, trio = await committed()
    owner, holder = Party.GRID, Party.BANK
    words = held[holder].words << np.uint64(LIFT)
    samples = stacked(trio.peer[holder].log[0][1])[1:]
    secret, public = spectrum(held[holder].secret), public_of(held[holder], holder)
    bare = thirds_joined(Wide(public.long(FORM, 1, len(words))).times(secret))
    x = rows(np.random.default_rng(6), owner, DEGREE)
    hidden = np.zeros(DEGREE)
    for j, word in enumerate(words.tolist()):
        error = np.array(whole(samples[j]), object) - np.array(whole(bare[j]), object)
        error[0] -= word << UNIT
        loud = signed96(error) / 2.0**40
        hidden += integers(spectrum(loud) * spectrum(x[:, j].view(np.int64)))
    products = {p: CommittedProducts(p, held[p], FLOOD_BITS) for p in Party}
    for p in Party:
        products[p]._sampler = (kind if p is of else NoFlood)(bytes([p.index]) * 32)
    c, mine = products[owner].multiplied(x)
    exact = np.einsum("ij,j->i", x, words)
    left = small(mine + products[holder].share(c, DEGREE) - exact)
    return float(np.corrcoef(left, hidden)[0, 1] * np.sqrt(DEGREE))


@pytest.mark.parametrize("of", Party)
@pytest.mark.parametrize(("kind", "seen"), [(Sampler, False), (NoFlood, True), (Narrow, True)])
async def test_errors_are_not_seen_in_a_sum_unless_a_flood_is_gone_or_narrow(
    of: Party, kind: type[Sampler], seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the other party, who knows its own flood, and all of the sum but these errors: 2^28 of them below 2^40 of a flood."""
    assert (abs(await likeness(of, kind, monkeypatch)) > COINS) == seen


@pytest.mark.parametrize("count", [1, DEGREE, DEGREE + 7])
async def test_the_largest_values_are_multiplied_rightly(count: int) -> None:
    """At the ends of what rows and shares hold, and rows that fill no block: off by floods and noise, and by no more."""
    largest = int(X_LIMIT) << X_SCALE
    for word in (0, 2**63 - 1, 2**63, 2**64 - 1):
        held, _ = await committed({p: np.full(COLUMNS[p.other], word, np.uint64) for p in Party})
        for value in (largest, -largest):
            x = np.full((count, COLUMNS[Party.GRID]), value, np.int64).view(np.uint64)
            found = off(held, Party.GRID, x)
            most = 21 * largest * COLUMNS[Party.GRID] * min(count, DEGREE)
            assert np.abs(found).max() < 2 * 2.0**FLOOD_BITS + most


async def test_as_many_columns_as_are_summed_more_than_once_at_a_time() -> None:
    rng = np.random.default_rng(2)
    words = {Party.GRID: rng.integers(0, 2**64, 1, np.uint64), Party.BANK: rng.integers(0, 2**64, 130, np.uint64)}
    held, _ = await committed(words)
    x = rng.integers(-(64 << X_SCALE), 64 << X_SCALE, (500, 130)).view(np.uint64)
    assert np.abs(off(held, Party.GRID, x)).max() < 3 * 2.0**FLOOD_BITS
    for owner, few in ((Party.GRID, x), (Party.BANK, x[:, :1])):  # floods that the columns of the rows ask for
        width = flood_width(few.shape[1], 0)
        assert off(held, owner, few, 0).std() == pytest.approx(2.0**width * np.sqrt(2 / 3), rel=0.5)
    assert flood_width(130, 0) - flood_width(1, 0) >= 3


async def test_floods_are_what_sums_are_off_by() -> None:
    held, _ = await committed()
    found = off(held, Party.GRID, rows(np.random.default_rng(3), Party.GRID, DEGREE))
    assert found.std() == pytest.approx(2.0**FLOOD_BITS * np.sqrt(2 / 3), rel=0.1)


async def test_each_keeps_what_the_other_sent_and_knows_its_mark() -> None:
    held, trio = await committed()
    for party in Party:
        ((label, sent),) = trio.peer[party].log
        assert label.kind is Kind.LATTICE_MODEL and (stacked(sent) == held[party.other].masked).all()
        assert held[party].sent == mark_of(sent) == held[party.other].marks[32:]
        assert held[party].columns == COLUMNS[party]


async def test_what_is_sent_is_coins_less_all_that_it_hides_too() -> None:
    """Shares masked once, and rows of many blocks: as they are, and for who knows what they hide."""
    held, trio = await committed()
    rng = np.random.default_rng(4)
    for party in Party:
        sent, public = stacked(trio.peer[party].log[0][1]), public_of(held[party], party)
        lifted = np.zeros_like(sent)
        for j, word in enumerate((held[party].words << np.uint64(LIFT)).tolist(), 1):
            lifted[j, 1, 0], lifted[j, 2, 0] = word & 0xFFFFFFFF, word >> UNIT
        assert max(distance(flat(sent)), distance(flat(minus(sent, lifted)))) < COINS
        bare = thirds_joined(Wide(public.long(FORM, 0, len(sent))).times(spectrum(held[party].secret)))
        less = numbers(minus(minus(sent, lifted), bare))
        assert np.abs(less).max() <= 21 and less.std() == pytest.approx(ERROR_DEVIATION, rel=0.05)

        x, under = rows(rng, party, DEGREE), public_of(held[party.other], party.other)
        products = CommittedProducts(party, held[party], FLOOD_BITS)
        products._sampler = Sampler(bytes(32))  # so that v is known, of the first
        twice = [products.multiplied(x)[0] for _ in range(2)]
        known = np.zeros(DEGREE, object)
        for column in range(COLUMNS[party]):
            polynomial = whole(under.long(FORM, 1 + column, 1)[0])
            known += np.array(product(polynomial, x[:, column].view(np.int64).tolist()), object)
        bare = minus(twice[0], long_of(known.tolist())[None])
        for found in (twice[0], bare, minus(twice[0], twice[1])):
            assert found.shape == (1, WORDS, DEGREE) and distance(flat(found)) < COINS
        once = spectrum(Sampler(bytes(32)).ternary(1, DEGREE))
        error = numbers(minus(bare, thirds_joined(Wide(under.long(FORM, 0, 1)).times(once))))
        assert np.abs(error).max() <= 21 and error.std() == pytest.approx(ERROR_DEVIATION, rel=0.05)


def numbers(long: Long) -> np.ndarray:
    """Signed coefficients."""
    return np.concatenate([signed96(np.array(whole(one), object)) for one in long])


async def test_secrets_of_zeros_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sampler, "ternary", lambda _, *shape: np.zeros(shape, np.int64))
    held, trio = await committed()
    for party in Party:
        assert distance(flat(stacked(trio.peer[party].log[0][1]))) > 50
    c, _ = CommittedProducts(Party.GRID, held[Party.GRID], FLOOD_BITS).multiplied(np.zeros((DEGREE, 3), np.uint64))
    assert distance(flat(c)) > 50


async def test_no_secret_is_used_twice_and_none_is_in_a_text() -> None:
    held, _ = await committed()
    again, _ = await committed()
    assert all((held[p].secret != again[p].secret).any() for p in Party)
    products = CommittedProducts(Party.GRID, held[Party.GRID], FLOOD_BITS)
    x = np.zeros((DEGREE, 3), np.uint64)
    one, two = products.multiplied(x)[0], products.multiplied(x)[0]
    other = CommittedProducts(Party.GRID, held[Party.GRID], FLOOD_BITS).multiplied(x)[0]
    assert (one != two).mean() > 0.99 and (one != other).mean() > 0.99
    for thing in (held[Party.GRID], products):
        assert "array" not in repr(thing)


async def test_it_is_stored_and_read_again() -> None:
    held, _ = await committed()
    for one in held.values():
        found = Committed.stored(one.arrays("0 "), "0 ")
        assert all(np.array_equal(getattr(found, n), getattr(one, n)) for n in ("words", "secret", "masked"))
        assert (found.nonces, found.sent, found.marks) == (one.nonces, one.sent, one.marks)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("secret", lambda v: v[:-1]),
        ("secret", lambda v: v + np.uint64(3)),
        ("masked", lambda v: v[:-1]),
        ("masked", lambda v: v[:0]),
        ("nonces", lambda v: v[:-1]),
        ("sent", lambda v: v[:-1]),
        ("words", lambda v: v.astype(np.int64)),
        ("words", lambda v: v.reshape(1, -1)),
    ],
)
async def test_what_was_not_stored_so_is_refused(name: str, change: object) -> None:
    held, _ = await committed()
    arrays = held[Party.GRID].arrays()
    with pytest.raises(ValueError, match=r"size|shape"):
        Committed.stored({**arrays, name: change(arrays[name])})  # type: ignore[operator]


async def test_a_changed_mark_is_another() -> None:
    held, _ = await committed()
    one = held[Party.GRID]
    changed = one.masked.copy()
    changed[1, 0, 7] ^= np.uint32(1)
    assert replace(one, masked=changed).marks != one.marks
