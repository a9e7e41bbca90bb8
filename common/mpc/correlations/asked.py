"""What a party asks of its source of single-use randomness, whatever that is: demands, and one verb for each kind of mask.

Masks are chained. A local product is off by what the dealer knows (mask times mask); nobody corrects it. The next opening's
mask absorbs the difference, so only the link's tables and the truncations are dealt. PROTOCOL.md sections 3 to 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from common.mpc.circle import Points
from common.mpc.correlations.source import Source
from common.mpc.counting.masks import Counting, CountsDemand
from common.mpc.fixedpoint import Words
from common.mpc.link import Link, Sliced
from common.mpc.prg import Purpose
from common.mpc.ring128 import Doubles
from common.mpc.session import Channel, Kind
from common.mpc.short import WIDE

MATRIX_BLOCK = 1 << 16  # rows masked under one key

Places = slice | npt.NDArray[np.int64]


@dataclass(frozen=True)
class PeriodDemand:
    """Asks the dealer for a bitwise product over `words` words."""

    words: int


class Demand(Protocol):
    """A demand that a party puts to the dealer: a frozen dataclass of whole numbers; see `once`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def once(demand: Demand) -> tuple[type[Demand], int]:
    """The kind and number under which a demand may come once a job; 0 for kinds that are not numbered."""
    return type(demand), int(getattr(demand, "number", 0))


class DealerLink(Channel, Protocol):
    """A party's channel to its dealer: dealt arrays come in, demands go out. Both parties must ask the same, in order."""

    async def demand(self, demand: Demand) -> None: ...


@dataclass(frozen=True, repr=False)
class TruncationPart:
    """One party's part of a truncation: its mask r, and its shares of (r mod 2^63) >> shift and of r's top bit; each (m,)."""

    mask: Words
    body: Words
    top: Words

    def at(self, rows: Places) -> TruncationPart:
        """The part of some of the values."""
        return TruncationPart(self.mask[rows], self.body[rows], self.top[rows])

    @classmethod
    def joined(cls, parts: Sequence[TruncationPart]) -> TruncationPart:
        """The parts of several, one behind the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("mask", "body", "top")))


@dataclass(frozen=True, repr=False)
class TagParts:
    """What one truncation gives for tags of its results: of the other's block of n' values, this party's bodies, then its tops,
    lifted, (2 n',), with their `tags`; and the `pads` of the other's of the own block, (2 n,). factors: its own, (n,).
    marks: of the keys by which both parties' tags are made, its own first."""

    values: tuple[int, ...]
    tags: tuple[int, ...]
    pads: tuple[int, ...]
    factors: list[int]
    marks: bytes

    @property
    def own(self) -> int:
        return len(self.factors)


@dataclass(frozen=True, repr=False)
class MaskTag:
    """Of a mask with a tag: its words lifted, (n',), and their tag; and the pad of the other party's."""

    values: tuple[int, ...]
    tag: int
    pad: int
    marks: bytes


class Correlations(Protocol):
    """The source of a party's single-use randomness; `number` is the step it is for. A dealer today."""

    async def order(self, demand: Demand) -> None:
        """Says what the next rounds will consume."""

    def matrix_mask(self, block: int, rows: int, columns: int) -> Words:
        """U, uniform, of one block of MATRIX_BLOCK rows (the last may be shorter), (columns, rows): hides own rows."""

    def ridge_mask(self, columns: int) -> Words:
        """The same for the (columns, columns) ridge matrix."""

    def weight_mask(self, number: int, count: int) -> Words:
        """v: hides this party's share of the other's weights."""

    def angle_mask(self, number: int, rows: int) -> npt.NDArray[np.uint32]:
        """This party's half of the angle's mask."""

    def point_mask(self, number: int, rows: int) -> Points:
        """The same of angles of 16 bits."""

    async def link_shares(self, number: int, link: Link, rows: int, width: int = WIDE) -> Sequence[Sliced]:
        """Shares of the link's tables at the angle, `rows` words for each, modulo 2^(8 width)."""

    def residual_mask(self, number: int, rows: int) -> Words:
        """Hides this party's share of the residual."""

    def operand_mask(self, number: int, count: int) -> Words:
        """This party's share of what hides the operand of a product of shares."""

    def mask(self, purpose: Purpose, number: int, count: int) -> Words:
        """A mask of `count` words for a purpose that has no verb of its own here."""

    def half_mask(self, purpose: Purpose, number: int, count: int) -> npt.NDArray[np.uint32]:
        """The same in words modulo 2^32."""

    async def halves(self, kind: Kind, purpose: Purpose, number: int, arrays: int, size: int) -> list[Words]:
        """Shares of that many arrays of `size` words: every other one dealt under `kind`, the rest expanded for `purpose`."""

    async def truncation(self, number: int, count: int) -> TruncationPart:
        """The randomness that one truncation of `count` values consumes: (count,) words each."""

    async def doubles(self, number: int, count: int) -> Doubles:
        """Shares modulo 2^128 of what the dealer makes of masks of this number, (count, 2)."""

    async def share_tags(self, number: int, part: TruncationPart, own: Places, other: Places) -> TagParts:
        """Tags for results of the truncation `number`, of which `part` is this party's part. own, other: in whose block."""

    async def mask_tag(self, number: int, mask: Words) -> MaskTag:
        """The tag of what `weight_mask` gives for this number."""

    def factors(self, count: int) -> list[int]:
        """This party's factors, the same in all its jobs, by which it knows tags."""

    async def gradient_mask(self, number: int, own: int, other: int) -> tuple[Words, Words]:
        """Shares of U^T v for this party's own gradient (own,) and for the other's (other,); `owned` weights only."""

    async def period_product(self, words: int) -> tuple[Words, Words]:
        """A mask x and a share (by exclusive or) of x_grid & x_bank, bitwise over `words` words."""

    async def source(self, demand: Demand) -> Source:
        """Orders what a demand says, for who expands and takes it by purposes and labels of its own."""

    async def bin_counts(self, demand: CountsDemand) -> Counting:
        """Orders and gives all that counting labels by bin consumes."""
