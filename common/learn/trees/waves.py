"""Public tables and series: the link with its derivative, and the inverse of a masked sum. PROTOCOL.md section 14."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from common.learn.trees.forest import PERIOD, U_BITS
from common.mpc.circle import unit_circle
from common.mpc.fitted import POINTS, least_squares
from common.mpc.fitted import waves as fitted_waves
from common.mpc.fixedpoint import Reals, Words, encode
from common.mpc.link import fourier_coefficients
from common.mpc.narrow import BITS, MASK, Narrow

TERMS = 5  # of the link: within 0.01 of the logistic function for |u| <= 10
TABLE_SCALE = 9  # of what is dealt of it
PADDED = 32  # bits of g and h before they are rounded to BITS
GAIN_TERMS, GAIN_TABLE, GAIN_FACTOR = 5, 12, 10
LEAF_TERMS, LEAF_TABLE, LEAF_FACTOR = 48, 26, 22
LIFT = np.uint32(1 << (BITS - 2))  # sums of g are below it either way

Half = npt.NDArray[np.uint32]


@dataclass(frozen=True, repr=False)
class LinkTables:
    """By an angle of 16 bits: cosines and sines as they are dealt, (65536, TERMS) each, and what each is multiplied by.

    At the grid cosines are dealt and multiplied by sines, at the bank the reverse. factors: side by side, as one look in memory
    finds them all, of cosines for g, of sines for g, of cosines for h, of sines for h, (65536, 4 TERMS).
    """

    dealt: tuple[Half, Half]
    factors: Half


@lru_cache(maxsize=4)
def link_tables(g_bits: int) -> LinkTables:
    k = np.arange(1, TERMS + 1)
    cos, sin = _turned(np.arange(1 << U_BITS), U_BITS, TERMS)
    b = np.array(fourier_coefficients(PERIOD, TERMS))
    scale = 2.0 ** (g_bits + PADDED - BITS - TABLE_SCALE)
    slope = 2.0 * np.pi / PERIOD * k * b
    dealt = _halves(cos * 2.0**TABLE_SCALE), _halves(sin * 2.0**TABLE_SCALE)
    # sin k(c + a) = sin kc cos ka + cos kc sin ka; of the derivative, cos k(c + a) = cos kc cos ka - sin kc sin ka
    g = _halves(b * sin * scale), _halves(b * cos * scale)
    h = _halves(slope * cos * 2.0 * scale), _halves(-slope * sin * 2.0 * scale)
    return LinkTables(dealt, np.concatenate([*g, *h], 1))


def _halves(values: Reals) -> Half:
    found: Half = np.rint(values).astype(np.int32).view(np.uint32)
    return found


@lru_cache(maxsize=16)
def inverse_coefficients(ridge: float, terms: int, small: float) -> tuple[float, ...]:
    """ridge / (x + ridge) for x in [0, 1] as a constant, then the cosine and the sine of each of `terms` waves of period 2.

    Least squares of the relative error; small: a penalty on the coefficients, which amplify the rounding of dealt tables.
    """
    x = np.arange(POINTS + 1) / POINTS
    cos, sin = fitted_waves(terms, 1, 13)
    flat = np.stack([cos, sin], 2).reshape(len(x), -1)
    basis = np.concatenate([np.ones((len(x), 1)), flat], 1)
    y = ridge / (x + ridge)
    weight = 1.0 / np.sqrt(y)
    return least_squares(basis * weight[:, None], y * weight, small * small * len(x))


def gain_inverse(ridge: float) -> tuple[float, ...]:
    return inverse_coefficients(ridge, GAIN_TERMS, 1e-3)


def leaf_inverse(ridge: float) -> tuple[float, ...]:
    return inverse_coefficients(ridge, LEAF_TERMS, 1e-4)


def waves(angles: Narrow, terms: int) -> Reals:
    """One, then the cosine and the sine of k times an angle of 22 bits, (..., 2 terms + 1)."""
    flat = np.stack(_turned(angles, BITS, terms), -1).reshape(*angles.shape, 2 * terms)
    return np.concatenate([np.ones((*angles.shape, 1)), flat], -1)


def _turned(angles: npt.NDArray[Any], bits: int, terms: int) -> tuple[Reals, Reals]:
    """Cosine and sine of k times angles that are whole numbers of a full turn over 2^bits, (..., terms) each."""
    multiples: Half = np.arange(1, terms + 1, dtype=np.uint32)
    turns: Half = angles.astype(np.uint32)[..., None] << np.uint32(32 - bits)
    cos, sin = unit_circle(turns * multiples)
    return cos, sin


def factors(angles: Narrow, coefficients: tuple[float, ...]) -> Reals:
    """What the waves of b are multiplied by for the inverse at angles + b, (..., 2 terms + 1)."""
    c = np.array(coefficients)
    terms = len(c) // 2
    found = waves(angles, terms)
    cos, sin, even, odd = found[..., 1::2], found[..., 2::2], c[1::2], c[2::2]
    flat = np.stack([even * cos + odd * sin, odd * cos - even * sin], -1).reshape(*angles.shape, 2 * terms)
    return np.concatenate([np.full((*angles.shape, 1), c[0]), flat], -1)


def lifted(opened: Narrow) -> tuple[Words, Words]:
    """(base, back), from opened = G + LIFT - a modulo 2^22: G = base + a + top back, top being the upper bit of a."""
    c = opened.astype(np.int64)
    top = c >> (BITS - 1)
    base: Words = (c - (top << BITS) - int(LIFT)).view(np.uint64)
    back: Words = (-((1 - top) << BITS)).view(np.uint64)
    return base, back


def moments(a: Narrow, b: Narrow, terms: int, table: int, squares: bool) -> Words:
    """What is dealt for masks a of G and b of H, (..., parts, 2 terms + 1): 1, a, and the upper bit of a, times waves of b.

    With squares 1, a, a^2, that bit, and a times it.
    """
    wide = a.astype(np.uint64)
    top = wide >> np.uint64(BITS - 1)
    parts = [np.ones_like(wide), wide, wide * wide, top, wide * top] if squares else [np.ones_like(wide), wide, top]
    turned = encode(waves(b, terms), table)
    dealt: Words = np.stack(parts, -1)[..., :, None] * turned[..., None, :]
    return dealt


def both_sides(left: Narrow, total: Narrow) -> Narrow:
    """(2, v, 2, C): of the left sides, (v, 2, C), and of the right ones, which are what is missing to the nodes' (v, 2)."""
    return np.stack([left, (total[:, :, None] - left) & MASK])


def gain_share(opened: Narrow, opened_total: Narrow, shares: Words, coefficients: tuple[float, ...]) -> Words:
    """A share of the sum over nodes and sides of G^2 ridge / (H + ridge), (C,) at 2 g_bits + GAIN_TABLE + GAIN_FACTOR.

    shares: (2, v, C, 5, waves), of `moments`.
    """
    sides = both_sides(opened, opened_total)
    g = sides[:, :, 0].copy()
    g[1] = (g[1] + LIFT) & MASK  # the difference of two lifted values lost it
    base, back = lifted(g)
    two = np.uint64(2)
    weights = np.stack([base * base, two * base, np.ones_like(base), two * base * back + back * back, two * back], -1)
    told = encode(factors(sides[:, :, 1], coefficients), GAIN_FACTOR)
    found: Any = (np.einsum("svcmw,svcm->svcw", shares, weights) * told).sum((0, 1, 3))
    return np.asarray(found, np.uint64)


def leaf_share(opened: Narrow, shares: Words, coefficients: tuple[float, ...], scale: float) -> Words:
    """A share of scale * G * ridge / (H + ridge) of each leaf, (v,) at LEAF_TABLE + LEAF_FACTOR.

    opened: (v, 2). shares: (v, 3, waves), of `moments`. scale: of the result, in steps of g's own.
    """
    base, back = lifted(opened[:, 0])
    told = encode(factors(opened[:, 1], coefficients) * scale, LEAF_FACTOR)
    weights = np.stack([base, np.ones_like(base), back], -1)
    found: Words = (np.einsum("vmw,vm->vw", shares, weights) * told).sum(1)
    return found
