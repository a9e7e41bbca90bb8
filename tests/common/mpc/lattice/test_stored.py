"""Phasors of the sum of two random angles: what is stored of them, how far it is off against the formulas, what is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from common.mpc.fixedpoint import Words
from common.mpc.lattice.embedding import BLOCK, encoded, folded
from common.mpc.lattice.phasors import LinkPublic, Waves
from common.mpc.lattice.ring import DEGREE, spectrum
from common.mpc.lattice.ring96 import SMALL, Long, joined
from common.mpc.lattice.sampled import ERROR_DEVIATION, FLOOD_BITS, HIDDEN_BITS, SECRETS, Sampler
from common.mpc.lattice.sampled import distance as distance_left
from common.mpc.lattice.stored import _MOST_SLOT_BITS, HeldAngles, OwnAngles, link_share, owner_flood, slot_of
from common.mpc.link import Fourier
from tests.common.mpc.lattice.test_distinguisher import COINS, EvenErrors, NoErrors, NoSecrets, OneSecret
from tests.common.mpc.lattice.test_phasors import ROWS, NoNoise, angles, low
from tests.common.mpc.lattice.test_ring96 import MODULUS, product, whole
from tests.common.mpc.lattice.test_shares import NoFlood, distance, public

LINKS = [Fourier(), Fourier(32, 8, odd=False)]
ONE = 2.0**73
STORED = 2.0**48  # the unit of what is stored, of 2^96


def waves_of(link: Fourier, one: float = ONE) -> Waves:
    limit = Waves(link.coefficients, link.odd, 1.0).limit
    return Waves(link.coefficients, link.odd, one, 2.0 ** math.ceil(math.log2(one / limit)))


@dataclass
class Made:
    key: Long
    hidden: Words
    c: Long
    angles: tuple[Words, Words]
    shares: tuple[Words, Words]


def made(link: Fourier, blocks: int, kind: type[Sampler] = Sampler, one: float = ONE) -> Made:
    rng, shape = np.random.default_rng(4), (blocks, BLOCK)
    mine, theirs = (rng.integers(0, 2**32, shape, np.uint64) << np.uint64(32) for _ in range(2))
    publics, waves = LinkPublic(public(), link.terms), waves_of(link, one)
    owner, holder = OwnAngles(kind(bytes(32)), publics), HeldAngles(kind(bytes([1]) * 32), publics)
    key, hidden = owner.key(), owner.hidden(waves, mine)
    c, share = holder.reply(waves, key, hidden, theirs)
    return Made(key, hidden, c, (mine, theirs), (owner.share(waves, c), share))


@pytest.mark.parametrize("link", LINKS, ids=str)
@pytest.mark.parametrize("rows", [1, BLOCK, ROWS])
def test_slots_are_the_links_values_less_a_half(link: Fourier, rows: int) -> None:
    turns, one, other = angles(rows)
    stock, waves = made(link, len(one)), waves_of(link)
    told = one + other - stock.angles[0] - stock.angles[1]
    shares = [link_share(waves, share, told, rows) for share in stock.shares]
    found = spectrum(sum(shares, np.uint64(0)).view(np.int64)).real.reshape(-1) * 2.0**32 / ONE
    off = found[:rows] - (link(turns[:rows] * float(link.period)) - 0.5)
    assert np.abs(off).max() < 0.08 and abs(off.mean()) < 0.08 / math.sqrt(rows)
    assert np.abs(found[rows:]).max(initial=0) < 0.08


def deviation(waves: Waves, flood: float) -> float:
    """Of a coefficient of what is stored, by the module's formulas."""
    slot = slot_of(waves)
    cut, floods = 2 * STORED**2 / 12, flood * (4.0**FLOOD_BITS + 4.0 ** owner_flood(waves)) / 3
    sent, rounded = 2.0**64 / 12 * slot**2, (waves.scale / slot) ** 2 / 12
    secret = ERROR_DEVIATION**2 * (2 * DEGREE * 2 / 3 + slot**2)
    return math.sqrt(cut + floods + sent + rounded + secret)


@pytest.mark.parametrize("one", [2.0**70, 2.0**80])
@pytest.mark.parametrize(("kind", "flood"), [(NoFlood, 0.0), (Sampler, 1.0)])
def test_noise_of_what_is_stored_is_what_the_formula_says(one: float, kind: type[Sampler], flood: float) -> None:
    """From above and, which a wrong scale would show, from below."""
    link = LINKS[0]
    stock, waves = made(link, 2, kind, one), waves_of(link, one)
    phasors = np.stack([np.stack(waves.phasors(part, BLOCK)) for part in stock.angles[0] + stock.angles[1]])
    exact = encoded(phasors, waves.scale / 2.0**32)  # in words
    total = sum(stock.shares, np.uint64(0)) << np.uint64(16)
    off = (total - exact.view(np.uint64)).view(np.int64) * 2.0**32
    assert off.std() == pytest.approx(deviation(waves, flood), rel=0.05)
    assert abs(off.mean()) < 6 * off.std() / math.sqrt(off.size) + 2.0**33


@pytest.mark.parametrize("one", [2.0**68, 2.0**76])
def test_noise_of_the_link_is_that_of_what_is_stored_times_what_is_told(one: float) -> None:
    link = LINKS[0]
    turns, mine, theirs = angles(2 * BLOCK)
    stock, waves = made(link, 2, one=one), waves_of(link, one)
    told = mine + theirs - stock.angles[0] - stock.angles[1]
    total = sum((link_share(waves, share, told, 2 * BLOCK) for share in stock.shares), np.uint64(0))
    exact = encoded((link(turns * float(link.period)) - 0.5).reshape(-1, BLOCK), one / 2.0**32)
    off = folded(total - exact.view(np.uint64)).view(np.int64)[:, 1:] * 2.0**32
    p = waves.slot**2 * sum(b * b for b in link.coefficients) + DEGREE * link.terms / 12
    want = math.sqrt(2 * (deviation(waves, 1.0) ** 2 * p + waves.scale**2 * link.terms / 12))
    assert off.std() == pytest.approx(want, rel=0.05)
    assert abs(off.mean()) < 6 * off.std() / math.sqrt(off.size)


def test_floods_hide_what_comes_of_secrets() -> None:
    """By 38 bits, the owner's also its errors times the other's phasors; measured to the last bit, of phasors of nothing."""
    secret = SECRETS
    for one in (2.0**65, ONE, 2.0**80, 2.0**90):
        waves = waves_of(LINKS[0], one)
        most = math.hypot(secret, ERROR_DEVIATION * slot_of(waves))
        assert max(distance_left(secret, FLOOD_BITS), distance_left(most, owner_flood(waves))) < -HIDDEN_BITS
    for kind in (NoFlood, NoNoise):
        publics = LinkPublic(public(), 1)
        key = OwnAngles(kind(bytes(32)), publics).key()
        s, v = (Sampler(seed).ternary(DEGREE).tolist() for seed in (bytes(32), bytes([1]) * 32))
        holder = HeldAngles(kind(bytes([1]) * 32), publics)
        none = Waves((0.0,), True, ONE, ONE)
        c, _ = holder.reply(none, key, np.zeros((1, 1, DEGREE), np.uint64), np.zeros((1, BLOCK), np.uint64))
        factor = encoded(np.ones((1, BLOCK), np.complex128), slot_of(none))[0].tolist()
        public_part = np.array(product(whole(publics_long(1)), factor), object)
        bare = [int(x - y) % MODULUS for x, y in zip(whole(c[0, 0]), public_part, strict=True)]
        off = np.array(product(whole(key), v), object) - np.array(product(bare, s), object)
        sizes = np.array([(x + MODULUS // 2) % MODULUS - MODULUS // 2 for x in off.tolist()], float)
        assert sizes.std() == pytest.approx(secret if kind is NoFlood else 0.0, rel=0.05)


def publics_long(number: int) -> Long:
    """The public polynomial of the first block's only wave."""
    return public().long(3, 64, number)[0]


@pytest.mark.parametrize("link", [*LINKS, Fourier(256, 30), Fourier(8, 2)], ids=str)
def test_what_multiplies_a_limb_is_within_the_reach(link: Fourier) -> None:
    waves, rng = waves_of(link), np.random.default_rng(0)
    for turns in (np.zeros(BLOCK, np.uint64), np.frombuffer(rng.bytes(8 * BLOCK), np.uint64)):
        phasors = waves.phasors(turns, BLOCK)
        for one in phasors:
            assert float(np.linalg.norm(encoded(one, 2.0**_MOST_SLOT_BITS))) + DEGREE**0.5 <= SMALL
        parts = [encoded(-1j * b * z, waves.slot) for b, z in zip(link.coefficients, phasors, strict=True)]
        assert sum(float(np.linalg.norm(part)) for part in parts) <= SMALL


def seen(kind: type[Sampler]) -> set[str]:
    """Which messages tell who knows both angles, and so all that they hide. Crossed: of two samples under one secret."""
    link = LINKS[0]
    rng = np.random.default_rng(1)
    mine, theirs = (rng.integers(0, 2**32, (1, BLOCK), np.uint64) << np.uint64(32) for _ in range(2))
    publics, waves = LinkPublic(public(), link.terms), waves_of(link)
    owners = [OwnAngles(sampler, publics) for sampler in [kind(bytes(32))] for _ in range(2)]
    holder = HeldAngles(kind(bytes([1]) * 32), publics)
    known = encoded(np.stack(waves.phasors(mine[0], BLOCK)), waves.scale / slot_of(waves) / 2.0**32).view(np.uint64)
    keys, bare = [owner.key() for owner in owners], [owner.hidden(waves, mine)[0] - known for owner in owners]
    heard = np.zeros((1, link.terms, DEGREE), np.uint64)
    replies = [holder.reply(waves, keys[0], heard, theirs)[0][0] for _ in range(2)]
    publicly = public().long(3, 64, link.terms)
    factors = [encoded(z, slot_of(waves)) for z in waves.phasors(theirs[0], BLOCK)]

    def bared(reply: Long, k: int) -> Words:
        sums = np.array(product(whole(publicly[k]), factors[k].tolist()), object)
        return low([int(x - y) % MODULUS for x, y in zip(whole(reply[k]), sums, strict=True)])

    answers = [bared(reply, k) for reply in replies for k in range(2)]
    a_0, sample = whole(public().long(3, 0, 1)[0]), whole(joined(owners[0]._sample(publics.block(0)))[0])
    crossed = np.array(product(whole(keys[0]), whole(publicly[0])), object) - np.array(product(sample, a_0), object)
    found = {
        "key": distance(low(whole(keys[0]))),
        "phasors": max(distance(one) for one in bare[0]),
        "spans": distance(bare[0][0] - bare[1][0]),
        "reply": max(map(distance, answers)),
        "replies": distance(answers[0] - answers[2]),
        "waves": distance(answers[0] - answers[1]),
        "crossed": distance(low(crossed.tolist())),
    }
    return {name for name, far in found.items() if far > COINS}


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (Sampler, set[str]()),
        (NoSecrets, {"key", "phasors", "spans", "reply", "replies", "waves"}),
        (OneSecret, {"spans", "replies", "waves"}),
        (NoErrors, {"crossed"}),
        (EvenErrors, {"crossed"}),
    ],
)
def test_messages_are_coins_unless_a_fault_is_planted(kind: type[Sampler], shown: set[str]) -> None:
    assert seen(kind) == shown


def test_shares_alone_are_coins() -> None:
    for share in made(LINKS[0], 3).shares:
        assert distance((share[0] | share[1] << np.uint64(48)).ravel()) < COINS


def test_known_answers() -> None:
    """The first words of one block, for an implementation of one's own."""
    stock = made(LINKS[0], 1)
    found = [whole(stock.key)[0], *stock.hidden[0, :2, 0].tolist(), whole(stock.c[0, 0])[0]]
    found += [int(share[0, 1, 0]) for share in stock.shares]
    assert [hex(word) for word in found] == ANSWERS


ANSWERS = [
    "0xb3b467624176a74c4c1d4d80",
    "0xd0fc414f6beac965",
    "0xef642eaf6ae3f85a",
    "0x36d345865b2a2d0ff32374f4",
    "0xe4ffd4f01ecf",
    "0x1b002b0fe13c",
]
