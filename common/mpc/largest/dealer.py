"""What the dealer deals for finding the largest of shared values. PROTOCOL.md section 14."""

from __future__ import annotations

import numpy as np

from common.mpc import field
from common.mpc.dealer import Dealt, Prgs
from common.mpc.field import Elements
from common.mpc.largest.masks import BITS, DIGITS, LOW, WIDTH, LargestDealt, LargestMasks, pairs
from common.mpc.session import Kind, Round
from common.party import Party

_digit = np.arange(256)
LESS = np.packbits(_digit[:, None] < _digit[None, :], axis=1, bitorder="little")  # row r: of each x whether r < x
SAME = np.packbits(_digit[:, None] == _digit[None, :], axis=1, bitorder="little")


def deal_largest(prg: Prgs, to: Party, number: int, count: int) -> Dealt:
    """The share of party `to`; the other one expands its own."""
    masks = {party: LargestMasks(prg[party], number, count) for party in Party}
    first, second = pairs(count)
    hidden = (masks[Party.GRID].values() + masks[Party.BANK].values()) & LOW
    r = (hidden[first] - hidden[second]) & LOW
    top, lacks = r >> np.uint32(WIDTH - 1), (LOW >> np.uint32(1)) - (r & (LOW >> np.uint32(1)))
    high, middle, low = ((lacks >> np.uint32(shift)) & np.uint32(255) for shift in DIGITS)
    tables = np.stack([LESS[high], SAME[high], LESS[middle], SAME[middle], LESS[low]])
    bits = masks[Party.GRID].bits() ^ masks[Party.BANK].bits()
    factor = field.multiply(masks[Party.GRID].factor(), masks[Party.BANK].factor())
    products = np.stack([monomials(bits, top, factor[member]) for member in (first, second)])
    own = masks[to.other].dealt()
    share = LargestDealt(tables ^ own.tables, field.subtract(products, own.products), field.subtract(factor, own.factor))
    return [(to, Round(Kind.DEALT_LARGEST, number), share.words())]


def monomials(bits: np.ndarray[tuple[int], np.dtype[np.uint8]], top: Elements, factor: Elements) -> Elements:
    """(12, pairs): factor * top, and factor * (1 - 2 top) times the products of mask bits that the carry is made of.

    With bits m1 to m5 these are 1, m1, m2, m3, m2 m3, m4, m5, m2 m4, m2 m5, m4 m5, m2 m4 m5.
    """
    m1, m2, m3, m4, m5 = ((bits >> np.uint8(i) & np.uint8(1)).astype(np.uint32) for i in range(BITS))
    flip = field.subtract(factor, field.multiply(np.uint32(2) * top, factor))
    products = (np.ones_like(m1), m1, m2, m3, m2 * m3, m4, m5, m2 * m4, m2 * m5, m4 * m5, m2 * m4 * m5)
    return np.stack([factor * top, *(flip * product for product in products)])
