"""Whether messages tell who knows all that they hide, and has to say only whether it is that: coins, unless a fault is planted.

Each message less what it hides is a ring-LWE sample, which must be uniform to whoever lacks the secret. `distance` is to find
what is not: a fault that is planted in what is drawn shows in some of them, and in no others.
"""

from __future__ import annotations

import numpy as np
import pytest

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, Integers, inverted, spectrum
from common.mpc.lattice.ring96 import WORDS, Long, Sum, Wide, cut, joined, thirds_joined, weighted
from common.mpc.lattice.rows import HeldRows, OwnRows
from common.mpc.lattice.sampled import ERROR_DEVIATION, Sampler
from common.mpc.lattice.turned import HeldColumns, OwnColumns
from tests.common.mpc.lattice.test_ring96 import MODULUS, product, whole
from tests.common.mpc.lattice.test_shares import distance, flat, minus, public, sent

ROWS, COLUMNS, COINS = 2 * DEGREE, 2, 5.5
MATRIX, ONE_KEY = {"rows", "turned", "zeros", "more rows"}, {"rows crossed", "turned crossed"}
VECTORS, ONE_V = {"weights", "residual"}, {"weights twice", "residual twice"}


class NoSecrets(Sampler):
    def ternary(self, *shape: int) -> Integers:
        return np.zeros(shape, np.int64)


class OneSecret(Sampler):
    """The same in each draw: a key for every block, and a v for every vector."""

    def ternary(self, *shape: int) -> Integers:
        return np.broadcast_to(Sampler(bytes(32)).ternary(DEGREE), shape).copy()


class NoErrors(Sampler):
    def errors(self, *shape: int) -> Integers:
        return np.zeros(shape, np.int64)


class EvenErrors(Sampler):
    def errors(self, *shape: int) -> Integers:
        return 2 * super().errors(*shape)


def told(kind: type[Sampler], monkeypatch: pytest.MonkeyPatch) -> dict[str, Words]:
    """What all messages give to who knows the matrix and the vectors. Crossed: of two samples under one secret, E a' - E' a.

    Rows are cut: crossed is a sample before that, which tells more, as its error is below what is cut.
    """
    uncut = list[Long]()

    def watched(sums: Integers) -> Words:
        uncut.append(thirds_joined(sums))
        return cut(sums)

    monkeypatch.setattr("common.mpc.lattice.rows.cut", watched)
    rng = np.random.default_rng(5)
    owner, holder = kind(bytes([1]) * 32), kind(bytes([2]) * 32)
    x = rng.integers(-(2**16), 2**16, (COLUMNS, ROWS)).view(np.uint64) << np.uint64(32)
    a, turned_a = (public().long(form, 0, COLUMNS + 1) for form in (1, 2))

    rows = OwnRows(owner, public(), COLUMNS, 42)
    zero, hidden = rows.masked(x)
    bare = hidden - x
    held = HeldRows(holder, public(), zero, np.asfortranarray(hidden.T))
    w = rng.integers(-(2**41), 2**41, COLUMNS).view(np.uint64)
    weighed = joined(weighted(w, a[1:]))
    weights = [minus(held.hidden(w)[0], weighed) for _ in range(2)]

    columns = OwnColumns(owner, public(), COLUMNS)
    zeros, message = columns.zeros(), columns.masked(x)
    back = HeldColumns(holder, public(), zeros, sent(message))
    lifted = np.stack([np.zeros(ROWS, np.uint32), x[0].astype(np.uint32), (x[0] >> np.uint64(32)).astype(np.uint32)])
    turned = minus(message[:WORDS], lifted)[:, :DEGREE]
    h = rng.integers(-(2**34), 2**34, (1, ROWS)).view(np.uint64)
    total = Sum(1)
    for b in range(2):
        total.add(inverted(h[:, b * DEGREE :][:, :DEGREE]), turned_a[b + 1])
    known = joined(total.total[0])
    residual = [minus(back.hidden(h)[0][0], known) for _ in range(2)]

    first = slice(DEGREE)
    return {
        "rows": bare[0, first],
        "more rows": bare[0, first] - bare[0, DEGREE:],
        "turned": flat(turned),
        "zeros": flat(minus(zeros[0], zeros[1])),
        "rows crossed": crossed(zero[0], a[1], uncut[0][0], a[0]),
        "turned crossed": crossed(zeros[0], turned_a[1], turned, turned_a[0]),
        "weights": flat(weights[0]),
        "residual": flat(residual[0]),
        "weights twice": flat(minus(*weights)),
        "residual twice": flat(minus(*residual)),
    }


def crossed(sample: Long, public_other: Long, other: Long, public_sample: Long) -> Words:
    both = product(whole(sample), whole(public_other)), product(whole(other), whole(public_sample))
    return np.array([(x - y) % (1 << 64) for x, y in zip(*both, strict=True)], np.uint64)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (Sampler, set[str]()),
        (NoSecrets, MATRIX | VECTORS | ONE_V),
        (OneSecret, {"more rows", "zeros"} | ONE_V),
        (NoErrors, ONE_KEY),
        (EvenErrors, ONE_KEY),
    ],
)
def test_messages_are_coins_unless_a_fault_is_planted(
    kind: type[Sampler], shown: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {name for name, words in told(kind, monkeypatch).items() if distance(words) > COINS} == shown


def test_each_vector_is_sent_with_an_error_of_its_own() -> None:
    """To who knows v too: without it v would be had by dividing what is left by a_0."""
    rng, holder = np.random.default_rng(6), Sampler(bytes(32))
    a, turned_a = (public().long(form, 0, 3) for form in (1, 2))
    nothing, zeros = np.zeros((ROWS, COLUMNS), np.uint64, order="F"), np.zeros((2, WORDS, DEGREE), np.uint32)
    turned = sent(np.zeros((COLUMNS * WORDS, ROWS), np.uint32))
    w, h = (rng.integers(-(2**34), 2**34, shape).view(np.uint64) for shape in (COLUMNS, (3, ROWS)))

    def less(sample: Long, sums: Long, v: Integers, public_zero: Long) -> Integers:
        known = thirds_joined(Wide(public_zero).times(spectrum(v)))
        left = minus(minus(sample, sums), known)
        return np.array([(n + MODULUS // 2) % MODULUS - MODULUS // 2 for n in whole(left)]).astype(np.int64)

    c, v = HeldRows(holder, public(), zeros, nothing).hidden(w)
    left = [less(c, joined(weighted(w, a[1:])), v, a[0])]
    vectors, drawn = HeldColumns(holder, public(), zeros, turned).hidden(h)
    for one, c, v in zip(h, vectors, drawn, strict=True):
        total = Sum(1)
        for b in range(2):
            total.add(inverted(one[None, b * DEGREE :][:, :DEGREE]), turned_a[b + 1])
        left.append(less(c, joined(total.total[0]), v, turned_a[0]))
    for error in left:
        assert error.std() == pytest.approx(ERROR_DEVIATION, rel=0.05)
    assert all(not np.array_equal(x, y) for i, x in enumerate(left) for y in left[:i])
