"""Shares of products of a masked matrix: how far their sums are off, against the formulas, and what each message shows."""

from __future__ import annotations

import numpy as np
import pytest

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, Wide, spectrum
from common.mpc.lattice.rows import HeldRows, OwnRows
from common.mpc.lattice.sampled import ERROR_DEVIATION, FLOOD, Public, Sampler
from common.mpc.lattice.turned import HeldColumns, OwnColumns
from common.party import Party

NONCES = {Party.GRID: bytes(32), Party.BANK: bytes(range(32))}
ROWS, COLUMNS = 2 * DEGREE + 100, 3
TERNARY = 2.0 / 3.0  # variance


class NoFlood(Sampler):
    """Shows the noise that floods hide."""

    def flood(self, *shape: int, bits: int = 0) -> Words:
        return np.zeros(shape, np.uint64)


def public(owner: Party = Party.GRID) -> Public:
    return Public(NONCES, owner)


def small(words: Words) -> np.ndarray:
    return words.view(np.int64).astype(np.float64)


def matrix(rng: np.random.Generator) -> Words:
    return rng.integers(-(2**16), 2**16, (COLUMNS, ROWS)).view(np.uint64)


def row_shares(kind: type[Sampler], lifted: Words, vector: Words, rows: int) -> tuple[Words, Words]:
    owner, holder = kind(bytes(32)), kind(bytes([1]) * 32)
    own = OwnRows(owner, public(), COLUMNS)
    zero, hidden = own.masked(lifted)
    held = HeldRows(holder, public(), zero, np.asfortranarray(hidden.T))
    c, once = held.hidden(vector)
    return own.share(c, rows), held.share(vector, once, rows)


def column_shares(kind: type[Sampler], lifted: Words, vectors: Words) -> tuple[Words, Words]:
    owner, holder = kind(bytes([2]) * 32), kind(bytes([3]) * 32)
    own = OwnColumns(owner, public(), COLUMNS)
    zeros, hidden = own.zeros(), own.masked(lifted)
    held = HeldColumns(holder, public(), zeros, np.asfortranarray(hidden.T))
    c, once = held.hidden(vectors)
    return own.share(c), held.share(vectors, once)


@pytest.mark.parametrize("bits", [1, 20, 41])
def test_noise_of_rows_is_what_the_formula_says(bits: int) -> None:
    """Of sum_j w_j e_j + v e_0 - s e': as much as it should be and, which a wrong scale would show, not less."""
    rng = np.random.default_rng(bits)
    x, vector = matrix(rng), rng.integers(-(2**bits), 2**bits, COLUMNS).view(np.uint64)
    exact = np.einsum("jn,j->n", x << np.uint64(32), vector)
    noise = small(sum(row_shares(NoFlood, x << np.uint64(32), vector, ROWS)) - exact)
    variance = ERROR_DEVIATION**2 * (np.sum(small(vector) ** 2) + 2 * DEGREE * TERNARY)
    assert noise.std() == pytest.approx(np.sqrt(variance), rel=0.05)
    assert abs(noise.mean()) < 6 * noise.std() / np.sqrt(ROWS)


def test_noise_of_columns_is_what_the_formula_says() -> None:
    """Of sum_b <h_b, e_b> + <v, e_0> - <s, e'>, over many vectors."""
    rng = np.random.default_rng(0)
    x, vectors = matrix(rng), rng.integers(-(2**12), 2**12, (200, ROWS)).view(np.uint64)
    exact = np.einsum("jn,kn->kj", x << np.uint64(29), vectors)
    noise = small(sum(column_shares(NoFlood, x << np.uint64(29), vectors)) - exact)
    variance = ERROR_DEVIATION**2 * (np.mean(np.sum(small(vectors) ** 2, axis=1)) + 2 * DEGREE * TERNARY)
    assert noise.std() == pytest.approx(np.sqrt(variance), rel=0.15)


def test_floods_are_what_sums_are_off_by() -> None:
    """Two of 47 bits: they hide all that comes of secrets, by 38 bits of what v, s and e' give."""
    rng = np.random.default_rng(1)
    x, vector = matrix(rng), np.zeros(COLUMNS, np.uint64)
    noise = small(sum(row_shares(Sampler, x << np.uint64(32), vector, ROWS)))
    assert np.abs(noise).max() <= 2 * FLOOD + 2**20
    assert noise.std() == pytest.approx(FLOOD * np.sqrt(2 / 3), rel=0.05)
    assert FLOOD / (ERROR_DEVIATION * np.sqrt(2 * DEGREE * TERNARY)) > 2.0**37


def test_either_party_floods_what_it_keeps_of_columns() -> None:
    """Of nothing that is multiplied a share is a flood, as wide as it says."""
    owner, holder, nothing = Sampler(bytes(32)), Sampler(bytes([1]) * 32), np.zeros((3, COLUMNS, DEGREE), np.uint64)
    held = HeldColumns(holder, public(), nothing[0], np.asfortranarray(nothing[0].T))
    own = OwnColumns(owner, public(), COLUMNS).share(np.zeros((500, DEGREE), np.uint64))
    shares = [own, held.share(np.zeros((500, DEGREE), np.uint64), holder.ternary(500, DEGREE))]
    for share in shares:
        assert share.shape == (500, COLUMNS) and small(share).std() == pytest.approx(FLOOD / np.sqrt(3), rel=0.06)
    assert not np.array_equal(*shares)


def test_the_largest_numbers_are_multiplied_rightly() -> None:
    """At the ends of what vectors hold, and rows that fill no block."""
    for rows in (1, DEGREE, DEGREE + 1):
        x = np.full((COLUMNS, rows), (1 << 64) - (1 << 16), np.uint64)
        for value in (2**34 - 1, -(2**34)):
            vectors = np.full((1, rows), value, np.int64).view(np.uint64)
            exact = np.einsum("jn,kn->kj", x << np.uint64(29), vectors)
            off = small(sum(column_shares(Sampler, x << np.uint64(29), vectors)) - exact)
            assert np.abs(off).max() < 2 * FLOOD + 2.0**34 * 21 * rows


def test_first_rows_alone_are_multiplied_as_all_are() -> None:
    rng = np.random.default_rng(2)
    x, vector = matrix(rng), rng.integers(-(2**20), 2**20, COLUMNS).view(np.uint64)
    exact = np.einsum("jn,j->n", x << np.uint64(32), vector)
    for rows in (1, 5000, ROWS):
        found = sum(row_shares(Sampler, x << np.uint64(32), vector, rows))
        assert len(found) == rows and np.abs(small(found - exact[:rows])).max() < 4 * FLOOD
    vectors = rng.integers(-(2**20), 2**20, (2, 5000)).view(np.uint64)
    short = np.einsum("jn,kn->kj", x[:, :5000] << np.uint64(29), vectors)
    assert np.abs(small(sum(column_shares(Sampler, x << np.uint64(29), vectors)) - short)).max() < 4 * FLOOD


def distance(words: Words) -> float:
    """How far bits of words, and whether neighbours are alike, are from coins, in deviations: the most of any place."""
    both = words, words ^ words << np.uint64(1)
    ones = np.array([np.count_nonzero(bits >> np.uint64(place) & np.uint64(1)) for bits in both for place in range(64)])
    return float(np.abs(ones - len(words) / 2).max() / np.sqrt(len(words) / 4))


def residue(samples: Words, publics: Words, secret: np.ndarray) -> float:
    """The deviation of samples less public times secret: small for who has guessed the secret."""
    return float(small(samples - Wide(publics).times(spectrum(secret))).std())


def test_messages_are_uniform_and_the_test_tells_what_is_not() -> None:
    """Each place of each word is a coin. Planted: masks without an error, a v of zeros, a key used twice, a secret of zeros."""
    rng = np.random.default_rng(3)
    x, vector = matrix(rng) << np.uint64(32), rng.integers(-(2**31), 2**31, COLUMNS).view(np.uint64)
    owner, holder = Sampler(bytes(32)), Sampler(bytes([1]) * 32)
    own = OwnRows(owner, public(), COLUMNS)
    zero, hidden = own.masked(x)
    held = HeldRows(holder, public(), zero, np.asfortranarray(hidden.T))
    messages = [zero, *hidden, *(held.hidden(vector)[0] for _ in range(2))]
    assert all(distance(message) < 5.5 for message in messages)
    assert distance(messages[-1] - messages[-2]) < 5.5  # of one vector twice

    class Naked(Sampler):
        def ternary(self, *shape: int) -> np.ndarray:
            return np.zeros(shape, np.int64)

    bare = OwnRows(Naked(bytes(32)), public(), COLUMNS).masked(x)[1]
    assert distance(bare[0]) > 50
    again = OwnRows(Sampler(bytes(32)), public(), COLUMNS).masked(x + (np.uint64(1) << np.uint64(40)))[1]
    assert distance(again[0] - hidden[0]) > 50  # one key for two matrices shows their difference


def test_a_guess_of_a_secret_shows_itself_and_a_near_one_does_not() -> None:
    """The residue of a sample is the error for the right secret, and as wide as the ring for one that is off in one place."""
    sampler = Sampler(bytes(32))
    own = OwnRows(sampler, public(), COLUMNS)
    zero, _ = own.masked(np.zeros((COLUMNS, DEGREE), np.uint64))
    secret = Sampler(bytes(32)).ternary(DEGREE)
    a = public().polynomials(1, 0, 1)[0]
    assert residue(zero, a, secret) == pytest.approx(ERROR_DEVIATION, rel=0.05)
    off = secret.copy()
    off[7] = (off[7] + 2) % 3 - 1
    assert residue(zero, a, off) > 2.0**61


def test_small_polynomials_are_distributed_as_they_say() -> None:
    sampler = Sampler(bytes(32))
    secrets, errors = sampler.ternary(1 << 18), sampler.errors(1 << 18)
    counts = np.bincount(secrets + 1, minlength=3)
    assert len(counts) == 3 and np.abs(counts - (1 << 18) / 3).max() < 5 * np.sqrt((1 << 18) * 2 / 9)
    assert np.abs(errors).max() <= 21 and errors.std() == pytest.approx(ERROR_DEVIATION, rel=0.01)
    flood = small(sampler.flood(1 << 18))
    assert flood.min() >= -FLOOD and flood.max() < FLOOD and flood.std() == pytest.approx(FLOOD / np.sqrt(3), rel=0.01)
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
    a, sampler = public().polynomials(1, 0, 1)[0], Sampler(bytes(32))
    assert [hex(word) for word in a[:2].tolist()] == A_WORDS
    assert sampler.ternary(12).tolist() == SECRETS
    assert sampler.errors(12).tolist() == ERRORS
    own = OwnRows(Sampler(bytes(32)), public(), 1)
    zero, hidden = own.masked(np.full((1, 2), 1 << 42, np.uint64))
    assert [hex(word) for word in [*zero[:2].tolist(), *hidden[0].tolist()]] == SAMPLES


A_WORDS = ["0x5219ff677cb2678f", "0x21c6e3ab2c94621c"]
SECRETS = [1, -1, -1, 0, 0, 0, 0, 1, 1, -1, 1, 0]
ERRORS = [2, 1, 2, -1, 2, 2, -2, 2, 2, 0, 1, 4]
SAMPLES = ["0xa3b22aae129dfd14", "0x995371a0294a568f", "0x8cfaa50a0746e84a", "0xb58379ed375a57e4"]
