"""Whether messages tell who knows all that they hide, and has to say only whether it is that: coins, unless a fault is planted.

Each message less what it hides is a ring-LWE sample, which must be uniform to whoever lacks the secret. `distance` is to find
what is not: a fault that is planted in what is drawn shows in some of them, and in no others.
"""

from __future__ import annotations

import numpy as np
import pytest

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, Integers, inverted
from common.mpc.lattice.rows import HeldRows, OwnRows
from common.mpc.lattice.sampled import ERROR_DEVIATION, Sampler
from common.mpc.lattice.turned import HeldColumns, OwnColumns
from tests.common.mpc.lattice.test_ring import product
from tests.common.mpc.lattice.test_shares import distance, public

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


def told(kind: type[Sampler]) -> dict[str, Words]:
    """What all messages give to who knows the matrix and the vectors. Crossed: of two samples under one secret, E a' - E' a."""
    rng = np.random.default_rng(5)
    owner, holder = kind(bytes([1]) * 32), kind(bytes([2]) * 32)
    x = rng.integers(-(2**16), 2**16, (COLUMNS, ROWS)).view(np.uint64) << np.uint64(32)
    a, turned_a = (public().polynomials(form, 0, COLUMNS + 1) for form in (1, 2))

    rows = OwnRows(owner, public(), COLUMNS)
    zero, hidden = rows.masked(x)
    bare = hidden - x
    held = HeldRows(holder, public(), zero, np.asfortranarray(hidden.T))
    w = rng.integers(-(2**41), 2**41, COLUMNS).view(np.uint64)
    weights = [held.hidden(w)[0] - np.einsum("j,ji->i", w, a[1:]) for _ in range(2)]

    columns = OwnColumns(owner, public(), COLUMNS)
    zeros, turned = columns.zeros(), columns.masked(x) - x
    back = HeldColumns(holder, public(), zeros, np.asfortranarray((turned + x).T))
    h = rng.integers(-(2**34), 2**34, (1, ROWS)).view(np.uint64)
    known = sum(product(inverted(h[0, b * DEGREE :][:DEGREE]), turned_a[b + 1]) for b in range(2))
    residual = [back.hidden(h)[0][0] - known for _ in range(2)]

    first = slice(DEGREE)
    return {
        "rows": bare[0, first],
        "more rows": bare[0, first] - bare[0, DEGREE:],
        "turned": turned[0, first],
        "zeros": zeros[0] - zeros[1],
        "rows crossed": product(zero[first], a[1]) - product(bare[0, first], a[0]),
        "turned crossed": product(zeros[0], turned_a[1]) - product(turned[0, first], turned_a[0]),
        "weights": weights[0],
        "residual": residual[0],
        "weights twice": weights[0] - weights[1],
        "residual twice": residual[0] - residual[1],
    }


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
def test_messages_are_coins_unless_a_fault_is_planted(kind: type[Sampler], shown: set[str]) -> None:
    assert {name for name, words in told(kind).items() if distance(words) > COINS} == shown


def test_each_vector_is_sent_with_an_error_of_its_own() -> None:
    """To who knows v too: without it v would be had by dividing what is left by a_0."""
    rng, holder = np.random.default_rng(6), Sampler(bytes(32))
    a, turned_a = (public().polynomials(form, 0, 3) for form in (1, 2))
    nothing = np.zeros((ROWS, COLUMNS), np.uint64, order="F")
    w, h = (rng.integers(-(2**34), 2**34, shape).view(np.uint64) for shape in (COLUMNS, (3, ROWS)))
    c, v = HeldRows(holder, public(), np.zeros(ROWS, np.uint64), nothing).hidden(w)
    left = [c - np.einsum("j,ji->i", w, a[1:]) - product(v, a[0])]
    vectors, drawn = HeldColumns(holder, public(), np.zeros((COLUMNS, DEGREE), np.uint64), nothing).hidden(h)
    for one, c, v in zip(h, vectors, drawn, strict=True):
        sums = [product(inverted(one[b * DEGREE :][:DEGREE]), turned_a[b + 1]) for b in range(2)]
        left.append(c - sums[0] - sums[1] - product(v, turned_a[0]))
    for error in left:
        assert error.view(np.int64).std() == pytest.approx(ERROR_DEVIATION, rel=0.05)
    assert all(not np.array_equal(x, y) for i, x in enumerate(left) for y in left[:i])
