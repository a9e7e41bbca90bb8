"""Shares of products of a masked matrix: how far their sums are off, against the formulas, and what each message shows."""

from __future__ import annotations

import numpy as np
import pytest

from common.mpc.fixedpoint import Words
from common.mpc.lattice import rows, turned
from common.mpc.lattice.ring import DEGREE, Integers, spectrum
from common.mpc.lattice.ring96 import UNIT, WORDS, Long, Wide, thirds, thirds_joined
from common.mpc.lattice.rows import HeldRows, OwnRows
from common.mpc.lattice.sampled import ERROR_DEVIATION, FLOOD_BITS, HIDDEN_BITS, SECRETS, Public, Sampler, flood_bits
from common.mpc.lattice.sampled import distance as distance_left
from common.mpc.lattice.turned import HeldColumns, LongRows, OwnColumns
from common.party import Party
from common.plan.linear import HALF_ROWS
from tests.common.mpc.lattice.test_ring96 import whole

NONCES = {Party.GRID: bytes(32), Party.BANK: bytes(range(32))}
ROWS, COLUMNS = 2 * DEGREE + 100, 3
TERNARY = 2.0 / 3.0  # variance
COINS, LOUD = 5.5, 46


class NoFlood(Sampler):
    """Shows the noise that floods hide."""

    def flood(self, *shape: int, bits: int = 0) -> Words:
        return np.zeros(shape, np.uint64)


class Loud(NoFlood):
    """And shows errors above what is cut."""

    def errors(self, *shape: int) -> Integers:
        return super().errors(*shape) << LOUD


def public(owner: Party = Party.GRID) -> Public:
    return Public(NONCES, owner)


def small(words: Words) -> np.ndarray:
    return words.view(np.int64).astype(np.float64)


def matrix(rng: np.random.Generator) -> Words:
    return rng.integers(-(2**16), 2**16, (COLUMNS, ROWS)).view(np.uint64)


def row_shares(kind: type[Sampler], lifted: Words, vector: Words, rows: int, bits: int = 32) -> tuple[Words, Words]:
    owner, holder = kind(bytes(32)), kind(bytes([1]) * 32)
    own = OwnRows(owner, public(), COLUMNS, bits)
    zero, hidden = own.masked(lifted)
    held = HeldRows(holder, public(), zero, np.asfortranarray(hidden.T))
    c, once = held.hidden(vector)
    return own.share(c, rows), held.share(vector, once, rows)


def sent(message: Long) -> LongRows:
    """A matrix as its holder keeps it, of the message that it came in."""
    found = LongRows(message.shape[1], len(message) // WORDS)
    found.put(0, message)
    return found


def whole_of(message: Long) -> np.ndarray:
    """Its numbers, (m, n')."""
    return np.array([whole(one) for one in message.reshape(-1, WORDS, message.shape[1])], object)


def column_shares(kind: type[Sampler], lifted: Words, vectors: Words, bits: int = 34) -> tuple[Words, Words]:
    owner, holder = kind(bytes([2]) * 32), kind(bytes([3]) * 32)
    own = OwnColumns(owner, public(), COLUMNS)
    zeros, hidden = own.zeros(), own.masked(lifted)
    held = HeldColumns(holder, public(), zeros, sent(hidden))
    c, once = held.hidden(vectors)
    return own.share(c, vectors.shape[1], bits), held.share(vectors, once, bits)


@pytest.mark.parametrize(("kind", "loud"), [(NoFlood, 0), (Loud, LOUD)])
@pytest.mark.parametrize("bits", [1, 20, 37])
def test_noise_of_rows_is_what_the_formula_says(bits: int, kind: type[Sampler], loud: int) -> None:
    """Of sum_j w_j e_j + v e_0 - s e', and of what was cut: not more and, which a wrong scale would show, not less.

    In words errors are seen where they are 2^46 times as large.
    """
    rng = np.random.default_rng(bits)
    x, vector = matrix(rng), rng.integers(-(2**bits), 2**bits, COLUMNS).view(np.uint64)
    exact = np.einsum("jn,j->n", x << np.uint64(26), vector)
    noise = small(sum(row_shares(kind, x << np.uint64(26), vector, ROWS)) - exact)
    square, error = np.sum(small(vector) ** 2), ERROR_DEVIATION * 2.0 ** (loud - UNIT)
    variance = square / 12 + error**2 * (square + 2 * DEGREE * TERNARY) + 1 / 6  # either rounds its share down
    assert noise.std() == pytest.approx(np.sqrt(variance), rel=0.06)
    assert abs(noise.mean()) < 6 * noise.std() / np.sqrt(ROWS)


def test_noise_of_columns_is_what_the_formula_says() -> None:
    """Of sum_b <h_b, e_b> + <v, e_0> - <s, e'>, over many vectors; and of no more: nothing is cut but either share, once."""
    rng = np.random.default_rng(0)
    x, vectors = matrix(rng), rng.integers(-(2**12), 2**12, (200, ROWS)).view(np.uint64)
    exact = np.einsum("jn,kn->kj", x << np.uint64(30), vectors)
    noise = small(sum(column_shares(Loud, x << np.uint64(30), vectors)) - exact)
    square, error = np.mean(np.sum(small(vectors) ** 2, axis=1)), ERROR_DEVIATION * 2.0 ** (LOUD - UNIT)
    assert noise.std() == pytest.approx(error * np.sqrt(square + 2 * DEGREE * TERNARY), rel=0.15)
    assert np.abs(small(sum(column_shares(NoFlood, x << np.uint64(30), vectors)) - exact)).max() <= 1


def test_floods_are_what_sums_are_off_by() -> None:
    """The owner's of as many bits as hide its errors by 38 bits, the other's of those that hide v e_0 - s e' alone."""
    rng = np.random.default_rng(1)
    x, nothing = matrix(rng), np.zeros(COLUMNS, np.uint64)
    for bits in (32, 38):
        owner, holder = flood_bits(rows.noise(COLUMNS, bits)) - UNIT, FLOOD_BITS - UNIT
        off = small(sum(row_shares(Sampler, x << np.uint64(26), nothing, ROWS, bits)))
        assert np.abs(off).max() <= 2.0**owner + 2.0**holder + 2
        assert off.std() == pytest.approx(2.0**owner / np.sqrt(3), rel=0.05)


def test_widths_of_floods_leave_what_they_say_of_all_that_is_trained() -> None:
    """2^-38 of sums over uniform vectors, for one column and for thousands; and no bit more than that takes."""
    for found in [rows.noise(m, 32) for m in (1, 24, 1000, 8000)] + [turned.noise(n, 34) for n in (100, 30_000, HALF_ROWS)]:
        assert distance_left(found, flood_bits(found)) <= -HIDDEN_BITS < distance_left(found, flood_bits(found) - 1)
    assert flood_bits(1.0) == flood_bits(SECRETS) == FLOOD_BITS and -39.5 < distance_left(SECRETS, FLOOD_BITS) < -39.4


def test_either_party_floods_what_it_keeps_of_columns() -> None:
    """Of nothing that is multiplied a share is a flood, as wide as it says."""
    owner, holder = Sampler(bytes(32)), Sampler(bytes([1]) * 32)
    zeros, masked, nothing = np.zeros((COLUMNS, WORDS, DEGREE), np.uint32), np.zeros((COLUMNS * WORDS, DEGREE), np.uint32), 500
    held = HeldColumns(holder, public(), zeros, sent(masked))
    own = OwnColumns(owner, public(), COLUMNS).share(np.zeros((nothing, WORDS, DEGREE), np.uint32), 30_000, 34)
    shares = [own, held.share(np.zeros((nothing, DEGREE), np.uint64), holder.ternary(nothing, DEGREE), 34)]
    widths = flood_bits(turned.noise(30_000, 34)), flood_bits(turned.noise(DEGREE, 34))
    for share, bits in zip(shares, widths, strict=True):
        assert share.shape == (nothing, COLUMNS)
        assert small(share).std() == pytest.approx(2.0 ** (bits - UNIT) / np.sqrt(3), rel=0.06)


class Narrow(Sampler):
    """Floods 36 bits narrower than they should be, and none where they are of fewer."""

    def flood(self, *shape: int, bits: int = 0) -> Words:
        return super().flood(*shape, bits=bits - 36) if bits > 36 else np.zeros(shape, np.uint64)


def likeness(kind: type[Sampler]) -> tuple[float, float]:
    """How sums of rows and of columns are like the owner's errors in them, to who knows all else, in deviations of chance."""
    rng = np.random.default_rng(7)
    x, w = np.zeros((COLUMNS, DEGREE), np.uint64), rng.integers(-(2**31), 2**31, COLUMNS)
    own, twin = OwnRows(kind(bytes(32)), public(), COLUMNS, 32), Sampler(bytes(32))
    zero, hidden = own.masked(x)
    bare = np.array([whole(one) for one in thirds_joined(own._public.times(own._secrets[0]))[1:]], object)
    twin.ternary(DEGREE)
    errors = twin.errors(COLUMNS + 1, DEGREE)[1:]
    off = (hidden.astype(object) << UNIT) - bare  # errors and what was cut
    held = HeldRows(kind(bytes([1]) * 32), public(), zero, np.asfortranarray(hidden.T))
    c, once = held.hidden(w.view(np.uint64))
    total = (own.share(c, DEGREE) + held.share(w.view(np.uint64), once, DEGREE)).astype(object) << UNIT
    left = signed96(total - np.einsum("j,ji->i", w.astype(object), off - errors))
    found = np.corrcoef(left, (w @ errors).astype(float))[0, 1] * np.sqrt(DEGREE)

    h = rng.integers(-(2**33), 2**33, (400, DEGREE))
    columns, twin = OwnColumns(kind(bytes([2]) * 32), public(), COLUMNS), Sampler(bytes([2]) * 32)
    secrets = spectrum(twin.ternary(COLUMNS, DEGREE))
    zeros, hidden = columns.zeros(), columns.masked(x)
    twin.errors(COLUMNS, DEGREE)
    errors = twin.errors(COLUMNS, DEGREE)
    bare = np.array([whole(one) for one in thirds_joined(Wide(public().long(2, 1, 1)).times(secrets))], object)
    assert not np.any(signed96(whole_of(hidden) - bare - errors))  # nothing is cut, so nothing but errors is multiplied
    back = HeldColumns(kind(bytes([3]) * 32), public(), zeros, sent(hidden))
    sample, once = back.hidden(h.view(np.uint64))
    both = columns.share(sample, DEGREE, 34) + back.share(h.view(np.uint64), once, 34)
    seen = np.corrcoef(small(both).ravel(), (h @ errors.T).ravel().astype(float))[0, 1] * np.sqrt(both.size)
    return float(found), float(seen)


def signed96(numbers: np.ndarray) -> np.ndarray:
    return ((numbers + (1 << 95)) % (1 << 96) - (1 << 95)).astype(float)


@pytest.mark.parametrize(("kind", "seen"), [(Sampler, False), (NoFlood, True), (Narrow, True)])
def test_the_owners_errors_are_not_seen_in_a_sum_unless_its_flood_is_gone_or_narrow(kind: type[Sampler], seen: bool) -> None:
    """To the other party, who knows every other part of the sum, and has to say only whether these are the errors."""
    assert all((abs(found) > COINS) == seen for found in likeness(kind))


@pytest.mark.parametrize(("kind", "seen"), [(Sampler, False), (NoFlood, True), (Narrow, True)])
def test_labels_are_not_seen_in_a_sum_by_what_is_off_in_masked_rows_unless_the_flood_is_gone_or_narrow(
    kind: type[Sampler], seen: bool
) -> None:
    """To the owner, who with a dealer knows sums, its own flood and errors, and of a residual's share all but labels.

    Errors are a million times as large as they are: these a sum in words would round away. What rows were cut by, of which
    labels' sums would be larger by 2^31, is nothing: all that differs from a sample of the rows are errors.
    """

    class Large(Sampler):
        def errors(self, *shape: int) -> Integers:
            return super().errors(*shape) << 20

        def flood(self, *shape: int, bits: int = 0) -> Words:
            return np.zeros(shape, np.uint64)

    rng = np.random.default_rng(11)
    labels, known = rng.random((400, DEGREE)) < 0.1, rng.integers(-(2**32), 2**32, (400, DEGREE))
    h = (known - (labels.astype(np.int64) << 19)).view(np.uint64)
    columns, twin = (
        OwnColumns(Large(bytes([2]) * 32), public(), COLUMNS),
        OwnColumns(NoFlood(bytes([2]) * 32), public(), COLUMNS),
    )
    zeros, message = columns.zeros(), columns.masked(np.zeros((COLUMNS, DEGREE), np.uint64))
    twin.zeros()
    numbers = twin.masked(np.zeros((COLUMNS, DEGREE), np.uint64))
    off = signed96(whole_of(message) - whole_of(numbers)) / ((1 << 20) - 1)  # of one seed: errors alone
    assert np.array_equal(off, np.rint(off)) and off.std() == pytest.approx(ERROR_DEVIATION, rel=0.05)
    off *= 2.0**20
    held = HeldColumns(kind(bytes([3]) * 32), public(), zeros, sent(message))
    c, once = held.hidden(h)
    left = small(columns.share(c, DEGREE, 34) + held.share(h, once, 34)) * 2.0**UNIT - known.astype(float) @ off.T
    told = np.corrcoef(left.ravel(), (labels @ off.T).ravel())[0, 1] * np.sqrt(left.size)
    assert (abs(told) > COINS) == seen


def test_products_with_whole_rows_are_those_of_whole_numbers() -> None:
    """Modulo 2^96, at random and at the ends, of an odd number of rows, and of the first of them."""
    rng, count = np.random.default_rng(5), DEGREE + 101
    for low, high in ((0, 1 << 32), ((1 << 32) - 1, 1 << 32), (0, 1)):
        message = rng.integers(low, high, (COLUMNS * WORDS, count), np.uint32)
        held, numbers = sent(message), whole_of(message)
        for least, most in ((-(2**35), 2**35), (2**35 - 1, 2**35), (-(2**35), 1 - 2**35)):
            vectors = rng.integers(least, most, (2, count))
            for first in (count, count - 1, DEGREE, 7):
                exact = (vectors[:, :first].astype(object) @ numbers[:, :first].T) % (1 << 96)
                upper, rest = held.transposed(vectors[:, :first].view(np.uint64))
                assert np.array_equal((upper.astype(object) << UNIT) + rest, exact)


def test_the_largest_numbers_are_multiplied_rightly() -> None:
    """At the ends of what vectors hold, and rows that fill no block."""
    for count in (1, DEGREE, DEGREE + 1):
        x = np.full((COLUMNS, count), (1 << 64) - (1 << 16), np.uint64)
        for value in (2**33 - 1, -(2**33)):
            vectors = np.full((1, count), value, np.int64).view(np.uint64)
            exact = np.einsum("jn,kn->kj", x << np.uint64(30), vectors)
            off = small(sum(column_shares(Sampler, x << np.uint64(30), vectors)) - exact)
            assert np.abs(off).max() < 2.0 ** (flood_bits(turned.noise(count, 34)) - UNIT + 1) + 2.0**8 * count


def test_first_rows_alone_are_multiplied_as_all_are() -> None:
    rng = np.random.default_rng(2)
    x, vector = matrix(rng), rng.integers(-(2**20), 2**20, COLUMNS).view(np.uint64)
    exact = np.einsum("jn,j->n", x << np.uint64(32), vector)
    for count in (1, 5000, ROWS):
        found = sum(row_shares(Sampler, x << np.uint64(32), vector, count))
        assert len(found) == count and np.abs(small(found - exact[:count])).max() < 2.0**43
    vectors = rng.integers(-(2**20), 2**20, (2, 5000)).view(np.uint64)
    short = np.einsum("jn,kn->kj", x[:, :5000] << np.uint64(30), vectors)
    assert np.abs(small(sum(column_shares(Sampler, x << np.uint64(30), vectors)) - short)).max() < 2.0**48


def distance(words: Words) -> float:
    """How far bits of words, and whether neighbours are alike, are from coins, in deviations: the most of any place."""
    both = words, words ^ words << np.uint64(1)
    ones = np.array([np.count_nonzero(bits >> np.uint64(place) & np.uint64(1)) for bits in both for place in range(64)])
    return float(np.abs(ones - len(words) / 2).max() / np.sqrt(len(words) / 4))


def flat(long: Long) -> Words:
    """Coefficients modulo 2^96 as words of which each place can be looked at: the low 64 bits, and the upper 64."""
    low, middle, high = (long[..., i, :].astype(np.uint64) for i in range(WORDS))
    return np.concatenate([(low | middle << np.uint64(32)).ravel(), (middle | high << np.uint64(32)).ravel()])


def minus(long: Long, other: Long) -> Long:
    return thirds_joined(thirds(long) - thirds(other))


def residue(sample: Long, public: Long, secret: np.ndarray) -> float:
    """The deviation of a sample less public times secret: small for who has guessed the secret."""
    known = thirds_joined(Wide(public).times(spectrum(secret)))
    return float(signed96(np.array(whole(minus(sample, known)), object)).std())


def test_messages_are_uniform_and_the_test_tells_what_is_not() -> None:
    """Each place of each word is a coin. Planted: masks without an error, a v of zeros, a key used twice, a secret of zeros."""
    rng = np.random.default_rng(3)
    x, vector = matrix(rng) << np.uint64(32), rng.integers(-(2**31), 2**31, COLUMNS).view(np.uint64)
    owner, holder = Sampler(bytes(32)), Sampler(bytes([1]) * 32)
    own = OwnRows(owner, public(), COLUMNS, 32)
    zero, hidden = own.masked(x)
    held = HeldRows(holder, public(), zero, np.asfortranarray(hidden.T))
    longs = [*zero, *(held.hidden(vector)[0] for _ in range(2))]
    longs.append(minus(longs[-1], longs[-2]))  # of one vector twice
    assert all(distance(message) < COINS for message in [*hidden, *map(flat, longs)])

    class Naked(Sampler):
        def ternary(self, *shape: int) -> np.ndarray:
            return np.zeros(shape, np.int64)

    bare = OwnRows(Naked(bytes(32)), public(), COLUMNS, 32).masked(x)[1]
    assert distance(bare[0]) > 50
    again = OwnRows(Sampler(bytes(32)), public(), COLUMNS, 32).masked(x + (np.uint64(1) << np.uint64(40)))[1]
    assert distance(again[0] - hidden[0]) > 50  # one key for two matrices shows their difference


def test_a_guess_of_a_secret_shows_itself_and_a_near_one_does_not() -> None:
    """The residue of a sample is the error for the right secret, and as wide as the ring for one that is off in one place."""
    sampler = Sampler(bytes(32))
    own = OwnRows(sampler, public(), COLUMNS, 32)
    (zero,), _ = own.masked(np.zeros((COLUMNS, DEGREE), np.uint64))
    secret = Sampler(bytes(32)).ternary(DEGREE)
    a = public().long(1, 0, 1)[0]
    assert residue(zero, a, secret) == pytest.approx(ERROR_DEVIATION, rel=0.05)
    off = secret.copy()
    off[7] = (off[7] + 2) % 3 - 1
    assert residue(zero, a, off) > 2.0**93


def test_small_polynomials_are_distributed_as_they_say() -> None:
    sampler = Sampler(bytes(32))
    secrets, errors = sampler.ternary(1 << 18), sampler.errors(1 << 18)
    counts = np.bincount(secrets + 1, minlength=3)
    assert len(counts) == 3 and np.abs(counts - (1 << 18) / 3).max() < 5 * np.sqrt((1 << 18) * 2 / 9)
    assert np.abs(errors).max() <= 21 and errors.std() == pytest.approx(ERROR_DEVIATION, rel=0.01)
    flood, wide = small(sampler.flood(1 << 18)), 2.0 ** (FLOOD_BITS - UNIT)
    assert flood.min() >= -wide and flood.max() < wide and flood.std() == pytest.approx(wide / np.sqrt(3), rel=0.01)
    assert not np.array_equal(sampler.ternary(DEGREE), sampler.ternary(DEGREE))
    assert "hidden" in repr(sampler)


def test_public_polynomials_are_of_both_nonces_and_of_their_owner() -> None:
    first = public().polynomials(1, 0, 2)
    assert np.array_equal(first[1:], public().polynomials(1, 1, 1))
    others = [public(Party.BANK).polynomials(1, 0, 1), public().polynomials(2, 0, 1), first[1:]]
    others += [Public({**NONCES, party: bytes([7]) * 32}, Party.GRID).polynomials(1, 0, 1) for party in Party]
    assert all(not np.array_equal(first[:1], other) for other in others)


def test_known_answers() -> None:
    """The first words of what is drawn and sent, for an implementation of one's own."""
    a, sampler = whole(public().long(1, 0, 1)[0]), Sampler(bytes(32))
    assert [hex(word) for word in a[:2]] == A_WORDS
    assert sampler.ternary(12).tolist() == DRAWN
    assert sampler.errors(12).tolist() == ERRORS
    own = OwnRows(Sampler(bytes(32)), public(), 1, 32)
    (zero,), hidden = own.masked(np.full((1, 2), 1 << 42, np.uint64))
    assert [hex(word) for word in [*whole(zero)[:2], *hidden[0].tolist()]] == SAMPLES


A_WORDS = ["0x2dff1335722a04907cb2678f", "0x886a3e2b9d0a18005219ff67"]
DRAWN = [1, -1, -1, 0, 0, 0, 0, 1, 1, -1, 1, 0]
ERRORS = [2, 1, 2, -1, 2, 2, -2, 2, 2, 0, 1, 4]
SAMPLES = ["0x9757b7db7d11710b1b700d36", "0xdd41369b5173d742ba7c4bbe", "0xda1a3e455b574091", "0x94e2f637bca5a4b9"]
