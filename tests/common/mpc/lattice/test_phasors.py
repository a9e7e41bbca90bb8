"""The link of two parties' angles: what it gives, how far off it is against the formulas, and what each message shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from common.mpc.fixedpoint import Reals, Words
from common.mpc.lattice.embedding import BLOCK, encoded, folded
from common.mpc.lattice.phasors import FLOOD_BITS, PHASOR_BYTES, HeldPhasors, LinkPublic, OwnPhasors, Waves, unit
from common.mpc.lattice.ring import DEGREE, Integers, spectrum
from common.mpc.lattice.ring96 import LIMB_BITS, LIMBS, SMALL, WORDS, Long, joined
from common.mpc.lattice.sampled import ERROR_DEVIATION, HIDDEN_BITS, SECRETS, Sampler
from common.mpc.lattice.sampled import distance as distance_left
from common.mpc.link import Fourier
from tests.common.mpc.lattice.test_distinguisher import COINS, EvenErrors, NoErrors, NoSecrets, OneSecret
from tests.common.mpc.lattice.test_ring import waves as strained
from tests.common.mpc.lattice.test_ring96 import MODULUS, long_of, product, whole
from tests.common.mpc.lattice.test_shares import Loud, NoFlood, distance, flat, minus, public

LINKS = [Fourier(), Fourier(32, 8, odd=False)]
ROWS = 2 * BLOCK + 700
UNIT = 2.0**32  # of 96 bits, in words


class NoNoise(NoFlood):
    def errors(self, *shape: int) -> Integers:
        return np.zeros(shape, np.int64)


ONE = 2.0**78  # of a step of 2.5 over 20,000 rows


def waves_of(link: Fourier, one: float = ONE) -> Waves:
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


def exchanged(link: Fourier, rows: int = ROWS, kind: type[Sampler] = Sampler, one: float = ONE) -> Exchange:
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
    found = exchanged(link, rows).slots / ONE
    off = found[:rows] - (link(turns[:rows] * float(link.period)) - 0.5)
    assert np.abs(off).max() < 0.08 and abs(off.mean()) < 0.08 / math.sqrt(rows)
    assert np.abs(found[rows:]).max(initial=0) < 0.08


def test_units_are_those_of_a_library() -> None:
    """At the ends of a turn and of its parts, and anywhere: what is drawn there is secret, so none is asked in the product."""
    rng, places = np.random.default_rng(0), [0, 1, 2**61, 2**61 - 1, 2**62, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]
    turns = np.concatenate([np.array(places, np.uint64), np.frombuffer(rng.bytes(1 << 16), np.uint64)])
    assert np.abs(unit(turns) - np.exp(2j * np.pi * 2.0**-64 * turns.view(np.int64))).max() < 2.0**-48
    assert np.abs(np.abs(unit(turns)) - 1).max() < 2.0**-48 and unit(turns)[0] == 1


def dithered(waves: Waves) -> float:
    """The variance that rounding up or down leaves in coefficients of all p_k together: 1/6 each where they are not small."""
    drawn = np.random.default_rng(0).standard_normal(1 << 16)
    parts = [np.modf(np.abs(drawn) * b * waves.slot / BLOCK**0.5 * 0.5**0.5)[0] for b in np.abs(waves.coefficients)]
    return float(sum((part * (1 - part)).mean() for part in parts))


def deviation(link: Fourier, one: float, flood: float) -> float:
    """Of a coefficient of the sum, by the module's formulas."""
    waves, squares = waves_of(link, one), sum(b * b for b in link.coefficients)
    p = waves.slot**2 * squares + DEGREE * dithered(waves)
    dropped = 2.0**112 / 12 * p
    rounded = waves.scale**2 * dithered(waves)
    secret = ERROR_DEVIATION**2 * (2 * DEGREE * 2 / 3 + p)
    down = UNIT**2 / 6  # either rounds its share down to words
    return math.sqrt(dropped + rounded + secret + down + flood * 2.0 ** (2 * FLOOD_BITS) * 2 / 3)


@pytest.mark.parametrize("link", LINKS, ids=str)
@pytest.mark.parametrize("one", [2.0**68, 2.0**78])
@pytest.mark.parametrize(("kind", "flood"), [(NoFlood, 0.0), (Sampler, 1.0)])
def test_noise_is_what_the_formula_says(link: Fourier, one: float, kind: type[Sampler], flood: float) -> None:
    """What drops, or what is rounded, stands out; from above and, which a wrong scale would show, from below."""
    turns, _, _ = angles(2 * BLOCK)
    exact = encoded((link(turns * float(link.period)) - 0.5).reshape(-1, BLOCK), one / UNIT)
    total = sum(exchanged(link, 2 * BLOCK, kind, one).shares, np.uint64(0))
    off = (folded(total - exact.view(np.uint64))).view(np.int64)[:, 1:] * UNIT
    assert off.std() == pytest.approx(math.sqrt(2) * deviation(link, one, flood), rel=0.05)
    assert abs(off.mean()) < 6 * off.std() / math.sqrt(off.size)


def test_either_party_floods_its_share() -> None:
    """Of words of zeros a share is a flood, as wide as it says."""
    publics, scaled, nothing = LinkPublic(public(), 1), Waves((1.0,), False, ONE), np.zeros((1, WORDS, DEGREE), np.uint32)
    own = OwnPhasors(Sampler(bytes(32)), publics).share(nothing)
    held = HeldPhasors(Sampler(bytes([1]) * 32), publics)
    hidden = np.zeros((1, 1, DEGREE), np.uint64)
    _, share = held.reply(scaled, nothing[0], hidden, np.zeros((1, BLOCK), np.uint64), BLOCK)
    for one in (own, share):
        assert one.view(np.int64).std() * UNIT == pytest.approx(2.0**FLOOD_BITS / math.sqrt(3), rel=0.03)
        assert np.abs(one.view(np.int64)).max() * UNIT <= 2.0**FLOOD_BITS
    assert not np.array_equal(own, share)


@pytest.mark.parametrize("kind", [NoFlood, NoNoise])
def test_floods_hide_what_comes_of_secrets(kind: type[Sampler]) -> None:
    """Nothing but errors times v and s is in a sum, and 2^-45 of these is left at the most: measured to the last bit."""
    publics, seed = LinkPublic(public(), 1), bytes([1]) * 32
    assert distance_left(math.hypot(SECRETS, ERROR_DEVIATION * SMALL), FLOOD_BITS) < -45 < -HIDDEN_BITS
    key = OwnPhasors(kind(bytes(32)), publics).key()
    none, nothing = Waves((0.0,), False, ONE, ONE), np.zeros((1, BLOCK), np.uint64)
    c, _ = HeldPhasors(kind(seed), publics).reply(none, key, np.zeros((1, 1, DEGREE), np.uint64), nothing, 0)
    s, v = (Sampler(one).ternary(DEGREE).tolist() for one in (bytes(32), seed))
    off = np.array(product(whole(key), v), object) - np.array(product(whole(c[0]), s), object)
    sizes = np.array([(x + MODULUS // 2) % MODULUS - MODULUS // 2 for x in off.tolist()], float)
    assert sizes.std() == pytest.approx(SECRETS if kind is NoFlood else 0.0, rel=0.05)


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


def ends(bits: int, dropped: int = 0) -> list[Words]:
    """Words of so many bits where doubles are strained most: all ones, the least number, all limbs at their ends in signs
    that add up at one root. dropped: low bits of the lowest limb that are zero."""
    limb, count = strained(LIMB_BITS), -(-bits // LIMB_BITS)
    parts = [(limb >> dropped) << dropped, *[limb] * (count - 1)]
    aligned = [sum(int(part[i]) << LIMB_BITS * at for at, part in enumerate(parts)) for i in range(DEGREE)]
    numbers = ([-1 << dropped] * DEGREE, [1 << bits - 1] * DEGREE, aligned)
    return [np.array([n % (1 << bits) >> dropped for n in some], np.uint64) for some in numbers]


def long_ends() -> list[tuple[list[int], Long]]:
    """Coefficients likewise, in whole."""
    limb = strained(LIMB_BITS)
    aligned = [sum(int(limb[i]) << LIMB_BITS * at for at in range(LIMBS)) % MODULUS for i in range(DEGREE)]
    return [(some, long_of(some)) for some in ([MODULUS - 1] * DEGREE, [MODULUS >> 1] * DEGREE, aligned)]


def parts_of(link: Fourier, scaled: Waves, twin: Sampler) -> tuple[list[int], list[list[int]], list[int]]:
    """v, factors and e' of an answer to angles of zero, as this sampler draws them."""
    once, phasors = twin.ternary(DEGREE).tolist(), scaled.phasors(np.zeros(BLOCK, np.uint64), BLOCK)
    factors = [
        encoded(-1j * b * z, scaled.slot, twin.fractions(DEGREE)).tolist()
        for b, z in zip(link.coefficients, phasors, strict=True)
    ]
    return once, factors, twin.errors(DEGREE).tolist()


@pytest.mark.parametrize("end", range(3), ids=["all ones", "the least number", "one root"])
@pytest.mark.parametrize("link", LINKS, ids=str)
def test_the_largest_words_are_answered_and_undone_to_the_last_bit(link: Fourier, end: int) -> None:
    """Against whole numbers, with factors at the limit: what is cut of phasors stands for zeros, and nothing else is lost.

    Errors are there, and seen as they are 2^46 times as large.
    """
    scaled, publics, seed = waves_of(link, 2.0**90), LinkPublic(public(), link.terms), bytes([1]) * 32
    assert scaled.slot * 2 > scaled.limit
    (key_numbers, key), phasor = long_ends()[end], ends(48, 8)[end]
    hidden = np.stack([phasor] * link.terms)[None]
    c, share = HeldPhasors(Loud(seed), publics).reply(scaled, key, hidden, np.zeros((1, BLOCK), np.uint64), BLOCK)
    once, factors, errors = parts_of(link, scaled, Loud(seed))
    told = np.array(product(key_numbers, once), object)
    sent = np.array(product(whole(public().long(3, 0, 1)[0]), once), object) + errors
    for a, factor in zip(public().long(3, 64, link.terms), factors, strict=True):
        told += np.array(product([w << 56 for w in phasor.tolist()], factor), object)
        sent += np.array(product(whole(a), factor), object)
    assert share[0].tolist() == [n % MODULUS >> 32 for n in told]
    assert whole(c[0]) == [n % MODULUS for n in sent]
    owner, secret = OwnPhasors(NoFlood(seed), publics), Sampler(seed).ternary(DEGREE).tolist()
    undone = product(key_numbers, secret)
    assert owner.share(key[None])[0].tolist() == [-(n % MODULUS >> 32) % 2**64 for n in undone]


def cut_distance(words: Words) -> float:
    """`distance` of words of 5 bytes."""
    flat = words.reshape(-1)
    parts = flat.view(np.uint32)[::2], flat.view(np.uint8)[4::8]
    return max(distance(np.ascontiguousarray(part).view(np.uint64)) for part in parts)


def low(numbers: list[int]) -> Words:
    return np.array([number & (1 << 64) - 1 for number in numbers], np.uint64)


def told(kind: type[Sampler]) -> set[str]:
    """Which messages tell who knows both angles, and so all that they hide. Crossed: of two samples under one secret."""
    link = LINKS[0]
    _, mine, theirs = angles(BLOCK)
    publics, waves = LinkPublic(public(), link.terms), waves_of(link)
    owners = [OwnPhasors(sampler, publics) for sampler in [kind(bytes(32))] for _ in range(2)]
    holder = HeldPhasors(kind(bytes([1]) * 32), publics)
    holder._sampler.fractions = lambda *shape: np.full(shape, 0.5)  # type: ignore[method-assign]  # so that factors are known
    phasors = [encoded(z, waves.scale / UNIT).view(np.uint64) for z in waves.phasors(mine[0], BLOCK)]
    known = np.stack(phasors) >> np.uint64(64 - 8 * PHASOR_BYTES)
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
    answers = [minus(reply, long_of(sums.tolist())) for reply in replies]
    a_0, sample = whole(public().long(3, 0, 1)[0]), whole(joined(owners[0]._sample(publics.block(0)[0])))
    key = whole(joined(owners[0]._sample(publics.key)))
    crossed = np.array(product(key, whole(publicly[0])), object) - np.array(product(sample, a_0), object)
    seen = {
        "key": distance(flat(keys[0])),
        "phasors": max(cut_distance(one) for one in bare[0]),
        "spans": cut_distance(bare[0][0] - bare[1][0]),
        "reply": distance(flat(answers[0])),
        "replies": distance(flat(minus(answers[0], answers[1]))),
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


ANSWERS = [
    "0x1274bc22a9661038c8888ebf",
    "0xb3b467624176a74c4c1d4d80",
    "0xd0fc41536c",
    "0xef642eb36b",
    "0xc99760ffc7339fa70c9cf67c",
]
