"""The signs of shared values, each hidden by a bit that the dealer alone knows, in two rounds. PROTOCOL.md section 18.

With a = c + n modulo 2^32, c public and n the dealer's, a is below zero exactly if the top bits of c and n and the carry into
them differ an odd number of times. The carry is whether n's low bits exceed those of ~c: digit by digit, each a bit of a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common.mpc.bits import packed_bits, unpacked_bits
from common.mpc.circle import Turns
from common.mpc.compare.masks import BITS, DIGITS, IGNORED, CompareMasks, Shorts, Tables, cells_of, dealt_words, opened_terms
from common.mpc.correlations.source import Source
from common.mpc.narrow import Bytes
from common.mpc.session import Kind, Session, compute
from common.party import Party

ROUNDS = 2
_WHICH, _PUBLIC = opened_terms()


@dataclass(frozen=True, repr=False)
class SignMasks:
    """What comparing some values consumes at one party. pads: (n,); tables: its shares of what is dealt for each."""

    pads: Bytes
    tables: Tables

    def at(self, cells: npt.NDArray[np.intp]) -> SignMasks:
        """Those of some of the values."""
        tables = Tables(self.tables.digits[cells], self.tables.products[cells])
        return SignMasks(self.pads[cells], tables)

    @classmethod
    def by_row(cls, parts: Sequence[SignMasks], cells: int) -> SignMasks:
        """Those of several lots of rows, which have so many values a row each, in the order (cells, rows of all)."""

        def joined(values: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
            whole = np.concatenate([one.reshape(cells, -1, *one.shape[1:]) for one in values], axis=1)
            return whole.reshape(-1, *whole.shape[2:])

        tables = Tables(joined(part.tables.digits for part in parts), joined(part.tables.products for part in parts))
        return cls(joined(part.pads for part in parts), tables)


async def take_sign_masks(source: Source, number: int, count: int) -> SignMasks:
    """What comparing so many values under this number consumes."""
    party, masks = source.party, CompareMasks(source.prg, number, count)
    words = await source.fetch(Kind.DEALT_DIGITS, number, (dealt_words(count, party),))

    def expand() -> SignMasks:
        dealt = Tables.parse(words, len(range(count)[cells_of(count, party)]))
        expanded = masks.tables(party.other)
        return SignMasks(masks.pads(), dealt.joined(expanded) if party is Party.GRID else expanded.joined(dealt))

    return await compute(expand, DIGITS * count)


async def hidden_signs(session: Session, source: Source, number: int, c: Turns) -> Bytes:
    """As `compare_signs`, of values whose masks nobody has taken yet."""
    return await compare_signs(session, await take_sign_masks(source, number, len(c)), c)


async def compare_signs(session: Session, masks: SignMasks, c: Turns) -> Bytes:
    """The sign of each value, 1 below zero, hidden by exclusive or with a bit that the dealer knows; (n,), the same at both.

    c: (n,), the values modulo 2^32 less what the dealer knows, public. Values are from -2^31 to 2^31 - 1. One from 0 to 2^15
    may count as below zero, and one within 2^15 of -2^31 as above, the less likely the greater it is. Multiples of 2^15, less
    multiples of 2^15, are compared exactly.

    1. open six bits a value, masked: which digits are the same, which are more     3/4 byte each way
    2. open the sign, masked                                                       1/8 byte each way
    """
    count, party, pads, tables = len(c), session.party, masks.pads, masks.tables
    bits, more = await session.compute(lambda: _looked_up(tables.digits, c), DIGITS * count)
    mine = packed_bits(bits ^ pads, BITS)
    told = mine ^ await session.exchange(Kind.MASKED_DIGITS, mine)

    def add_up() -> Bytes:
        opened = np.zeros(count, np.uint8)
        for bit, values in enumerate(unpacked_bits(told, count)):
            opened |= values << np.uint8(bit)
        shares = (pads & np.uint8((1 << BITS) - 1)).astype(np.uint32) | tables.products.astype(np.uint32) << np.uint32(BITS)
        which = _WHICH[opened] | np.uint32(1 << (BITS + 15))
        sign: Bytes = (np.bitwise_count(shares & which) ^ more ^ pads >> np.uint8(BITS)) & np.uint8(1)
        return sign if party is Party.GRID else sign ^ _PUBLIC[opened] ^ (c >> np.uint32(31)).astype(np.uint8)

    mine = np.packbits(await session.compute(add_up, DIGITS * count))
    found: Bytes = np.unpackbits(mine ^ await session.exchange(Kind.MASKED_SIGNS, mine), count=count)
    return found


def _looked_up(digits: Shorts, c: Turns) -> tuple[Bytes, Bytes]:
    """This party's share of the six bits of each value, and of whether the uppermost digit is more, (n,)."""
    bits, other = np.zeros(len(c), np.uint8), ~c >> np.uint32(IGNORED)
    for digit in range(DIGITS):
        at = (other >> np.uint32(4 * digit)).astype(np.uint16) & np.uint16(15)
        above = digits[:, digit] >> at  # its lowest bit tells the same digit, the others that n's is more
        same = (above & np.uint16(1)).astype(np.uint8)
        more = (np.bitwise_count(above) & np.uint8(1)) ^ same
        if digit == DIGITS - 1:
            return bits | same, more
        bits |= more << np.uint8(BITS - 1 - digit)
        if digit:
            bits |= same << np.uint8(DIGITS - 1 - digit)
    raise AssertionError
