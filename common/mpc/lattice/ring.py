"""Polynomials modulo X^N + 1 and 2^64, N = 4096, multiplied exactly by Fourier transforms of doubles. PROTOCOL.md section 20.

A polynomial is N coefficients. Its transform is its values at the N / 2 roots of X^N + 1 whose imaginary half-plane partners
are their conjugates: one complex transform of N / 2 points. Factors are cut into limbs small enough that every coefficient of
a product, an integer, comes out nearer than 1/2, whatever the factors are.

Why that holds. Let u = 2^-53 and |.| the Euclidean norm. A transform is a twist, 2 roundings of products and one of the root,
below 5 u in all, then 11 levels. A level takes each value through one product by a root (2.3 u, and 2 u for the root itself)
and sums of as many terms as one or two levels have (at most 2 u a level): below 8 u. So a path from an input to an output
gathers below 93 u (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 24.2, has as much of the norm).
For factors x and y, the products of their transforms are then off by at most (2 * 93 + 4) u |x| |y| N / 2 in all, by Cauchy
and Schwarz; back, each coefficient is a mean of N / 2 of them with factors of size 1, off by 93 u more of the sum of sizes.
Together below 283 u |x| |y|; up to 64 products that are added before the way back add 64 u. So where the sum of |x| |y| is
at most REACH = 2^43, a coefficient is off by less than 347 * 2^-53 * 2^43 = 0.34.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from common.mpc.fixedpoint import Reals, Words

DEGREE = 4096
HALF = DEGREE // 2
REACH = 2.0**43
"""The largest sum of |x| |y| over products added up as transforms, for which their coefficients are exact."""
WIDE = (22, 22, 20)
"""Bits of the limbs of a word that is multiplied by small polynomials: |x| |y| is at most 2^(21 + 6) 2^6 for ternary ones."""

Spectrum = npt.NDArray[np.complex128]
Integers = npt.NDArray[np.int64]

_TWIST: Spectrum = np.exp(1j * np.pi / DEGREE * np.arange(HALF))
_BACK: Spectrum = np.conj(_TWIST)


def spectrum(coefficients: Integers | Reals) -> Spectrum:
    """The transform of polynomials (..., N), (..., N / 2)."""
    folded = np.empty((*coefficients.shape[:-1], HALF), np.complex128)
    folded.real, folded.imag = coefficients[..., :HALF], coefficients[..., HALF:]
    folded *= _TWIST
    found: Spectrum = np.fft.ifft(folded, norm="forward")  # with roots exp(+2 pi i / n), and no factor
    return found


def integers(values: Spectrum, dither: Reals | None = None) -> Integers:
    """The coefficients, (..., N), of polynomials of whole ones with these transforms, (..., N / 2).

    dither: numbers from 0 to 1, (..., N), by which coefficients that are none are rounded up or down, in place of the nearest.
    """
    folded = np.fft.fft(values, norm="forward")
    folded *= _BACK
    found = np.empty((*values.shape[:-1], DEGREE), np.int64)
    if dither is None:
        found[..., :HALF], found[..., HALF:] = np.rint(folded.real), np.rint(folded.imag)
    else:
        found[..., :HALF] = np.floor(folded.real + dither[..., :HALF])
        found[..., HALF:] = np.floor(folded.imag + dither[..., HALF:])
    return found


def limbs(words: Words, sizes: Sequence[int]) -> list[Integers]:
    """Signed limbs, low one first, of words read as signed numbers of sum(sizes) bits: limb i stands for 2^(sizes before).

    Each but the last is from -2^(size - 1) to 2^(size - 1) - 1; the last may be 2^(size - 1) too.
    """
    spare = 64 - sum(sizes)
    rest, found = (words << np.uint64(spare)).view(np.int64) >> spare, []
    for size in sizes[:-1]:
        low = (rest << (64 - size)) >> (64 - size)
        found.append(low)
        rest = (rest - low) >> size
    return [*found, rest]


def joined(parts: Sequence[Integers], sizes: Sequence[int]) -> Words:
    """The inverse of `limbs`, of limbs of any size, modulo 2^64."""
    total, place = np.zeros(parts[0].shape, np.uint64), 0
    for part, size in zip(parts, sizes, strict=True):
        total += part.view(np.uint64) << np.uint64(place)
        place += size
    return total


class Wide:
    """Polynomials (..., N) of words, ready to be multiplied by small ones."""

    def __init__(self, words: Words) -> None:
        self._limbs = [spectrum(limb) for limb in limbs(words, WIDE)]

    def __getitem__(self, place: int) -> Wide:
        one = object.__new__(Wide)
        one._limbs = [limb[place] for limb in self._limbs]
        return one

    def times(self, small: Spectrum) -> Words:
        """Products with polynomials of coefficients at most 2^5 in size, of these transforms: words, exact modulo 2^64."""
        return joined([integers(limb * small) for limb in self._limbs], WIDE)


def inverted(words: Words) -> Words:
    """x(1 / X) of polynomials (..., N): the constant coefficient of its product with y is the inner product of x and y."""
    found = np.empty_like(words)
    found[..., 0] = words[..., 0]
    np.negative(words[..., :0:-1], out=found[..., 1:])
    return found
