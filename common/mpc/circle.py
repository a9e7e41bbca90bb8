"""Points of the unit circle, the same bits on every processor. PROTOCOL.md section 5.

Both parties multiply shares by public factors that are made of these. A factor that one of them rounds otherwise puts a share,
a uniform word, into the sum. So there is no sine of a library here, no product of complex numbers and no matrix product, which
differ in the last bit between processors: a table from whole numbers, then sums and products of doubles, one after another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from common.mpc.fixedpoint import Reals, angle

Turns = npt.NDArray[np.uint32]  # a share of a full turn, in 2^-32
Points = npt.NDArray[np.uint16]  # and in 2^-16

_BITS = 11
GUARD = 160  # bits of the whole numbers behind a double's 53
_REST = np.uint32((1 << (32 - _BITS)) - 1)


def _exact_turn(parts: int) -> tuple[int, int]:
    """Cosine and sine of a full turn over `parts`, a power of two from 4 on, times 2^160: halved from a quarter of a turn."""
    one = 1 << GUARD
    cos, sin = 0, one
    for _ in range(parts.bit_length() - 3):
        cos = math.isqrt((one + cos) << (GUARD - 1))  # cos(x/2)^2 = (1 + cos x) / 2
        sin = (sin << (GUARD - 1)) // cos
    return cos, sin


def _table() -> tuple[Reals, Reals]:
    """All multiples of a turn over 2048, each rounded to the nearest double."""
    step_cos, step_sin = _exact_turn(1 << _BITS)
    cos, sin = 1 << GUARD, 0
    points = []
    for _ in range(1 << (_BITS - 2)):
        points.append((cos, sin))
        cos, sin = (cos * step_cos - sin * step_sin) >> GUARD, (sin * step_cos + cos * step_sin) >> GUARD
    quarter = np.array([(x / 2**GUARD, y / 2**GUARD) for x, y in points])
    x, y = quarter.T
    return np.concatenate([x, -y, -x, y]) + 0.0, np.concatenate([y, x, -y, -x]) + 0.0


_COS, _SIN = _table()


def nearest(turns: Turns) -> Points:
    """Angles to the nearest 2^-16 of a turn."""
    return (turns + np.uint32(1 << 15) >> np.uint32(16)).astype(np.uint16)


def whole(points: Points) -> Turns:
    """Those angles in 2^-32 of a turn."""
    return points.astype(np.uint32) << np.uint32(16)


def unit_circle(turns: Turns) -> Reals:
    """cos and sin of 2 pi turns to 4e-12, (2, *turns.shape): a table at the upper bits, turned by a series in the rest."""
    at = turns >> np.uint32(32 - _BITS)
    far = angle(turns & _REST)
    square = far * far
    near = square * -0.5
    near += 1.0
    square /= -6.0
    square += 1.0
    far *= square
    cos, sin = _COS[at], _SIN[at]
    point = np.empty((2, *turns.shape))
    np.multiply(cos, near, out=point[0])
    np.multiply(sin, near, out=point[1])
    sin *= far
    cos *= far
    point[0] -= sin
    point[1] += cos
    return point


def harmonics(turns: Turns, terms: int, odd: bool = False) -> Iterator[Reals]:
    """cos and sin of k times 2 pi turns for `terms` k from 1 on, the odd ones or all, (2, *turns.shape) each.

    From the two before: x(k) = 2 cos(turn) x(k - 1) - x(k - 2), and by twice the turn for odd ones; the error grows as k^2.
    """
    point = unit_circle(turns)
    yield point
    twice, before = point[0] + point[0], np.zeros_like(point)
    if odd:
        twice *= twice  # 2 cos 2x = (2 cos x)^2 - 2
        twice -= 2.0
        before[0] = point[0]
        np.negative(point[1], out=before[1])
    else:
        before[0] = 1.0
    for _ in range(terms - 1):
        following = twice * point
        following -= before
        before, point = point, following
        yield point
