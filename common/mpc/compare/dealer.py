"""What the dealer deals for hidden signs. PROTOCOL.md section 18."""

from __future__ import annotations

import numpy as np

from common.mpc.circle import Turns
from common.mpc.compare.masks import BITS, DIGITS, IGNORED, PRODUCTS, CompareMasks, Tables, cells_of
from common.mpc.dealer import Dealt, Prgs
from common.mpc.narrow import Bytes
from common.mpc.session import Kind, Round
from common.party import Party

_EACH = np.arange(1 << BITS)  # of the six pads
_PRODUCTS = np.zeros(1 << BITS, np.uint16)  # of them
for _place, _part in enumerate(PRODUCTS):
    _PRODUCTS |= np.all([_EACH >> bit & 1 for bit in _part], axis=0).astype(np.uint16) << np.uint16(_place)


def deal_signs(prg: Prgs, number: int, n: Turns) -> tuple[Dealt, Bytes]:
    """Shares of what `hidden_signs` looks up, and the bits that hide the signs, (n,).

    n: (n,), what the public words lack to be the compared values.
    """
    masks = {party: CompareMasks(prg[party], number, len(n)) for party in Party}
    pads = masks[Party.GRID].pads() ^ masks[Party.BANK].pads()
    low = (n >> np.uint32(IGNORED))[:, None] >> np.arange(0, 4 * DIGITS, 4, dtype=np.uint32)
    digits = np.uint16(1) << (low & np.uint32(15)).astype(np.uint16)
    products = _PRODUCTS[pads & np.uint8((1 << BITS) - 1)] | (n >> np.uint32(31)).astype(np.uint16) << np.uint16(15)
    dealt: Dealt = []
    for party in Party:
        cells, own = cells_of(len(n), party), masks[party.other].tables(party)
        share = Tables(digits[cells] ^ own.digits, products[cells] ^ own.products)
        dealt.append((party, Round(Kind.DEALT_DIGITS, number), share.words()))
    return dealt, pads >> np.uint8(BITS)
