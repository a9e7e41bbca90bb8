"""Dividing a shared value by a power of two, exactly or one unit above. Escudero et al. 2020 (eprint 2020/338), figure 10."""

from __future__ import annotations

import numpy as np

from common.mpc.correlations.asked import Places, TagParts, TruncationPart
from common.mpc.fixedpoint import Words
from common.mpc.lockstep import Exchanges
from common.mpc.session import Kind
from common.mpc.tags import RING, Tagged
from common.party import Party

_LOW63 = np.uint64((1 << 63) - 1)
_OFFSET = np.uint64(1 << 62)

Shift = int | Words


async def truncate(session: Exchanges, part: TruncationPart, words: Words, shift: Shift) -> Words:
    """Shares of x >> shift, or one above, from shares of x with |x| < 2^62.

    1. both send their share of c = x + 2^62 + r and add them up: c is uniform
    2. x + 2^62 is below 2^63, so it equals (c mod 2^63) - (r mod 2^63) + 2^63 b with b = c_top xor r_top
    3. each shifts: (c mod 2^63) >> shift - body + b 2^(63 - shift) - 2^(62 - shift), b being linear in the shared r_top

    words: (m,) uint64, whose sum may be off by what the dealer knows: then r is off by the same. One round, 8 m bytes each way.
    """
    return shifted(session.party, part, await open_sum(session, part, words), shift)


async def open_sum(session: Exchanges, part: TruncationPart, words: Words) -> Words:
    """c, (m,), the same at both: the one message of a truncation."""
    mine = masked(session.party, part, words)
    c: Words = mine + await session.exchange(Kind.MASKED_UPDATE, mine)
    return c


def masked(party: Party, part: TruncationPart, words: Words) -> Words:
    """Step 1: this party's share of c, (m,)."""
    share: Words = words + part.mask
    return share + _OFFSET if party is Party.BANK else share


def shifted(party: Party, part: TruncationPart, c: Words, shift: Shift) -> Words:
    """Step 3: this party's share of the result, (m,), once c is open."""
    public, sign = opened(c, shift)
    result: Words = sign * part.top - part.body
    return result + public if party is Party.BANK else result


def opened(c: Words, shift: Shift) -> tuple[Words, Words]:
    """What c, once open, says of the result: it is public + sign * top - body of the mask that hid x."""
    s = np.asarray(shift, np.uint64)
    unit, top = np.uint64(1) << (np.uint64(63) - s), c >> np.uint64(63)
    public: Words = ((c & _LOW63) >> s) + top * unit - (unit >> np.uint64(1))
    return public, (np.uint64(1) - np.uint64(2) * top) * unit


def placed(part: TruncationPart, c: Words, shift: Shift, own: Places) -> Words:
    """`shifted`, where the public part of a value is added by the party in whose block it stands. own: which are in this one's.

    Of the other's block a party then has, modulo 2^(64 - shift), what was dealt or expanded alone: the dealer knows it.
    """
    public, sign = opened(c, shift)
    result: Words = sign * part.top - part.body
    result[own] += public[own]
    return result


def known(body: Words, top: Words, shift: int) -> Words:
    """A party's share of the other's block by `placed`, modulo 2^(64 - shift), of its shares of body and top."""
    return (top << np.uint64(63 - shift)) - body


def tagged(dealt: TagParts, c: Words, shift: int, own: Places, other: Places) -> Tagged:
    """The shares of the other's block that `placed` gives, with tags: each is top times a public number, less body.

    own, other: which of the values are of this party's own block, and of the other's.
    """
    mine, theirs = c[own].tolist(), c[other].tolist()

    def joined(parts: tuple[int, ...], at: list[int]) -> list[int]:  # bodies, then tops
        half = len(parts) // 2
        signs = [(1 if word < 1 << 63 else -1) << 63 - shift for word in at]
        return [sign * top - body for sign, body, top in zip(signs, parts[:half], parts[half:], strict=True)]

    values = tuple(v % RING for v in joined(dealt.values, theirs))
    tags = tuple(t % RING for t in joined(dealt.tags, theirs))
    pads = tuple(p % RING for p in joined(dealt.pads, mine))
    return Tagged(values, tags, pads, dealt.marks)
