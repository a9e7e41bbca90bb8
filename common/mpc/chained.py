"""Products of shared matrices one after another, each in one round: what its truncation opens is what the next multiplies.

Values stand modulo 2^128, so c = x + r, opened, has wrapped with a probability of |x| / 2^128 only. Unless it has, x >> s, or
one above, is (c >> s) - (r >> s) in every ring: a public number less a mask, as an operand is. PROTOCOL.md section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.mpc.correlations.asked import Correlations
from common.mpc.dealer import Dealt, Parts, Prgs, mask_parts
from common.mpc.fixedpoint import Words
from common.mpc.lockstep import Exchanges
from common.mpc.prg import Purpose
from common.mpc.ring128 import Doubles, add, left, negative, product, right, signed, subtract, unsigned
from common.mpc.session import Kind
from common.mpc.truncate import opened as told_by
from common.party import Party

_OFFSET = np.uint64(1 << 62)


@dataclass(frozen=True, repr=False)
class Chained:
    """A shared matrix as products take it: the sum of what was opened and of both parties' shares of its mask.

    parts: both at a party, the whole mask at the dealer; (i, j, 2) each.
    """

    parts: tuple[Doubles, ...]

    @property
    def transposed(self) -> Chained:
        return Chained(tuple(part.swapaxes(0, 1) for part in self.parts))

    def __add__(self, other: Chained) -> Chained:
        return Chained(tuple(add(a, b) for a, b in zip(self.parts, other.parts, strict=True)))

    def times_unit(self, size: int) -> Chained:
        """Of one value, (1, 1): it times a unit matrix."""
        return Chained(tuple(part * np.eye(size, dtype=np.uint64)[..., None] for part in self.parts))

    @property
    def words(self) -> tuple[Words, ...]:
        """The parts modulo 2^64, (i, j)."""
        return tuple(part[..., 0] for part in self.parts)


@dataclass(frozen=True, repr=False)
class Times:
    """A product that is wanted, without `shift` of its low bits. symmetric: it is, so that half of it is opened."""

    a: Chained
    b: Chained
    shift: int
    symmetric: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        return self.a.parts[0].shape[0], self.b.parts[0].shape[1]

    def flat(self, whole: Doubles) -> Doubles:
        """What is opened of (i, j, 2): (values, 2)."""
        taken: Doubles = whole[np.triu_indices(len(whole))] if self.symmetric else whole.reshape(-1, 2)
        return taken

    @property
    def values(self) -> int:
        i, j = self.shape
        return triangle(i) if self.symmetric else i * j

    def whole(self, flat: Doubles) -> Doubles:
        """The inverse of `flat`."""
        if not self.symmetric:
            return flat.reshape(*self.shape, 2)
        found, (i, j) = np.empty((*self.shape, 2), np.uint64), np.triu_indices(self.shape[0])
        found[i, j] = found[j, i] = flat
        return found


def triangle(size: int) -> int:
    """How many values of a symmetric matrix are opened."""
    return size * (size + 1) // 2


async def multiplied(session: Exchanges, correlations: Correlations, number: int, wanted: Sequence[Times]) -> list[Chained]:
    """The products, in one round of 16 bytes a value."""
    party, count = session.party, sum(each.values for each in wanted)
    dealt = await correlations.doubles(number, count)

    def share() -> Doubles:
        return np.concatenate([each.flat(_share(party, each)) for each in wanted])

    work = sum(each.a.parts[0].size * each.shape[1] for each in wanted)
    mine = add(await session.compute(share, work), correlations.operand_mask(number, 2 * count).reshape(-1, 2))
    c = add(mine, (await session.exchange(Kind.MASKED_OPERAND, mine.ravel())).reshape(-1, 2))
    found, at = [], 0
    for each in wanted:
        part = slice(at, at + each.values)
        found.append(Chained((each.whole(right(c[part], each.shift)), each.whole(dealt[part]))))
        at += each.values
    return found


def _share(party: Party, wanted: Times) -> Doubles:
    """Of A B; both sum to it less mask times mask, which the dealer knows."""
    (opened, mask), (known, hidden) = wanted.a.parts, wanted.b.parts
    if party is Party.BANK:
        hidden = add(hidden, known)
    return product(np.concatenate([opened, mask], axis=1), np.concatenate([hidden, known]))


def deal_multiplied(prg: Prgs, parts: Parts, number: int, wanted: Sequence[Times]) -> tuple[Dealt, list[Chained]]:
    """What is dealt for `multiplied`, and the masks of what is found."""
    offset = np.concatenate([each.flat(product(each.a.parts[0], each.b.parts[0])) for each in wanted])
    r, masks, found, at = subtract(hides(prg, number, len(offset)), offset), [], [], 0
    for each in wanted:
        masks.append(negative(right(r[at : at + each.values], each.shift)))
        found.append(Chained((each.whole(masks[-1]),)))
        at += each.values
    return parts.doubles(prg, number, np.concatenate(masks)), found


def hides(prg: Prgs, number: int, count: int) -> Doubles:
    """The sum of both parties' masks, (count, 2)."""
    grid, bank = (prg[p].words(Purpose.OPERAND, number, 2 * count).reshape(-1, 2) for p in Party)
    return add(grid, bank)


async def cut(session: Exchanges, correlations: Correlations, number: int, words: Words, shift: int) -> Doubles:
    """Shares modulo 2^128 of x >> shift, or one above, from shares modulo 2^64 as `truncate` has them: (m, 2) of (m,)."""
    dealt = await correlations.doubles(number, 2 * len(words))
    mine = words + correlations.mask(Purpose.TRUNCATION, number, len(words))
    if session.party is Party.BANK:
        mine += _OFFSET
    c = mine + await session.exchange(Kind.MASKED_UPDATE, mine)
    public, _ = told_by(c, shift)
    body, top = dealt[: len(words)], left(dealt[len(words) :], 63 - shift)
    found = subtract(np.where((c >> np.uint64(63))[:, None] == 1, negative(top), top), body)
    return add(found, signed(public)) if session.party is Party.BANK else found


def deal_cut(prg: Prgs, parts: Parts, number: int, offset: Words, shift: int) -> Dealt:
    """What is dealt for `cut`. offset: what the words lack, (m,)."""
    return parts.doubles(prg, number, unsigned(np.concatenate(mask_parts(prg, number, offset, shift))))
