"""Correlations from a dealer: expanded from the party's own seed where they can be, dealt where they cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from common.errors import LocalProtocolError, PeerProtocolError, PolicyError
from common.mpc.abreast import Spread
from common.mpc.circle import Points
from common.mpc.correlations.asked import (
    MATRIX_BLOCK,
    DealerLink,
    Demand,
    MaskTag,
    Places,
    TagParts,
    TruncationPart,
    once,
)
from common.mpc.correlations.source import Source
from common.mpc.counting.masks import Counting, CountMasks, CountsDemand
from common.mpc.fixedpoint import Words
from common.mpc.link import Link, Sliced
from common.mpc.prg import SEED_BYTES, Prg, Purpose
from common.mpc.ring128 import Doubles
from common.mpc.seeds import DEALT_BYTES, FINGERPRINT_BYTES
from common.mpc.session import Array, Channel, Kind, Round, compute
from common.mpc.short import WIDE, Short, dealt_shape
from common.mpc.tags import LIMBS, MARK_WORDS, lifted, wide
from common.mpc.threads import in_order
from common.party import Party

SEED = Round(Kind.SEED, 0)
PIECE_ROWS = 1 << 13  # of some tens of columns about what a core's cache holds


def matrix_mask(prg: Prg, rows: int, columns: int, workers: int = 1) -> Words:
    """The mask of a static matrix, (rows, columns) column-major; each block of MATRIX_BLOCK rows has a key of its own.

    workers: blocks that are expanded at a time.
    """
    out: Words = np.empty((rows, columns), np.uint64, order="F")
    places = (out.T[:, low : low + MATRIX_BLOCK] for low in range(0, rows, MATRIX_BLOCK))
    blocks = (partial(prg.fill, Purpose.MATRIX, block, place) for block, place in enumerate(places))
    for _ in in_order(blocks, workers):
        pass
    return out


class MaskRows:
    """The same mask, expanded again whenever rows are read: by slices of rows, a block at a time, or piece by piece."""

    def __init__(self, prg: Prg, rows: int, columns: int) -> None:
        self._prg, self._rows, self._columns = prg, rows, columns
        self._blocks: dict[int, Words] = {}  # the last two, (columns, rows of the block)

    @property
    def shape(self) -> tuple[int, int]:
        return self._rows, self._columns

    def __getitem__(self, rows: slice) -> Words:
        low, high, _ = rows.indices(self._rows)
        parts = [np.empty((self._columns, 0), np.uint64)]
        for block in range(low // MATRIX_BLOCK, -(-high // MATRIX_BLOCK)):
            first = block * MATRIX_BLOCK
            parts.append(self._block(block)[:, max(low - first, 0) : high - first])
        return (parts[1] if len(parts) == 2 else np.concatenate(parts, axis=1)).T

    def _block(self, block: int) -> Words:
        if (found := self._blocks.get(block)) is None:
            size = min(MATRIX_BLOCK, self._rows - block * MATRIX_BLOCK)
            found = self._prg.words(Purpose.MATRIX, block, self._columns * size).reshape(self._columns, size)
            while len(self._blocks) > 1:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[block] = found
        return found

    def pieces(self, rows: slice) -> Iterator[tuple[slice, Words]]:
        """The same rows in pieces that a processor's cache holds, each until the next: where among these rows, and its words.

        Any number of threads may read at a time.
        """
        low, high, _ = rows.indices(self._rows)
        at = low
        for block in range(low // MATRIX_BLOCK, -(-high // MATRIX_BLOCK)):
            first = block * MATRIX_BLOCK
            size = min(MATRIX_BLOCK, self._rows - first)
            part = slice(at - first, min(high - first, size))
            for piece in self._prg.pieces(Purpose.MATRIX, block, (self._columns, size), part, PIECE_ROWS):
                yield slice(at - low, at - low + piece.shape[1]), piece.T
                at += piece.shape[1]


def ridge_mask(prg: Prg, columns: int) -> Words:
    """The mask of the ridge matrix, (columns, columns) column-major."""
    return prg.words(Purpose.RIDGE_MATRIX, 0, columns * columns).reshape(columns, columns).T


def dealt_tables(link: Link, party: Party) -> list[int]:
    """The tables whose share this party is dealt; it expands the others from its seed. Halved, so both lines carry the same."""
    return [j for j in range(link.tables) if j % 2 == party.index]


@dataclass(frozen=True, repr=False)
class DealtSeed:
    """What a party is dealt to make its seed of, and the fingerprints of the grid's and the bank's seed, as the dealer says."""

    seed: bytes
    committed: tuple[bytes, bytes]


async def take_seed(dealer: Channel, label: Round = SEED) -> DealtSeed:
    """The first thing dealt in a job, 96 bytes."""
    dealt = await dealer.receive(label)
    if dealt.dtype != np.uint8 or dealt.shape != (DEALT_BYTES,):
        got = f"{dealt.dtype} {dealt.shape}"
        raise PeerProtocolError("the coordinator dealt a seed of another size", round=label, expected=DEALT_BYTES, got=got)
    whole, second = dealt.tobytes(), SEED_BYTES + FINGERPRINT_BYTES
    return DealtSeed(whole[:SEED_BYTES], (whole[SEED_BYTES:second], whole[second:]))


async def take_dealt(dealer: Channel, label: Round, shape: tuple[int, ...], dtype: npt.DTypeLike = np.uint64) -> Array:
    """The next dealt array, which must be of this label, shape and dtype."""
    values = await dealer.receive(label)
    if values.dtype != dtype or values.shape != shape:
        raise PeerProtocolError(
            "the coordinator dealt an array of another shape",
            round=label,
            expected=f"{np.dtype(dtype)} {shape}",
            got=f"{values.dtype} {values.shape}",
        )
    return values


class NoDealer:
    """The dealer of a job that has none: whatever is asked of it is refused."""

    async def demand(self, demand: Demand) -> None:
        raise PolicyError(
            "this job has no coordinator to deal it randomness", remedy="Deal it ahead, or submit it through the coordinator."
        )

    async def send(self, round: Round, values: Array) -> None:
        raise LocalProtocolError("a dealer that is none takes no arrays", round=round)

    async def receive(self, round: Round) -> Array:
        raise LocalProtocolError("a dealer that is none deals no arrays", round=round)


class DealtCorrelations:
    """Correlations from the coordinator's dealer: a seed once, then per step what the seed cannot give."""

    def __init__(self, party: Party, seed: bytes, dealer: DealerLink, key: bytes = b"") -> None:
        """key: this party's lasting one, of its tags; without one there are none."""
        self._party, self._prg, self._dealer = party, Prg(seed, key), dealer
        self.spread: Spread | None = None  # by which runs of rows are computed apart, where who deals can serve them
        self._ordered: set[tuple[type[Demand], int]] = set()

    async def order(self, demand: Demand) -> None:
        # A second one would expand the same key streams: a mask would hide two values.
        if once(demand) in self._ordered:
            raise LocalProtocolError("the same kind of randomness was ordered twice in one job", got=demand)
        self._ordered.add(once(demand))
        await self._dealer.demand(demand)

    async def _dealt(self, kind: Kind, number: int, shape: tuple[int, ...], dtype: npt.DTypeLike = np.uint64) -> Array:
        return await take_dealt(self._dealer, Round(kind, number), shape, dtype)

    def matrix_mask(self, block: int, rows: int, columns: int) -> Words:
        return self._prg.words(Purpose.MATRIX, block, columns * rows).reshape(columns, rows)

    def ridge_mask(self, columns: int) -> Words:
        return ridge_mask(self._prg, columns)

    def weight_mask(self, number: int, count: int) -> Words:
        return self._prg.words(Purpose.WEIGHTS, number, count)

    def angle_mask(self, number: int, rows: int) -> npt.NDArray[np.uint32]:
        return self._prg.half_words(Purpose.ANGLE, number, rows)

    def point_mask(self, number: int, rows: int) -> Points:
        return self._prg.short_words(Purpose.ANGLE, number, rows)

    async def link_shares(self, number: int, link: Link, rows: int, width: int = WIDE) -> Sequence[Sliced]:
        if width == WIDE:
            return await self.halves(Kind.DEALT_LINK, Purpose.LINK, number, link.tables, rows)
        mine = dealt_tables(link, self._party)
        sent = await self._dealt(Kind.DEALT_LINK, number, dealt_shape((len(mine), rows), width))
        count = (link.tables - len(mine)) * rows
        seeded = (await compute(partial(self._prg.words, Purpose.LINK, number, count), count)).reshape(-1, rows)
        rest, own = iter(seeded), iter(Short(sent, len(mine) * rows, width).rows(rows))
        return [next(own) if j in mine else next(rest) for j in range(link.tables)]

    def mask(self, purpose: Purpose, number: int, count: int) -> Words:
        return self._prg.words(purpose, number, count)

    def half_mask(self, purpose: Purpose, number: int, count: int) -> npt.NDArray[np.uint32]:
        return self._prg.half_words(purpose, number, count)

    async def halves(self, kind: Kind, purpose: Purpose, number: int, arrays: int, size: int) -> list[Words]:
        mine = range(self._party.index, arrays, 2)
        dealt = await self._dealt(kind, number, (len(mine), size))
        seeded = self._prg.words(purpose, number, (arrays - len(mine)) * size).reshape(-1, size)
        rest, own = iter(seeded), iter(dealt)
        return [next(own) if j in mine else next(rest) for j in range(arrays)]

    def residual_mask(self, number: int, rows: int) -> Words:
        return self._prg.words(Purpose.RESIDUAL, number, rows)

    def operand_mask(self, number: int, count: int) -> Words:
        return self._prg.words(Purpose.OPERAND, number, count)

    async def truncation(self, number: int, count: int) -> TruncationPart:
        body, top = await self._pair(number, count)
        return TruncationPart(self._prg.words(Purpose.TRUNCATION, number, count), body, top)

    async def doubles(self, number: int, count: int) -> Doubles:
        return np.stack(await self._pair(number, count), axis=-1)

    async def _pair(self, number: int, count: int) -> tuple[Words, Words]:
        """Shares of two arrays, (count,) each, one of which is dealt and the other expanded."""
        dealt = await self._dealt(Kind.DEALT_TRUNCATION, number, (count,))
        if self._party is Party.BANK:
            return dealt, self._prg.words(Purpose.TRUNCATION_TOP, number, count)
        return self._prg.words(Purpose.TRUNCATION_BODY, number, count), dealt

    async def share_tags(self, number: int, part: TruncationPart, own: Places, other: Places) -> TagParts:
        words = np.concatenate([part.body[other], part.top[other]])
        factors = self.factors(len(part.body[own]))
        tags, marks = await self._tags(number, len(words))
        pads = wide(self._prg.words(Purpose.TAG_PAD, number, 2 * LIMBS * len(factors)))
        return TagParts(self._lifted(number, words), tags, pads, factors, marks)

    async def mask_tag(self, number: int, mask: Words) -> MaskTag:
        (tag,), marks = await self._tags(number, 1)
        (pad,) = wide(self._prg.words(Purpose.TAG_PAD, number, LIMBS))
        return MaskTag(self._lifted(number, mask), tag, pad, marks)

    def factors(self, count: int) -> list[int]:
        return self._prg.factors(count)

    async def _tags(self, number: int, count: int) -> tuple[tuple[int, ...], bytes]:
        """So many dealt tags, and the marks of both keys, as the dealer tells the other's."""
        dealt = await self._dealt(Kind.DEALT_TAGS, number, (LIMBS * count + MARK_WORDS,))
        return wide(dealt[:-MARK_WORDS]), np.concatenate([self._prg.mark, dealt[-MARK_WORDS:]]).tobytes()

    def _lifted(self, number: int, words: Words) -> tuple[int, ...]:
        return lifted(words, self._prg.words(Purpose.TAG_LIFT, number, len(words)))

    async def gradient_mask(self, number: int, own: int, other: int) -> tuple[Words, Words]:
        dealt = await self._dealt(Kind.DEALT_GRADIENT, number, (other,))
        return self._prg.words(Purpose.GRADIENT, number, own), dealt

    async def period_product(self, words: int) -> tuple[Words, Words]:
        mask = self._prg.words(Purpose.PERIODS, 0, words)
        if self._party is Party.BANK:
            return mask, await self._dealt(Kind.DEALT_PERIODS, 0, (words,))
        return mask, self._prg.words(Purpose.PERIOD_PRODUCT, 0, words)

    async def source(self, demand: Demand) -> Source:
        await self.order(demand)
        return Source(self._party, self._prg, self._dealt)

    async def bin_counts(self, demand: CountsDemand) -> Counting:
        await self.order(demand)
        fetch = partial(self._dealt, Kind.DEALT_COUNTS, dtype=np.uint32)
        return Counting(self._party, CountMasks(self._prg, demand), fetch)
