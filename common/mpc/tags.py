"""Tags by which a party knows that the other's shares are those that were dealt, not others. PROTOCOL.md section 17.

A word x of the holder is carried by a value v of twice as many bits, v = x modulo 2^64 and uniform above, with the tag a v + b
modulo 2^128; a (64 bits, uniform) and b (128 bits, uniform) are the verifier's. To pass a v' of another word with a tag, the
holder must know a (v' - v): at most one of the 2^64 factors gives it. Sums and multiples by public numbers keep the form.

Factors come from a key that a party keeps for all its jobs. Who holds tags holds a hash of it too, as the dealer tells it: to a
verifier that tells the dealer another key afterwards, a tag would tell the masks it is of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common.mpc.fixedpoint import Words
from common.mpc.prg import MARK_BYTES

BITS = 64
LIMBS = 2  # words of a value, a tag or a pad
RING = 1 << BITS * LIMBS
MARK_WORDS = MARK_BYTES // 8  # of the hash of a key
_NUMBERS = ("values", "tags", "pads")


@dataclass(frozen=True, repr=False)
class Tagged:
    """What one party has of two blocks of n and n' words: `values` (n',), its shares of the other's block, with their `tags`;
    and `pads` (n,), by which it knows the other's shares of its own block again. marks: of its own key, then of the other's."""

    values: tuple[int, ...]
    tags: tuple[int, ...]
    pads: tuple[int, ...]
    marks: bytes

    @property
    def words(self) -> Words:
        """The shares that the values carry, (n',)."""
        return np.array([value % (1 << BITS) for value in self.values], np.uint64)

    def cut(self, own: int, other: int) -> Tagged:
        """The first so many of each block."""
        return Tagged(self.values[:other], self.tags[:other], self.pads[:own], self.marks)

    def arrays(self, of: str = "") -> dict[str, Words]:
        """As it is stored; `of` begins each name."""
        return {of + name: narrow(getattr(self, name)) for name in _NUMBERS} | {
            of + "marks": np.frombuffer(self.marks, np.uint64)
        }

    @classmethod
    def stored(cls, arrays: Mapping[str, npt.NDArray[Any]], of: str = "") -> Tagged:
        """The inverse of `arrays`. Raises KeyError or ValueError for what that did not make."""
        marks, numbers = arrays[of + "marks"], [arrays[of + name] for name in _NUMBERS]
        whole = marks.shape == (2 * MARK_WORDS,) and len(numbers[0]) == len(numbers[1])
        if not whole or any(words.dtype != np.uint64 or words.ndim != 1 or len(words) % LIMBS for words in (marks, *numbers)):
            raise ValueError("tags of another type or shape")
        values, tags, pads = (wide(words) for words in numbers)
        return cls(values, tags, pads, marks.tobytes())


def made(factors: Sequence[int], values: Sequence[int], pads: Sequence[int], bits: int = BITS) -> tuple[int, ...]:
    """The tag of each value."""
    ring = (1 << 2 * bits) - 1
    return tuple((a * v + b) & ring for a, v, b in zip(factors, values, pads, strict=True))


def total(factors: Sequence[int], values: Sequence[int], pad: int, bits: int = BITS) -> int:
    """The tag of all values together, `pad` being the sum of their pads.

    For values that carry other words it is another one, but for one in 2^bits of the factors.
    """
    return sum(a * v for a, v in zip(factors, values, strict=True)) + pad & (1 << 2 * bits) - 1


def lifted(low: Words, high: Words) -> tuple[int, ...]:
    """Values that carry the words `low`, (n,), with `high`, (n,), above them."""
    return tuple(a | b << BITS for a, b in zip(low.tolist(), high.tolist(), strict=True))


def wide(words: Words) -> tuple[int, ...]:
    """Numbers of 128 bits from (2 n,) words, the lower one of each first."""
    return lifted(words[0::LIMBS], words[1::LIMBS])


def narrow(values: Sequence[int]) -> Words:
    """The inverse of `wide`."""
    return np.frombuffer(b"".join(value.to_bytes(8 * LIMBS, "little") for value in values), "<u8").astype(np.uint64)


def minus(left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    """left - right, each modulo 2^128."""
    return tuple((a - b) % RING for a, b in zip(left, right, strict=True))
