"""Values in the roots of a polynomial, N / 2 of them, and what a matrix becomes that multiplies them. PROTOCOL.md section 21.

The slots of a polynomial are its transform, of `ring`: slot l is its value at exp(i pi (4 l + 1) / N). Products multiply slots.
The real part of slot l is sum_j f_j cos(pi (4 l + 1) j / N) over j < N / 2, of the folded coefficients f_0 = p_0 and
f_j = p_j - p_(N - j). So for a column x over N / 2 rows and slots r, sum_l x_l Re r_l = sum_j T_j f_j with
T_j = sum_l x_l cos(pi (4 l + 1) j / N): shares of coefficients multiply T where shares of slots, which nobody has, would
multiply x.
"""

from __future__ import annotations

import numpy as np

from common.mpc.fixedpoint import Reals, Words
from common.mpc.lattice.ring import DEGREE, HALF, Integers, Spectrum, integers

BLOCK = HALF
"""Rows in a polynomial: one a slot."""
NARROWED = 10
"""T is divided by 2^10: its columns are some 2^5 larger than x, and their upper bits alone are told of; what it multiplies is
multiplied by as much. So it is off by 0.6 % of a column of deviation 1, at random, the same in all steps."""

_TWIST: Spectrum = np.exp(1j * np.pi / DEGREE * np.arange(HALF)) * (HALF / 2.0**NARROWED)


def blocks_of(rows: int) -> int:
    """How many blocks so many rows fill, the last one perhaps in part."""
    return -(-rows // BLOCK)


def encoded(slots: Spectrum | Reals, scale: float = 1.0, dither: Reals | None = None) -> Integers:
    """The polynomial, (..., N), whose slots are these, (..., N / 2), times `scale`.

    Coefficients, of the norm of the scaled slots over sqrt(N / 2), are rounded to the nearest: off by 1/2, in norm by 32.
    dither: numbers from 0 to 1, (..., N), by which they are rounded up or down in proportion: off by 1, in norm by 64.
    """
    return integers(np.asarray(slots * scale, np.complex128), dither)


def folded(words: Words) -> Words:
    """f, (..., N / 2), of polynomials (..., N): the real parts of their slots. Of a share, a share."""
    found = words[..., :HALF].copy()
    found[..., 1:] -= words[..., :HALF:-1]
    return found


def turned(rows: Integers) -> Integers:
    """T over 2^NARROWED, to the nearest, (m, blocks N / 2), of columns (m, n), behind which zeros fill the last block."""
    columns, count = rows.shape
    found = np.zeros((columns, blocks_of(count) * BLOCK), np.int64)
    for low in range(0, count, BLOCK):
        part = np.zeros((columns, BLOCK))
        part[:, : min(BLOCK, count - low)] = rows[:, low : low + BLOCK]
        values = np.fft.ifft(part)
        values *= _TWIST
        found[:, low : low + BLOCK] = np.rint(values.real)
    return found
