"""The link of two parties' angles: what it gives, how far off it is against the formulas, and what each message shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from common.mpc.fixedpoint import Reals, Words
from common.mpc.lattice.embedding import BLOCK, encoded, folded
from common.mpc.lattice.phasors import FLOOD_BITS, HeldPhasors, LinkPublic, OwnPhasors, Waves
from common.mpc.lattice.ring import DEGREE, Integers, spectrum
from common.mpc.lattice.ring96 import LIMBS, SMALL, WORDS, Long, joined
from common.mpc.lattice.sampled import ERROR_DEVIATION, Sampler
from common.mpc.link import Fourier
from tests.common.mpc.lattice.test_distinguisher import COINS, EvenErrors, NoErrors, NoSecrets, OneSecret
from tests.common.mpc.lattice.test_ring96 import MODULUS, long_of, product, whole
from tests.common.mpc.lattice.test_shares import NoFlood, distance, public

LINKS = [Fourier(), Fourier(32, 8, odd=False)]
ROWS = 2 * BLOCK + 700
UNIT = 2.0**32  # of 96 bits, in words


class NoNoise(NoFlood):
    def errors(self, *shape: int) -> Integers:
        return np.zeros(shape, np.int64)


def waves_of(link: Fourier, one: float = 2.0**73) -> Waves:
    return Waves(link.coefficients, link.odd, one)


def angles(rows: int, seed: int = 0) -> tuple[Reals, Words, Words]:
    """Turns, (blocks BLOCK,), and two shares of them, (blocks, BLOCK) in 2^-64; zero behind `rows`."""
    rng, shape = np.random.default_rng(seed), (-(-rows // BLOCK), BLOCK)
    turns = rng.normal(0, 0.08, shape)
    turns.reshape(-1)[rows:] = 0
    one = np.frombuffer(rng.bytes(8 * turns.size), np.uint64).reshape(shape)
    return turns.reshape(-1), one, (turns * 2.0**64).astype(np.int64).view(np.uint64) - one


@dataclass
class Exchange:
    """A span's messages and both parties' shares."""

    key: Long
    hidden: Words
    c: Long
    shares: tuple[Words, Words]

    @property
    def slots(self) -> Reals:
        """What the shares stand for, in 2^-96."""
        found: Reals = spectrum(sum(self.shares, np.uint64(0)).view(np.int64)).real.reshape(-1) * UNIT
        return found


def exchanged(link: Fourier, rows: int = ROWS, kind: type[Sampler] = Sampler, one: float = 2.0**73) -> Exchange:
    _, mine, theirs = angles(rows)
    publics, waves = LinkPublic(public(), link.terms), waves_of(link, one)
    owner, holder = OwnPhasors(kind(bytes(32)), publics), HeldPhasors(kind(bytes([1]) * 32), publics)
    key, hidden = owner.key(), owner.hidden(waves, mine, rows)
    c, share = holder.reply(waves, key, hidden, theirs, rows)
    return Exchange(key, hidden, c, (owner.share(c), share))


@pytest.mark.parametrize("link", LINKS, ids=str)
@pytest.mark.parametrize("rows", [1, BLOCK, ROWS])
def test_slots_are_the_links_values_less_a_half(link: Fourier, rows: int) -> None:
    turns, _, _ = angles(rows)
    found = exchanged(link, rows).slots / 2.0**73
    off = found[:rows] - (link(turns[:rows] * float(link.period)) - 0.5)
    assert np.abs(off).max() < 0.03 and abs(off.mean()) < 0.03 / math.sqrt(rows)
    assert np.abs(found[rows:]).max(initial=0) < 0.03


def deviation(link: Fourier, one: float, flood: float) -> float:
    """Of a coefficient of the sum, by the module's formulas."""
    waves, squares = waves_of(link, one), sum(b * b for b in link.coefficients)
    p = waves.slot**2 * squares + DEGREE * link.terms / 12
    dropped = 2.0**96 / 12 * p
    rounded = waves.scale**2 * link.terms / 12
    secret = ERROR_DEVIATION**2 * (2 * DEGREE * 2 / 3 + p)
    return math.sqrt(dropped + rounded + secret + flood * 2.0 ** (2 * FLOOD_BITS) * 2 / 3)


@pytest.mark.parametrize("link", LINKS, ids=str)
@pytest.mark.parametrize("one", [2.0**68, 2.0**76])
@pytest.mark.parametrize(("kind", "flood"), [(NoFlood, 0.0), (Sampler, 1.0)])
def test_noise_is_what_the_formula_says(link: Fourier, one: float, kind: type[Sampler], flood: float) -> None:
    """What drops, or what is rounded, stands out; from above and, which a wrong scale would show, from below."""
    turns, _, _ = angles(2 * BLOCK)
    exact = encoded((link(turns * float(link.period)) - 0.5).reshape(-1, BLOCK), one / UNIT)
    total = sum(exchanged(link, 2 * BLOCK, kind, one).shares, np.uint64(0))
    off = (folded(total - exact.view(np.uint64))).view(np.int64)[:, 1:] * UNIT
    assert off.std() == pytest.approx(math.sqrt(2) * deviation(link, one, flood), rel=0.05)
    assert abs(off.mean()) < 6 * off.std() / math.sqrt(off.size)


def test_floods_hide_what_comes_of_secrets() -> None:
    """By 46 bits; measured where nothing is rounded: phasors and factors of zeros."""
    publics, waves = LinkPublic(public(), 1), Waves((1.0,), False, 2.0**73)
    zeros = np.zeros((1, BLOCK), np.uint64)
    secret = ERROR_DEVIATION * math.sqrt(2 * DEGREE * 2 / 3)
    assert 2.0**FLOOD_BITS / secret > 2.0**46
    sums = []
    for kind in (NoFlood, NoNoise):
        owner, holder = OwnPhasors(kind(bytes(32)), publics), HeldPhasors(kind(bytes([1]) * 32), publics)
        key = owner.key()
        c, share = holder.reply(waves, key, np.zeros((1, 1, DEGREE), np.uint64), zeros, 0)
        low = np.array(whole(c[0]), object)  # the owner's share to the last bit, which is less than a word's unit
        s = Sampler(bytes(32)).ternary(DEGREE)
        v = Sampler(bytes([1]) * 32).ternary(DEGREE)
        exact = np.array(product(whole(key), v.tolist()), object) - np.array(product(low.tolist(), s.tolist()), object)
        sums.append(np.array([(x + MODULUS // 2) % MODULUS - MODULUS // 2 for x in exact.tolist()], float))
        assert (
            np.abs((share - (np.array(product(whole(key), v.tolist()), object) >> 32).astype(np.uint64)).view(np.int64)).max()
            == 0
        )
    assert sums[0].std() == pytest.approx(secret, rel=0.05)
    assert np.abs(sums[1]).max() == 0


@pytest.mark.parametrize("link", [*LINKS, Fourier(256, 30), Fourier(8, 2)], ids=str)
def test_what_multiplies_a_limb_is_within_the_reach(link: Fourier) -> None:
    """For all angles: the norm of a polynomial is that of its slots, and rounding adds 32 at most."""
    waves = waves_of(link)
    rng = np.random.default_rng(0)
    for turns in (np.zeros(BLOCK, np.uint64), np.frombuffer(rng.bytes(8 * BLOCK), np.uint64)):
        parts = [encoded(-1j * b * z, waves.slot) for b, z in zip(link.coefficients, waves.phasors(turns, BLOCK), strict=True)]
        norms = [float(np.linalg.norm(part)) for part in parts]
        assert sum(norms) + DEGREE**0.5 <= SMALL
        assert all(norm <= abs(b) * waves.slot + 32 for norm, b in zip(norms, link.coefficients, strict=True))


def cut_distance(words: Words) -> float:
    """`distance` of words of 48 bits."""
    flat = words.reshape(-1)
    low, middle = flat.view(np.uint32)[::2], flat.view(np.uint16)[2::4]
    return max(distance(np.ascontiguousarray(part).view(np.uint64)) for part in (low, middle))


def low(numbers: list[int]) -> Words:
    return np.array([number & (1 << 64) - 1 for number in numbers], np.uint64)


def told(kind: type[Sampler]) -> set[str]:
    """Which messages tell who knows both angles, and so all that they hide. Crossed: of two samples under one secret."""
    link = LINKS[0]
    _, mine, theirs = angles(BLOCK)
    publics, waves = LinkPublic(public(), link.terms), waves_of(link)
    owners = [OwnPhasors(sampler, publics) for sampler in [kind(bytes(32))] for _ in range(2)]
    holder = HeldPhasors(kind(bytes([1]) * 32), publics)
    phasors = [encoded(z, waves.scale / UNIT).view(np.uint64) for z in waves.phasors(mine[0], BLOCK)]
    known = np.stack(phasors) >> np.uint64(16)
    keys, bare = [owner.key() for owner in owners], [owner.hidden(waves, mine, BLOCK)[0] - known for owner in owners]
    replies = [
        holder.reply(waves, keys[0], np.zeros((1, link.terms, DEGREE), np.uint64), theirs, BLOCK)[0][0] for _ in range(2)
    ]
    factors = [
        encoded(-1j * b * z, waves.slot) for b, z in zip(link.coefficients, waves.phasors(theirs[0], BLOCK), strict=True)
    ]
    sums = np.zeros(DEGREE, object)
    publicly = public().long(3, 64, link.terms)
    for a, factor in zip(publicly, factors, strict=True):
        sums += np.array(product(whole(a), factor.tolist()), object)
    answers = [[int(x - y) % MODULUS for x, y in zip(whole(reply), sums, strict=True)] for reply in replies]
    a_0, sample = whole(public().long(3, 0, 1)[0]), whole(joined(owners[0]._sample(publics.block(0)[0])))
    crossed = np.array(product(whole(keys[0]), whole(publicly[0])), object) - np.array(product(sample, a_0), object)
    seen = {
        "key": distance(low(whole(keys[0]))),
        "phasors": max(cut_distance(one) for one in bare[0]),
        "spans": cut_distance(bare[0][0] - bare[1][0]),
        "reply": distance(low(answers[0])),
        "replies": distance(low(answers[0]) - low(answers[1])),
        "crossed": distance(low(crossed.tolist())),
    }
    return {name for name, far in seen.items() if far > COINS}


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (Sampler, set[str]()),
        (NoSecrets, {"key", "phasors", "spans", "reply", "replies"}),
        (OneSecret, {"spans", "replies"}),
        (NoErrors, {"crossed"}),
        (EvenErrors, {"crossed"}),
    ],
)
def test_messages_are_coins_unless_a_fault_is_planted(kind: type[Sampler], shown: set[str]) -> None:
    assert told(kind) == shown


def test_public_polynomials_are_the_same_for_each_span_and_no_two_alike() -> None:
    publics = LinkPublic(public(), 2)
    first = publics.block(0)
    assert first is publics.block(0) and np.array_equal(first, LinkPublic(public(), 2).block(0))
    drawn = [publics.key, *first, *publics.block(1), *publics.block(30)]
    assert all(not np.array_equal(x, y) for i, x in enumerate(drawn) for y in drawn[:i])
    assert publics.key.shape == (LIMBS, BLOCK)


def test_known_answers() -> None:
    """The first words of one block, for an implementation of one's own."""
    a = public().long(3, 0, 1)
    assert a.shape == (1, WORDS, DEGREE)
    link = Fourier()
    zeros = np.zeros((1, BLOCK), np.uint64)
    publics = LinkPublic(public(), link.terms)
    owner, holder = OwnPhasors(Sampler(bytes(32)), publics), HeldPhasors(Sampler(bytes([1]) * 32), publics)
    key, hidden = owner.key(), owner.hidden(waves_of(link), zeros, BLOCK)
    c, _ = holder.reply(waves_of(link), key, hidden, zeros, BLOCK)
    found = [whole(a[0])[0], whole(key)[0], *hidden[0, :2, 0].tolist(), whole(c[0])[0]]
    assert [hex(word) for word in found] == ANSWERS
    assert long_of(whole(key)).tolist() == key.tolist()


ANSWERS = [
    "0x1274bc22a9661038c8888ebf",
    "0xb3b467624176a74c4c1d4d80",
    "0xd0fc414f73eb",
    "0xef642eaf72e4",
    "0x44f843d4e24a59a8b024ce4b",
]
